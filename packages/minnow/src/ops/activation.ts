// Activations: element-wise functions of one real input.
import * as e from "../compiler/expr.js";
import { elementwise } from "./elementwise.js";

const float = (value: number) => ({ type: "float", default: value }) as const;

export const ops = [
  elementwise("Relu", ["x"], ([x]) => e.max(x, 0)),

  /** min(max(x, min), max); integers too. */
  elementwise("Clip", ["x"], ([x], a) => e.clamp(x, a.min as number, a.max as number), {
  attrs: { min: float(Number.NEGATIVE_INFINITY), max: float(Number.POSITIVE_INFINITY) },
}),

  /** x ≥ 0 ? x : alpha·x */
  elementwise("LeakyRelu", ["x"], ([x], a) =>
  e.select(e.lt(x, 0), e.mul(x, a.alpha as number), x), { attrs: { alpha: float(0.01) } }),

  /** x · min(max(x + 3, 0), 6) / 6 (Howard et al., 2019). */
  elementwise("HardSwish", ["x"], ([x]) =>
  e.mul(x, e.mul(e.clamp(e.add(x, 3), 0, 6), 1 / 6))),

  /** max(0, min(1, alpha·x + beta)) */
  elementwise("HardSigmoid", ["x"], ([x], a) =>
  e.clamp(e.add(e.mul(x, a.alpha as number), a.beta as number), 0, 1), { attrs: { alpha: float(0.2), beta: float(0.5) } }),

  elementwise("Sigmoid", ["x"], ([x]) => e.sigmoid(x)),
  elementwise("Tanh", ["x"], ([x]) => e.tanh(x)),
];
