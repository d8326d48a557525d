// The activations of most image networks, as their papers define them; the others are in smooth.ts.
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import type { Attrs } from "../graph/graph.js";
import { elementwise } from "./elementwise.js";

export const float = (value: number) => ({ type: "float", default: value }) as const;
export const alpha = (value: number) => ({ attrs: { alpha: float(value) }, types: "float" }) as const;
export const real = { types: "float" } as const;
export const num = (a: Attrs, name: string): number => a[name] as number;

/** min(max(x, lo), hi); for integers the bounds that integers can meet. */
function clip(x: Expr, lo: number, hi: number): Expr {
  if (x.t === "f32") return e.clamp(x, lo, hi);
  const limit = x.t === "i32" ? 2 ** 31 : 2 ** 63;
  const low = Math.ceil(lo) > -limit ? Math.min(Math.ceil(lo), limit - 1) : Number.NEGATIVE_INFINITY;
  const high = Math.floor(hi) < limit - 1 ? Math.max(Math.floor(hi), -limit) : Number.POSITIVE_INFINITY;
  return e.clamp(x, low, high);
}

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

  elementwise("Sigmoid", ["x"], ([x]) => e.sigmoid(x), real),

  /** x ≥ 0 ? x : slope·x, the slope learnt and broadcast. */
  elementwise("PRelu", ["x", "slope"], ([x, slope]) => e.select(e.lt(x, 0), e.mul(x, slope), x)),
];
