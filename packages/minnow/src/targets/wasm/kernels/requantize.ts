// Requantisation in few instructions: clamp(nearest(r)) + zero, four operations for four numbers where the
// plain reading takes nine or more. Adding 1.5·2^23 to r leaves its nearest integer (half to even) in the
// low bits while |r| < 2^22, which the sizes of the operands tell. Beyond, the bits of positive floats rise
// with them, so the lower bound holds as an integer, one operation more, for any r that is not NaN. Where
// the result is stored as 8 bits the narrowing store saturates, which is the clamp to the whole range. Where it is
// also known to fit 16 bits, those are the low half of the sum, which is narrowed as it is: three operations.
import { bits, type Expr, max, min, num, sub } from "../../../compiler/expr.js";
import { type DType, elementBytes } from "../../../graph/dtype.js";
import type { Engine } from "../engine.js";
import { rangeOfDType } from "../elements.js";
import { type EpilogueOptions, type Known, replaceChildren } from "./epilogue.js";
import { constantNumbers } from "./operands.js";

const magic = 12582912;
const magicBits = 0x4b400000;

type Bin = Extract<Expr, { k: "bin" }>;
const isBin = (x: Expr, op: Bin["op"]): x is Bin => x.k === "bin" && x.op === op;
type Size = (operand: number) => number;
const constant = (x: Expr): number | undefined => (x.k === "const" ? x.v : undefined);

/** An expression that stores the same, where the store of 8-bit types saturates. */
function requantized(x: Expr, type: DType, known: Known): Expr {
  const size = sizesOf(known);
  const visit = shortening(size);
  if (type !== "int8" && type !== "uint8") return visit(x);
  const [least, most] = rangeOfDType(type);
  const r = matchRounding(x, size);
  if (r && r.hi + r.zero >= most && r.lo + r.zero >= least) {
    const real = replaceChildren(r.real, visit);
    return r.most < 2 ** 21 && r.lo + r.zero === least ? toInteger(real, r.zero) : rounded(r, real);
  }
  if (x.t === "i32" && isBin(x, "min") && constant(x.b) === most)
    if (isBin(x.a, "max") && constant(x.a.b) === least) return visit(x.a.a);
  return visit(x);
}

/** Expressions of the same value, roundings within them shortened. */
function shortening(size: Size): (x: Expr) => Expr {
  const memo = new Map<Expr, Expr>();
  const visit = (x: Expr): Expr => {
    let y = memo.get(x);
    if (!y) {
      const r = matchRounding(x, size);
      y = r ? min(rounded(r, replaceChildren(r.real, visit)), r.hi + r.zero) : replaceChildren(x, visit);
      memo.set(x, y);
    }
    return y;
  };
  return visit;
}

/**
 * An expression whose value's low 16 bits, saturated to 8, are what is to be stored; undefined: not known to be.
 * Even zeros only: added before rounding, an odd one would change where halves go.
 */
function lowBits(x: Expr, type: DType, known: Known): Expr | undefined {
  if (type !== "int8" && type !== "uint8") return undefined;
  const [least, most] = rangeOfDType(type);
  const size = sizesOf(known);
  const r = matchRounding(x, size);
  if (!r || r.hi + r.zero < most || r.lo + r.zero > least) return undefined;
  if (r.zero % 2 !== 0 || r.most + Math.abs(r.zero) >= 32000) return undefined;
  return bits(sub(replaceChildren(r.real, shortening(size)), num(-magic - r.zero)), "i32");
}

/** How an epilogue that requantises is made. V8 joins pairs of vectors only where all 32 bits are narrowed. */
export const requantizing = (engine: Pick<Engine, "wide">): EpilogueOptions => ({
  hoist: true,
  shorten: requantized,
  low: engine.wide ? undefined : lowBits,
});

interface Rounding {
  readonly real: Expr;
  readonly lo: number;
  readonly hi: number;
  readonly zero: number;
  /** The most that |real| can be. */
  readonly most: number;
}

/** i32(nearest(min(max(real, lo), hi))) [+ zero], bounds integers. */
function matchRounding(x: Expr, size: Size): Rounding | undefined {
  let zero = 0;
  let y = x;
  if (isBin(y, "add") && y.t === "i32" && y.b.k === "const") [zero, y] = [y.b.v, y.a];
  if (y.k !== "cast" || y.t !== "i32" || y.a.k !== "un" || y.a.op !== "nearest") return undefined;
  const high = y.a.a;
  if (!isBin(high, "min") || !isBin(high.a, "max")) return undefined;
  const [lo, hi] = [constant(high.a.b), constant(high.b)];
  const real = high.a.a;
  const small = (v: number | undefined): v is number =>
    Number.isInteger(v) && Math.abs(v as number) < 2 ** 22;
  if (!small(lo) || !small(hi) || !small(zero)) return undefined;
  const most = sizeOf(real, size);
  return Number.isFinite(most) ? { real, lo, hi, zero, most } : undefined;
}

/** The most that |operand| can be, and the accumulator (−1): of 8 bits, packed numbers, sums of products of those. */
function sizesOf({ step, nest, operands, init, channelLoop }: Known): Size {
  const channels = nest.loops.slice(channelLoop).reduce((a, b) => a * b, 1);
  const known = new Map<number, number>();
  const byte = (i: number): number => {
    const type = step.values[nest.operands[i]?.value as number]?.dtype;
    return type && elementBytes(type) === 1 ? (type === "int8" ? 128 : 255) : Number.POSITIVE_INFINITY;
  };
  const size = (i: number): number => {
    if (byte(i) < 256) return byte(i);
    const o = operands.find((y) => y.operand === i);
    if (o?.role !== "channel" || !o.data) return Number.POSITIVE_INFINITY;
    let most = 0;
    for (const v of constantNumbers(o.data, o.walk.dtype, o.walk.view.offset + o.walk.offset, channels))
      most = Math.max(most, Math.abs(v));
    return most;
  };
  const term = sizeOf(nest.body ?? num(0), byte);
  known.set(-1, nest.reduce.reduce((a, b) => a * b, term) + (init === undefined ? 0 : size(init)));
  return (i) => {
    const most = known.get(i) ?? size(i);
    known.set(i, most);
    return most;
  };
}

/** The most that |x| can be, up to roundings; ∞: not known, or NaN. */
function sizeOf(x: Expr, size: Size): number {
  const of = (y: Expr): number => sizeOf(y, size);
  const most = ((): number => {
    if (x.k === "const") return Math.abs(x.v);
    if (x.k === "in") return size(x.i);
    if (x.k === "cast" || (x.k === "un" && x.op === "nearest")) return of(x.a);
    if (x.k !== "bin") return Number.POSITIVE_INFINITY;
    if (x.op === "mul") return of(x.a) * of(x.b);
    if (x.op === "add" || x.op === "sub") return of(x.a) + of(x.b);
    return x.op === "min" || x.op === "max" ? Math.max(of(x.a), of(x.b)) : Number.POSITIVE_INFINITY;
  })();
  return x.t === "i32" ? Math.min(most, 2 ** 31) : Number.isNaN(most) ? Number.POSITIVE_INFINITY : most;
}

/** nearest(real) + zero. Less −magic, not plus: a product plus a number might be contracted. */
const toInteger = (real: Expr, zero: number): Expr =>
  sub(bits(sub(real, num(-magic)), "i32"), magicBits - zero);

/** max(nearest(real), lo) + zero. */
const rounded = ({ lo, zero }: Rounding, real: Expr): Expr =>
  sub(max(bits(sub(real, num(-magic)), "i32"), magicBits + lo), magicBits - zero);
