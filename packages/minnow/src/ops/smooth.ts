// Activations that few image networks have: element-wise functions of one real input, as their papers define them, in
// forms that neither overflow nor cancel. Transcendentals come from the expression language.
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import { erf, log, tanh } from "../compiler/functions.js";
import { alpha, float, num, real } from "./activation.js";
import { elementwise } from "./elementwise.js";

/** log(1 + t), t ≥ 0, to full relative accuracy: log(u)·t/(u−1), u = 1 + t rounded (Kahan). */
function log1p(t: Expr): Expr {
  const u = e.add(t, 1);
  return e.select(e.eq(u, 1), t, e.div(e.mul(log(u), t), e.sub(u, 1)));
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
      ? tanh(e.mul(Math.sqrt(2 / Math.PI), e.add(x, e.mul(0.044715, e.mul(x, e.mul(x, x))))))
      : erf(e.mul(x, Math.SQRT1_2));
  return e.mul(e.mul(x, 0.5), e.add(inner, 1));
}

const expm1 = (x: Expr): Expr => e.sub(e.exp(x), 1);

export const ops = [
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

  elementwise("Gelu", ["x"], ([x], a) => gelu(x, a.approximate as string), {
    attrs: { approximate: { type: "string", default: "none" } },
    types: "float",
  }),

  elementwise("Mish", ["x"], ([x]) => mish(x), real),
  elementwise("Softplus", ["x"], ([x]) => softplus(x), real),
  elementwise("Softsign", ["x"], ([x]) => e.div(x, e.add(e.abs(x), 1)), real),
  elementwise("Tanh", ["x"], ([x]) => tanh(x), real),
];
