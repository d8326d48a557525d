// Expands transcendental nodes into primitive ones (add, mul, select, bits, shl …), so that every target
// runs the same polynomial and gives the same answers, ≤ 2 ULP of float32 (expand.test.ts measures it).
// Polynomials are minimax fits made for the intervals named beside them; products that must be exact
// are, so that a target may contract a·b + c; but it must not reassociate sums (no -ffast-math).
import * as e from "./expr.js";
import type { Expr } from "./expr.js";

const done = new WeakMap<Expr, Expr>();

/** The same value without exp, log, tanh, sigmoid, erf, sin, cos, pow. Shared nodes stay shared. */
export function expand(root: Expr): Expr {
  const visit = (x: Expr): Expr => {
    const known = done.get(x);
    if (known) return known;
    let y: Expr = x;
    switch (x.k) {
      case "un":
        y = functions[x.op]?.(visit(x.a)) ?? (visit(x.a) === x.a ? x : { ...x, a: visit(x.a) });
        break;
      case "cast":
      case "bits":
        if (visit(x.a) !== x.a) y = { ...x, a: visit(x.a) };
        break;
      case "bin":
        y =
          functions[x.op]?.(visit(x.a), visit(x.b)) ??
          (visit(x.a) === x.a && visit(x.b) === x.b ? x : { ...x, a: visit(x.a), b: visit(x.b) });
        break;
      case "cmp":
        if (visit(x.a) !== x.a || visit(x.b) !== x.b) y = { ...x, a: visit(x.a), b: visit(x.b) };
        break;
      case "select":
        if (visit(x.c) !== x.c || visit(x.a) !== x.a || visit(x.b) !== x.b)
          y = { ...x, c: visit(x.c), a: visit(x.a), b: visit(x.b) };
    }
    done.set(x, y);
    return y;
  };
  return visit(root);
}

/** Whether it takes many operations: exp and what is made of it do. */
export const isLong = (x: Expr): boolean => e.nodesOf(expand(x)) > 24;

type Expansion = (...x: Expr[]) => Expr;
const functions: Partial<Record<e.UnaryOp | e.BinaryOp, Expansion>> = {
  exp: expandExp,
  sigmoid: expandSigmoid,
};

/** What few models have: its modules have the constructors too, so that whatever can be written can be expanded. */
export const learnFunctions = (more: typeof functions): void => void Object.assign(functions, more);

/** c[0] + c[1]·x + c[2]·x² + … */
export function polynomial(x: Expr, c: readonly number[]): Expr {
  return c
    .slice(0, -1)
    .reduceRight<Expr>((sum, k) => e.add(e.mul(sum, x), k), e.num(c[c.length - 1] as number));
}

const magic = 12582912; // 1.5·2^23: adding it rounds to an integer, which the low bits then hold

/**
 * x = n·ln 2 + r, |r| ≤ ln 2 / 2, |n| < 2^22. The upper part of ln 2 has 9 bits, so that n times it is exact.
 * `shifted` is n + magic: its bits hold n, without the cost of a saturating conversion.
 */
function reduce(x: Expr): { shifted: Expr; r: Expr } {
  const shifted = e.add(e.mul(x, Math.LOG2E), magic);
  const n = e.sub(shifted, magic);
  return { shifted, r: e.sub(e.sub(x, e.mul(n, 0.693359375)), e.mul(n, Math.LN2 - 0.693359375)) };
}

/** 2^(n + more) for n as an i32 or as the bits of `shifted`, whose upper part the shift drops. */
const power2 = (n: Expr, more = 0): Expr => e.bits(e.add(e.shl(n, 23), (127 + more) << 23), "f32");

/** x·2^n for any n in −252…254 (or the bits of `shifted`), rounding once. */
export function scale(x: Expr, n: Expr): Expr {
  const half = e.shr(n, 1);
  return e.mul(e.mul(x, power2(half)), power2(e.sub(n, half)));
}

/** e^r for the reduced r; the tail is (e^r − 1 − r) / r² on |r| ≤ 0.348. */
const expReduced = (r: Expr): Expr => e.add(e.add(e.mul(e.mul(r, r), polynomial(r, expTail)), r), 1);
const expTail = [0.5, 0.16666516661643982, 0.04166620224714279, 0.008369088172912598, 0.0013950834982097149];

function expandExp(x: Expr): Expr {
  const { shifted, r } = reduce(e.clamp(x, -104, 89));
  return scale(expReduced(r), e.bits(shifted, "i32"));
}

/** e^x for x in −87…88: no subnormals, no overflow. */
export function expSmall(x: Expr): Expr {
  const { shifted, r } = reduce(x);
  return e.mul(expReduced(r), power2(e.bits(shifted, "i32")));
}

/** e^x for x ≤ 0, 0 where that is subnormal: a negative exponent is cut off at 0. */
export function expNegative(x: Expr): Expr {
  const { shifted, r } = reduce(e.max(x, -104));
  const power = e.max(e.add(e.shl(e.bits(shifted, "i32"), 23), 127 << 23), 0);
  return e.mul(expReduced(r), e.bits(power, "f32"));
}

/** With z = e^−|x|: 1 / (1 + z), or z / (1 + z) for negative x: neither overflows. */
function expandSigmoid(x: Expr): Expr {
  const { shifted, r } = reduce(e.max(e.neg(e.abs(x)), -104));
  const z = e.mul(e.mul(expReduced(r), power2(e.bits(shifted, "i32"), 24)), 2 ** -24); // subnormal results round here, once
  return e.div(e.select(e.ge(x, 0), 1, z), e.add(z, 1));
}
