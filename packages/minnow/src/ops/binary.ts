// Arithmetic of two operands, broadcast. Integers wrap as their storage does; shape arithmetic on known
// numbers and symbols rides along in `value`. What few models have is in binary_rare.ts.
import * as e from "../compiler/expr.js";
import * as dim from "../graph/dim.js";
import type { Dim } from "../graph/dim.js";
import { isFloat } from "../graph/dtype.js";
import { elementwise } from "./elementwise.js";
import type { InferContext } from "./op.js";

export const ab = ["a", "b"] as const;
export const numbers = (x: readonly Dim[]): x is readonly number[] => x.every((v) => typeof v === "number");
export const floats = (c: InferContext): boolean => isFloat(c.inputs[0]?.dtype ?? "float32");
/** Sums of symbols want whole coefficients; a fraction meets a symbol only before dimensions are bound. */
export const whole = (x: readonly Dim[]): boolean =>
  x.every((v) => typeof v === "string" || Number.isInteger(v));
const exact =
  (f: (a: Dim, b: Dim) => Dim, plain: (a: number, b: number) => number) =>
  (x: readonly Dim[]): Dim | null => {
    if (numbers(x)) return plain(x[0] as number, x[1] as number);
    return whole(x) ? f(x[0] as Dim, x[1] as Dim) : null;
  };

const truncDiv = (a: number, b: number): number => (b === 0 ? 0 : Math.trunc(a / b));
export const positive = (x: Dim): boolean => typeof x === "number" && x > 0;

export const ops = [
  elementwise("Add", ab, ([a, b]) => e.add(a, b), { wraps: true, value: exact(dim.add, (a, b) => a + b) }),
  elementwise("Sub", ab, ([a, b]) => e.sub(a, b), { wraps: true, value: exact(dim.sub, (a, b) => a - b) }),
  elementwise("Mul", ab, ([a, b]) => e.mul(a, b), { wraps: true, value: exact(dim.mul, (a, b) => a * b) }),

  /** Floats as IEEE 754; integers truncate, x/0 = 0. A symbol is a dimension, so not negative. */
  elementwise("Div", ab, ([a, b]) => e.div(a, b), {
    wraps: true,
    value: (x, _, c) => {
      if (numbers(x))
        return floats(c) ? (x[0] as number) / (x[1] as number) : truncDiv(x[0] as number, x[1] as number);
      if (x[1] === 1) return x[0] as Dim;
      return !floats(c) && positive(x[1] as Dim) ? dim.floorDiv(x[0] as Dim, x[1] as Dim) : null;
    },
  }),
  elementwise("Min", ab, ([a, b]) => e.min(a, b), { value: exact(dim.min, Math.min) }),
  elementwise("Max", ab, ([a, b]) => e.max(a, b), { value: exact(dim.max, Math.max) }),
];
