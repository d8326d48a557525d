// Requantisation in few instructions: clamp(nearest(r)) + zero, five operations for four numbers where the
// plain reading takes nine or more. Adding 1.5·2^23 to r leaves its nearest integer (half to even) in the
// low bits, and the bits of positive floats rise with them, so both bounds hold as integers, for any r that
// is not NaN: beyond ±2^22 the bits only go further out. Where the result is stored as 8 bits the narrowing
// store saturates, which is the clamp to the whole range.
import { bits, type Expr, max, min, num, sub } from "../../../compiler/expr.js";
import type { DType } from "../../../graph/dtype.js";
import { rangeOfDType } from "../elements.js";

const magic = 12582912;
const magicBits = 0x4b400000;

type Bin = Extract<Expr, { k: "bin" }>;
const isBin = (x: Expr, op: Bin["op"]): x is Bin => x.k === "bin" && x.op === op;
const constant = (x: Expr): number | undefined => (x.k === "const" ? x.v : undefined);

/**
 * An expression that stores the same, where the store of 8-bit types saturates.
 * @param finite operands that are known to hold finite numbers
 * @param rebuild x with changed children
 */
export function requantized(
  x: Expr,
  type: DType,
  finite: (operand: number) => boolean,
  rebuild: (x: Expr, change: (c: Expr) => Expr) => Expr,
): Expr {
  const memo = new Map<Expr, Expr>();
  const visit = (y: Expr): Expr => {
    let z = memo.get(y);
    if (!z) {
      const r = matchRounding(y, finite);
      z = r ? min(rounded(r, rebuild(r.real, visit)), r.hi + r.zero) : rebuild(y, visit);
      memo.set(y, z);
    }
    return z;
  };
  if (type !== "int8" && type !== "uint8") return visit(x);
  const [least, most] = rangeOfDType(type);
  const r = matchRounding(x, finite);
  if (r && r.hi + r.zero >= most && r.lo + r.zero >= least) return rounded(r, rebuild(r.real, visit));
  if (x.t === "i32" && isBin(x, "min") && constant(x.b) === most)
    if (isBin(x.a, "max") && constant(x.a.b) === least) return visit(x.a.a);
  return visit(x);
}

interface Rounding {
  readonly real: Expr;
  readonly lo: number;
  readonly hi: number;
  readonly zero: number;
}

/** i32(nearest(min(max(real, lo), hi))) [+ zero], bounds integers. */
function matchRounding(x: Expr, finite: (operand: number) => boolean): Rounding | undefined {
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
  if (!small(lo) || !small(hi) || !small(zero) || !isNumber(real, finite)) return undefined;
  return { real, lo, hi, zero };
}

/** Never NaN: an integer times finite numbers. */
function isNumber(x: Expr, finite: (operand: number) => boolean): boolean {
  if (x.k === "cast") return x.a.t === "i32";
  if (!isBin(x, "mul")) return false;
  const factor = x.b.k === "const" ? Number.isFinite(x.b.v) : x.b.k === "in" && x.b.i >= 0 && finite(x.b.i);
  return factor && x.b.t === "f32" && isNumber(x.a, finite) && x.a.k === "cast";
}

/** max(nearest(real), lo) + zero. Less −magic, not plus: a product plus a number might be contracted. */
const rounded = ({ lo, zero }: Rounding, real: Expr): Expr =>
  sub(max(bits(sub(real, num(-magic)), "i32"), magicBits + lo), magicBits - zero);
