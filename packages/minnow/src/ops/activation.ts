// Activations: element-wise functions of one real input, as their papers define them, in forms that
// neither overflow nor cancel. Transcendentals come from the expression language.
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import type { Attrs } from "../graph/graph.js";
import { elementwise } from "./elementwise.js";

const float = (value: number) => ({ type: "float", default: value }) as const;
const alpha = (value: number) => ({ attrs: { alpha: float(value) }, types: "float" }) as const;
const real = { types: "float" } as const;
const num = (a: Attrs, name: string): number => a[name] as number;

/** min(max(x, lo), hi); for integers the bounds that integers can meet. */
function clip(x: Expr, lo: number, hi: number): Expr {
  if (x.t === "f32") return e.clamp(x, lo, hi);
  const limit = x.t === "i32" ? 2 ** 31 : 2 ** 63;
  const low = Math.ceil(lo) > -limit ? Math.min(Math.ceil(lo), limit - 1) : Number.NEGATIVE_INFINITY;
  const high = Math.floor(hi) < limit - 1 ? Math.max(Math.floor(hi), -limit) : Number.POSITIVE_INFINITY;
  return e.clamp(x, low, high);
}

/** log(1 + t), t ≥ 0, to full relative accuracy: log(u)·t/(u−1), u = 1 + t rounded (Kahan). */
function log1p(t: Expr): Expr {
  const u = e.add(t, 1);
  return e.select(e.eq(u, 1), t, e.div(e.mul(e.log(u), t), e.sub(u, 1)));
}

const softplus = (x: Expr): Expr => e.add(e.max(x, 0), log1p(e.exp(e.neg(e.abs(x)))));

/** x · tanh(log(1 + eˣ)) = x · n / (n + 2), n = eˣ(eˣ + 2) (Misra, 2019). */
function mish(x: Expr): Expr {
  const t = e.exp(e.min(x, 20));
  const n = e.mul(t, e.add(t, 2));
  return e.mul(x, e.div(n, e.add(n, 2)));
}

/** x · Φ(x), or its tanh approximation (Hendrycks & Gimpel, 2016). */
function gelu(x: Expr, approximate: string): Expr {
  const inner =
    approximate === "tanh"
      ? e.tanh(e.mul(Math.sqrt(2 / Math.PI), e.add(x, e.mul(0.044715, e.mul(x, e.mul(x, x))))))
      : e.erf(e.mul(x, Math.SQRT1_2));
  return e.mul(e.mul(x, 0.5), e.add(inner, 1));
}

const expm1 = (x: Expr): Expr => e.sub(e.exp(x), 1);

export const ops = [
  elementwise("Relu", ["x"], ([x]) => e.max(x, 0)),

  /** min(max(x, min), max); integers too. */
  elementwise("Clip", ["x"], ([x], a) => clip(x, num(a, "min"), num(a, "max")), {
    attrs: { min: float(Number.NEGATIVE_INFINITY), max: float(Number.POSITIVE_INFINITY) },
    value: ([x], a) => (typeof x === "number" ? Math.min(Math.max(x, num(a, "min")), num(a, "max")) : null),
  }),

  /** x ≥ 0 ? x : alpha·x */
  elementwise(
    "LeakyRelu",
    ["x"],
    ([x], a) => e.select(e.lt(x, 0), e.mul(x, num(a, "alpha")), x),
    alpha(0.01),
  ),

  /** x > alpha ? x : 0 */
  elementwise("ThresholdedRelu", ["x"], ([x], a) => e.select(e.gt(x, num(a, "alpha")), x, 0), alpha(1)),

  /** x ≥ 0 ? x : alpha·(eˣ − 1) (Clevert et al., 2015). */
  elementwise("Elu", ["x"], ([x], a) => e.select(e.lt(x, 0), e.mul(expm1(x), num(a, "alpha")), x), alpha(1)),

  /** max(0, x) + min(0, alpha·(e^(x/alpha) − 1)) (Barron, 2017). */
  elementwise(
    "Celu",
    ["x"],
    ([x], a) => {
      const k = num(a, "alpha");
      return e.add(e.max(x, 0), e.min(e.mul(expm1(e.div(x, k)), k), 0));
    },
    alpha(1),
  ),

  /** gamma·(x > 0 ? x : alpha·(eˣ − 1)) (Klambauer et al., 2017). */
  elementwise(
    "Selu",
    ["x"],
    ([x], a) => e.mul(e.select(e.gt(x, 0), x, e.mul(expm1(x), num(a, "alpha"))), num(a, "gamma")),
    {
      attrs: { alpha: float(1.6732632423543772), gamma: float(1.0507009873554805) },
      types: "float",
    },
  ),

  /** x · min(max(x + 3, 0), 6) / 6 (Howard et al., 2019). */
  elementwise("HardSwish", ["x"], ([x]) => e.mul(x, e.mul(e.clamp(e.add(x, 3), 0, 6), 1 / 6)), real),

  /** max(0, min(1, alpha·x + beta)) */
  elementwise(
    "HardSigmoid",
    ["x"],
    ([x], a) => e.clamp(e.add(e.mul(x, num(a, "alpha")), num(a, "beta")), 0, 1),
    {
      attrs: { alpha: float(0.2), beta: float(0.5) },
      types: "float",
    },
  ),

  elementwise("Gelu", ["x"], ([x], a) => gelu(x, a.approximate as string), {
    attrs: { approximate: { type: "string", default: "none" } },
    types: "float",
  }),

  elementwise("Mish", ["x"], ([x]) => mish(x), real),
  elementwise("Softplus", ["x"], ([x]) => softplus(x), real),
  elementwise("Softsign", ["x"], ([x]) => e.div(x, e.add(e.abs(x), 1)), real),
  elementwise("Sigmoid", ["x"], ([x]) => e.sigmoid(x), real),
  elementwise("Tanh", ["x"], ([x]) => e.tanh(x), real),

  /** x ≥ 0 ? x : slope·x, the slope learnt and broadcast. */
  elementwise("PRelu", ["x", "slope"], ([x, slope]) => e.select(e.lt(x, 0), e.mul(x, slope), x)),
];
