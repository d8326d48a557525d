// Arithmetic of one operand. Integers (int64 too) wherever the function maps integers to integers.
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import { cos, erf, log, sin } from "../compiler/functions.js";
import { mul as mulDim } from "../graph/dim.js";
import { real } from "./activation.js";
import { elementwise } from "./elementwise.js";

const onNumbers = (f: (x: number) => number) => ({
  types: "float" as const,
  value: ([x]: readonly (number | string)[]) => (typeof x === "number" ? f(x) : null),
});

/** Half to even, as IEEE 754 and ONNX Round. */
function halfToEven(x: number): number {
  const r = Math.round(x);
  return r - x === 0.5 && r % 2 !== 0 ? r - 1 : r;
}

/** −1, 0, 1; NaN and −0 stay. */
const sign = (x: Expr): Expr => e.select(e.gt(x, 0), 1, e.select(e.lt(x, 0), e.num(-1, x.t), x));

const abs = (x: Expr): Expr => (x.t === "i64" ? e.max(x, e.neg(x)) : e.abs(x));

/**
 * Range reduction at tan(π/8) and tan(3π/8), then a polynomial of degree 9 (Moshier, Cephes `atanf`):
 * |error| < 3·10⁻⁷.
 */
function atan(x: Expr): Expr {
  const a = e.abs(x);
  const [big, middle] = [e.gt(a, 2.414213562373095), e.gt(a, 0.4142135623730951)];
  const t = e.select(big, e.div(-1, a), e.select(middle, e.div(e.sub(a, 1), e.add(a, 1)), a));
  const z = e.mul(t, t);
  const p = [8.05374449538e-2, -1.38776856032e-1, 1.99777106478e-1, -3.33329491539e-1]
    .map((c) => e.num(c))
    .reduce((sum, c) => e.add(e.mul(sum, z), c));
  const start = e.select(big, Math.PI / 2, e.select(middle, Math.PI / 4, e.num(0)));
  const y = e.add(start, e.add(e.mul(e.mul(p, z), t), t));
  return e.select(e.lt(x, 0), e.neg(y), e.select(e.eq(x, 0), x, y));
}

export const ops = [
  elementwise("Atan", ["x"], ([x]) => atan(x), real),
  elementwise("Identity", ["x"], ([x]) => x, { types: "any", value: ([x]) => x }),
  elementwise("Neg", ["x"], ([x]) => e.neg(x), { wraps: true, value: ([x]) => mulDim(x, -1) }),
  elementwise("Abs", ["x"], ([x]) => abs(x), {
    wraps: true,
    value: ([x]) => (typeof x === "number" ? Math.abs(x) : x),
  }),
  elementwise("Sign", ["x"], ([x]) => sign(x)),
  elementwise("Square", ["x"], ([x]) => e.mul(x, x), { wraps: true, value: ([x]) => mulDim(x, x) }),
  elementwise("Floor", ["x"], ([x]) => e.floor(x), onNumbers(Math.floor)),
  elementwise("Ceil", ["x"], ([x]) => e.ceil(x), onNumbers(Math.ceil)),
  elementwise("Round", ["x"], ([x]) => e.nearest(x), onNumbers(halfToEven)),
  elementwise("Sqrt", ["x"], ([x]) => e.sqrt(x), onNumbers(Math.sqrt)),
  elementwise("Rsqrt", ["x"], ([x]) => e.div(1, e.sqrt(x)), real),
  elementwise(
    "Reciprocal",
    ["x"],
    ([x]) => e.div(1, x),
    onNumbers((x) => 1 / x),
  ),
  elementwise("Exp", ["x"], ([x]) => e.exp(x), real),
  elementwise("Log", ["x"], ([x]) => log(x), real),
  elementwise("Sin", ["x"], ([x]) => sin(x), real),
  elementwise("Cos", ["x"], ([x]) => cos(x), real),
  elementwise("Erf", ["x"], ([x]) => erf(x), real),
  /** bool: logical; integers: bitwise complement. */
  elementwise("Not", ["x"], ([x], _, c) => (c.inputs[0] === "bool" ? e.eq(x, 0) : e.xor(x, -1)), {
    types: "logical",
    wraps: true,
    value: ([x], _, c) =>
      typeof x !== "number" ? null : c.inputs[0]?.dtype === "bool" ? (x ? 0 : 1) : -1 - x,
  }),
];
