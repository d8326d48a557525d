// Arithmetic of two operands that few models have: powers, remainders, quotients rounded down.
import { pow } from "../compiler/expand_pow.js";
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import * as dim from "../graph/dim.js";
import type { Dim } from "../graph/dim.js";
import { ab, floats, numbers, positive, whole } from "./binary.js";
import { elementwise } from "./elementwise.js";
import type { InferContext } from "./op.js";

/** Quotient rounded towards −∞. */
export function floorDiv(a: Expr, b: Expr): Expr {
  const q = e.div(a, b);
  if (a.t === "f32") return e.floor(q);
  return e.sub(q, e.cast(wrongSide(e.rem(a, b), b), a.t));
}

/** 1 where a remainder is not 0 and its sign is not the divisor's. */
const wrongSide = (r: Expr, b: Expr): Expr => e.and(e.ne(r, 0), e.ne(e.lt(r, 0), e.lt(b, 0)));

/**
 * C's fmod: the dividend's sign. The rounded quotient may be one off, which leaves the remainder on the
 * wrong side of zero or of |b|; one step of b mends it.
 */
export function fmod(a: Expr, b: Expr): Expr {
  if (a.t !== "f32") return e.rem(a, b);
  const size = e.abs(b);
  const x = e.abs(a);
  const r = e.sub(x, e.mul(e.trunc(e.div(x, size)), size));
  const low = e.select(e.lt(r, 0), e.add(r, size), r);
  const mended = e.select(e.ge(low, size), e.sub(low, size), low);
  const signed = e.select(e.lt(a, 0), e.neg(mended), mended);
  const finite = e.lt(x, Number.POSITIVE_INFINITY);
  return e.select(e.and(e.eq(size, Number.POSITIVE_INFINITY), finite), a, signed);
}

/** Python's %: the divisor's sign. */
export function floorMod(a: Expr, b: Expr): Expr {
  const r = fmod(a, b);
  return e.select(wrongSide(r, b), e.add(r, b), r);
}

/** Integers by repeated squaring over the exponent's six low bits; negative exponents as 1/aᵇ truncated. */
function power(a: Expr, b: Expr): Expr {
  if (a.t === "f32") return pow(a, e.cast(b, "f32"));
  const exponent = b.t === "f32" ? e.cast(b, "i32") : e.cast(b, "i32");
  let result: Expr = e.num(1, a.t);
  let square = a;
  for (let bit = 1; bit <= 32; bit *= 2) {
    result = e.select(e.ne(e.and(exponent, bit), 0), e.mul(result, square), result);
    if (bit < 32) square = e.mul(square, square);
  }
  const odd = e.ne(e.and(exponent, 1), 0);
  const inverse = e.select(
    e.eq(a, 1),
    1,
    e.select(e.eq(a, -1), e.select(odd, e.num(-1, a.t), 1), e.num(0, a.t)),
  );
  return e.select(e.lt(exponent, 0), inverse, result);
}

export const ops = [
  elementwise("FloorDiv", ab, ([a, b]) => floorDiv(a, b), {
    value: (x, _, c) => {
      if (numbers(x)) return x[1] === 0 && !floats(c) ? 0 : Math.floor((x[0] as number) / (x[1] as number));
      return positive(x[1] as Dim) && whole(x) ? dim.floorDiv(x[0] as Dim, x[1] as Dim) : null;
    },
  }),
  elementwise("Mod", ab, ([a, b]) => fmod(a, b), { value: (x, _, c) => modValue(x, c, false) }),
  elementwise("FloorMod", ab, ([a, b]) => floorMod(a, b), { value: (x, _, c) => modValue(x, c, true) }),

  /** The exponent's type may differ from the base's, which is the result's. */
  elementwise("Pow", ab, ([a, b]) => power(a, b), {
    mixed: true,
    wraps: true,
    value: (x, _, c) => {
      if (!numbers(x)) return null;
      const p = (x[0] as number) ** (x[1] as number);
      return floats(c) ? p : Math.trunc(p);
    },
  }),
  elementwise(
    "SquaredDifference",
    ab,
    ([a, b]) => {
      const d = e.sub(a, b);
      return e.mul(d, d);
    },
    { wraps: true },
  ),
];

function modValue(x: readonly Dim[], c: InferContext, floor: boolean): Dim | null {
  const [a, b] = x as [Dim, Dim];
  if (typeof a === "number" && typeof b === "number") {
    if (b === 0) return floats(c) ? Number.NaN : 0;
    const r = a % b;
    return floor && r !== 0 && r < 0 !== b < 0 ? r + b : r;
  }
  return positive(b) && whole(x) ? dim.sub(a, dim.mul(dim.floorDiv(a, b), b)) : null;
}
