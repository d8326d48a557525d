// Products of recurrent layers: rows of reals times weights. Stored weights are multiplied in int32, the rows made
// bytes by their range, zero included, which is what ONNX's DynamicQuantizeLinear does:
//
//   s = (max − min) / 255      z = nearest(−min / s)      q = clamp(nearest(x / s) + z)
//   x·w = s · sw · (Σ q·(w − zw) − z · Σ (w − zw))        the last sum given: weights may be packed and gone
import { type Access, at } from "../compiler/nest.js";
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import { walk } from "./lowering.js";
import type { LowerContext, LowerTensor } from "./op.js";
import { channelTable, minusZero, scalesOf } from "./requantize.js";

export interface Product {
  /** Rows, and the columns of the product. */
  readonly loops: readonly number[];
  readonly k: number;
  /** By the rows' loops and k. */
  readonly x: Access;
  /** By the loops and k; an input of the node. */
  readonly w: Access;
  readonly weights: LowerTensor;
  /** Σ (w − zw), by the loops, where weights are stored. */
  readonly sums: Access | undefined;
  /** By the loops. */
  readonly added: readonly Access[];
  /** Of the product and what is added. */
  readonly f: (sum: Expr) => Expr;
  readonly out: Access;
}

export function dense(c: LowerContext, p: Product): void {
  if (p.sums) return denseOfBytes(c, p, p.sums);
  const { loops, k, added, out } = p;
  const operands = [alongK(p.x, loops.length - 1), p.w, ...added];
  const body = e.mul(e.input(0, "f32"), e.input(1, "f32"));
  const result = p.f(plusAdded(e.accumulator("f32"), added, 2));
  c.kernel("dense", {}, { loops, reduce: [k], operands, body, combine: "sum", result, out });
}

function denseOfBytes(c: LowerContext, p: Product, sums: Access): void {
  const { loops, k, weights, added, out } = p;
  const rows = loops.length - 1;
  const x = byRange(c, p.x, [...loops.slice(0, -1), k]);
  const operands: Access[] = [];
  const body = e.mul(e.input(0, "i32"), minusZero(c, weights, operands, 2, at(rows)));
  const scales = channelTable(c, scalesOf(weights), operands, 2, at(rows));
  const next = 2 + operands.length;
  const zeros = e.mul(e.input(next, "i32"), e.input(next + 1, "i32"));
  const step = e.mul(e.input(next + 2, "f32"), scales);
  const real = e.mul(e.cast(e.sub(e.accumulator("i32"), zeros), "f32"), step);
  c.kernel(
    "dense",
    {},
    {
      loops,
      reduce: [k],
      operands: [alongK(x.bytes, rows), p.w, ...operands, sums, x.zero, x.scale, ...added],
      body,
      combine: "sum",
      result: p.f(plusAdded(real, added, next + 3)),
      out,
    },
  );
}

const plusAdded = (sum: Expr, added: readonly Access[], first: number): Expr =>
  added.reduce<Expr>((s, _, i) => e.add(s, e.input(first + i, "f32")), sum);

/** k, behind the rows' loops, as the reduction behind the columns'. */
const alongK = (x: Access, rows: number): Access => ({
  ...x,
  index: x.index.map((i) => (i.terms[0]?.[0] === rows ? at(rows + 1) : i)),
});

/** x as bytes of the same axes, their scale and zero point. */
function byRange(
  c: LowerContext,
  x: Access,
  loops: readonly number[],
): Record<"bytes" | "scale" | "zero", Access> {
  const one = (type: "float32" | "int32"): Access => ({ value: c.temp(type, []), index: [] });
  const extreme = (combine: "max" | "min", bounded: typeof e.max): Access => {
    const out = one("float32");
    const result = bounded(e.accumulator("f32"), 0);
    c.nest({ loops: [], reduce: loops, operands: [x], body: e.input(0, "f32"), combine, result, out });
    return out;
  };
  const nest = (own: readonly number[], operands: Access[], result: Expr, out: Access): Access => {
    c.nest({ loops: own, reduce: [], operands, result, out });
    return out;
  };
  const [first, second] = [e.input(0, "f32"), e.input(1, "f32")];
  const [high, low] = [extreme("max", e.max), extreme("min", e.min)];
  const range = e.sub(first, second);
  const steps = e.mul(e.select(e.eq(range, 0), 255, range), Math.fround(1 / 255));
  const scale = nest([], [high, low], steps, one("float32"));
  const point = e.clamp(e.nearest(e.div(e.neg(first), second)), 0, 255);
  const zero = nest([], [low, scale], e.cast(point, "i32"), one("int32"));
  const moved = e.add(e.nearest(e.div(first, second)), e.cast(e.input(2, "i32"), "f32"));
  const bytes = { value: c.temp("uint8", loops), index: walk(loops.length) };
  nest(loops, [x, scale, zero], e.cast(e.clamp(moved, 0, 255), "i32"), bytes);
  return { bytes, scale, zero };
}
