// What values an integer expression can take, as far as that is cheap to see: a store that need not
// wrap, or an index that need not be tested, is shorter.
import type { Expr } from "../../compiler/expr.js";
import { rangeOfDType } from "./elements.js";
import type { Normal } from "./nest_normal.js";

type Range = readonly [number, number];
const whole: Range = [-(2 ** 31), 2 ** 31 - 1];

/** Least and greatest value of an i32 expression; the whole of i32 when it is not obvious. */
export function rangeOf(e: Expr, n: Pick<Normal, "operands">): Range {
  if (e.t !== "i32") return whole;
  switch (e.k) {
    case "const":
      return [e.v, e.v];
    case "in": {
      const p = e.i < 0 ? undefined : n.operands[e.i];
      if (!p) return whole;
      const [lo, hi] = rangeOfDType(p.dtype);
      return p.guards.length > 0 ? [Math.min(lo, p.fill), Math.max(hi, p.fill)] : [lo, hi];
    }
    case "cmp":
      return [0, 1];
    case "select": {
      const a = rangeOf(e.a, n);
      const b = rangeOf(e.b, n);
      return [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
    }
    case "bin":
      return ofBinary(e, n);
    case "cast":
      return e.a.t === "f32" ? ofFloat(e.a) : whole;
    default:
      return whole;
  }
}

/** i32 of a float between two bounds; NaN gives 0. */
function ofFloat(e: Expr): Range {
  const [lo, hi] = bounds(e);
  return [Math.max(whole[0], Math.min(0, Math.floor(lo))), Math.min(whole[1], Math.max(0, Math.ceil(hi)))];
}

function bounds(e: Expr): Range {
  if (e.k === "un" && ["nearest", "floor", "ceil", "trunc"].includes(e.op)) return bounds(e.a);
  if (e.k === "bin" && (e.op === "max" || e.op === "min") && e.b.k === "const") {
    const [lo, hi] = bounds(e.a);
    const { v } = e.b;
    return e.op === "max" ? [Math.max(lo, v), Math.max(hi, v)] : [Math.min(lo, v), Math.min(hi, v)];
  }
  return [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
}

function ofBinary(e: Extract<Expr, { k: "bin" }>, n: Pick<Normal, "operands">): Range {
  const a = rangeOf(e.a, n);
  const b = rangeOf(e.b, n);
  const inside = (lo: number, hi: number): Range => (lo >= whole[0] && hi <= whole[1] ? [lo, hi] : whole);
  switch (e.op) {
    case "min":
      return [Math.min(a[0], b[0]), Math.min(a[1], b[1])];
    case "max":
      return [Math.max(a[0], b[0]), Math.max(a[1], b[1])];
    case "add":
      return inside(a[0] + b[0], a[1] + b[1]);
    case "sub":
      return inside(a[0] - b[1], a[1] - b[0]);
    case "and":
      return a[0] >= 0 && b[0] >= 0 ? [0, Math.min(a[1], b[1])] : whole;
    case "or":
    case "xor":
      return a[0] >= 0 && b[0] >= 0 && a[1] <= 1 && b[1] <= 1 ? [0, 1] : whole;
    default:
      return whole;
  }
}
