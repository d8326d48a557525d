// TopK: the k largest (or smallest) elements along an axis and where they were. Of equal elements the
// first comes first; NaN counts as larger than everything. Sorting is no loop nest: a host kernel.
import { count, type Dim } from "../graph/dim.js";
import {
  axisOf,
  bool,
  type InferContext,
  type Inferred,
  int,
  type LowerContext,
  need,
  type OpDef,
  type Reference,
  reject,
} from "./op.js";
import { boolAttr, intAttr, listOf, outShape, refInput, refShape, result, unknownDim } from "./move.js";

function infer(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const axis = axisOf(c, int(c.attrs, "axis"), x.shape.length);
  const k = listOf(c, 1)?.[0] ?? unknownDim(c, "k");
  const d = x.shape[axis] as Dim;
  if (typeof k === "number" && (k < 0 || (typeof d === "number" && k > d)))
    reject(c, `k ${k} of an axis of ${d}`);
  const shape = x.shape.map((s, i) => (i === axis ? k : s));
  return [result(c, x.dtype, shape), result(c, c.outputs[1]?.dtype === "int32" ? "int32" : "int64", shape)];
}

function lower(c: LowerContext): void {
  if (count(outShape(c)) === 0) return;
  const axis = axisOf(c, int(c.attrs, "axis"), outShape(c).length);
  const params = { axis, largest: bool(c.attrs, "largest") ? 1 : 0 };
  const writes = c.outputs.map((_, o) => c.output(o));
  c.opaque("top_k", params, [c.input(0)], writes);
}

export const ops: OpDef[] = [
  {
    name: "TopK",
    inputs: ["x", "k"],
    outputs: 2,
    attrs: { axis: intAttr(-1), largest: boolAttr(true), sorted: boolAttr(true) },
    infer,
    lower,
  },
];

export const references: Record<string, Reference> = {
  TopK: (c) => {
    const x = refInput(c, 0);
    const shape = refShape(c);
    const axis = axisOf({ op: c.op, name: "" }, int(c.attrs, "axis"), shape.length);
    const [d, k] = [x.shape[axis] as number, shape[axis] as number];
    const inner = count(shape.slice(axis + 1));
    const sign = bool(c.attrs, "largest") ? -1 : 1;
    const key = (v: number): number => (Number.isNaN(v) ? Number.POSITIVE_INFINITY : v);
    const order = (a: number, b: number): number =>
      key(a) === key(b) ? Number(Number.isNaN(a)) - Number(Number.isNaN(b)) : key(a) < key(b) ? -1 : 1;
    const [values, places] = [new Array<number>(count(shape)), new Array<number>(count(shape))];
    for (let o = 0; o < count(shape.slice(0, axis)); o++)
      for (let i = 0; i < inner; i++) {
        const at = (p: number): number => x.data[(o * d + p) * inner + i] as number;
        const sorted = Array.from({ length: d }, (_, p) => p).sort(
          (a, b) => sign * order(at(a), at(b)) || a - b,
        );
        for (let p = 0; p < k; p++) {
          values[(o * k + p) * inner + i] = at(sorted[p] as number);
          places[(o * k + p) * inner + i] = sorted[p] as number;
        }
      }
    return [values, places];
  },
};
