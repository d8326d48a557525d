// Pad: elements added around a tensor (or cut off, where a pad is negative). Constant padding is slabs
// of one value around a copy of the interior; every other mode is a read through one small index table an axis.
import { add, count, type Dim, isConcrete, type Shape } from "../graph/dim.js";
import type { DType } from "../graph/dtype.js";
import type { Quantization } from "../graph/graph.js";
import * as e from "../compiler/expr.js";
import { type Access, at, type AxisIndex, fixed, fromTable, scalarOf } from "../compiler/nest.js";
import {
  type InferContext,
  type Inferred,
  type LowerContext,
  need,
  type OpDef,
  type Reference,
  reject,
  str,
} from "./op.js";
import {
  everyAxis,
  halfEven,
  integerRange,
  intsAttr,
  listOf,
  moved,
  movedValue,
  moveNest,
  outShape,
  refInput,
  refList,
  refMoved,
  refShape,
  remap,
  result,
  shapeOf,
  tableLength,
  unknownDim,
  unknownList,
} from "./move.js";

const modes = ["constant", "reflect", "symmetric", "edge", "wrap"];

/** [before, after] an axis. A [rank, 2] input (TFLite) has pairs; a flat list has all begins first. */
function pairs(list: readonly Dim[], pairwise: boolean, rank: number): [Dim, Dim][] | null {
  if (list.length !== 2 * rank) return null;
  return Array.from({ length: rank }, (_, i) =>
    pairwise ? [list[2 * i] as Dim, list[2 * i + 1] as Dim] : [list[i] as Dim, list[i + rank] as Dim],
  );
}

const isPairwise = (shape: Shape | undefined): boolean => shape?.length === 2;

function padsOf(
  c: Pick<InferContext, "op" | "name" | "attrs" | "inputs">,
  rank: number,
): [Dim, Dim][] | null {
  const list = listOf(c, 1, "pads");
  if (!list) return null;
  if (list.length === 0) return Array.from({ length: rank }, () => [0, 0]);
  return (
    pairs(list, isPairwise(c.inputs[1]?.shape), rank) ?? reject(c, `${list.length} pads for rank ${rank}`)
  );
}

/** The element of an axis of `d` that stands at position `p` outside it. */
function outside(mode: string, p: number, d: number): number {
  const mod = (a: number, n: number): number => ((a % n) + n) % n;
  if (mode === "edge") return Math.max(0, Math.min(d - 1, p));
  if (mode === "wrap") return mod(p, d);
  if (mode === "symmetric") {
    const q = mod(p, 2 * d);
    return q < d ? q : 2 * d - 1 - q;
  }
  if (d === 1) return 0;
  const q = mod(p, 2 * (d - 1));
  return q < d ? q : 2 * (d - 1) - q;
}

function inferPad(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const mode = str(c.attrs, "mode");
  if (!modes.includes(mode)) reject(c, `mode ${JSON.stringify(mode)} is not known`, "unsupported");
  const rank = x.shape.length;
  const pads = padsOf(c, rank);
  if (!pads)
    return [
      result(
        c,
        x.dtype,
        x.shape.map((_, i) => unknownDim(c, `size${i}`)),
      ),
    ];
  const shape = pads.map(([before, after], i) => {
    const size = add(x.shape[i] as Dim, add(before, after));
    if (typeof size === "number" && size < 0) reject(c, `axis ${i} would have ${size} elements`);
    if (mode !== "constant" && x.shape[i] === 0 && size !== 0)
      reject(c, `axis ${i} is empty and cannot be ${mode}ed`);
    return size;
  });
  return [result(c, x.dtype, shape, paddedValue(c, shape, pads, mode))];
}

function paddedValue(
  c: InferContext,
  shape: Shape,
  pads: [Dim, Dim][],
  mode: string,
): readonly Dim[] | undefined {
  const x = need(c, 0);
  if (!x.value || !isConcrete(x.shape) || !isConcrete(shape)) return undefined;
  const fill = c.inputs[2] ? c.inputs[2].value?.[0] : (c.attrs.value as number);
  if (fill === undefined) return undefined;
  const from = x.shape;
  const before = pads.map(([b]) => b as number);
  const source = (o: readonly number[]): number[] | null => {
    const s = o.map((v, i) => v - (before[i] as number));
    if (s.every((v, i) => v >= 0 && v < (from[i] as number))) return s;
    return mode === "constant" ? null : s.map((v, i) => outside(mode, v, from[i] as number));
  };
  return movedValue(x, shape, source, fill);
}

/** A real number as the stored element of a tensor. */
export function stored(value: number, dtype: DType, quant?: Quantization): number {
  if (quant) {
    const [lo, hi] = integerRange(dtype);
    return Math.min(hi, Math.max(lo, halfEven(value / (quant.scale[0] ?? 1)) + (quant.zeroPoint[0] ?? 0)));
  }
  return dtype === "float32" || dtype === "float16" ? value : Math.trunc(value);
}

function lowerPad(c: LowerContext): void {
  const shape = shapeOf(c, 0);
  const pads = padsOf(c, shape.length) as [number, number][] | null;
  if (!pads) unknownList(c, "pads");
  const mode = str(c.attrs, "mode");
  if (mode === "constant") lowerConstant(c, shape, pads);
  else lowerTables(c, shape, pads, mode);
}

/** A slab for each side of an axis that has elements added, and the interior between them. */
function lowerConstant(c: LowerContext, shape: readonly number[], pads: readonly [number, number][]): void {
  const out = outShape(c);
  const size = pads.map(([b, a], i) => Math.max(0, (shape[i] as number) + Math.min(0, b) + Math.min(0, a)));
  const start = pads.map(([b]) => Math.max(0, b));
  pads.forEach((_, axis) => {
    const end = (start[axis] as number) + (size[axis] as number);
    fill(c, out, axis, 0, start[axis] as number);
    fill(c, out, axis, end, (out[axis] as number) - end);
  });
  if (count(size) === 0) return;
  const index = pads.map(([b], i) => at(i, 1, Math.max(0, -b)));
  const nest = moveNest(
    c,
    size,
    index,
    start.map((s, i) => at(i, 1, s)),
  );
  // Channels, or the outermost axis: then it is one more input of a concat, and may be made in its place.
  const padded = pads.flatMap(([b, a], i) => (b > 0 || a > 0 ? [i] : []));
  const axis = padded[0] as number;
  const asConcat = padded.length === 1 && (axis === out.length - 1 || count(out.slice(0, axis)) === 1);
  if (asConcat) c.kernel("concat", { axis }, nest);
  else c.nest(nest);
}

/** `length` elements of `axis` from `start`, all of the others. */
function fill(c: LowerContext, out: readonly number[], axis: number, start: number, length: number): void {
  const loops = out.map((d, i) => (i === axis ? length : d));
  const y = c.outputs[0];
  if (!y || count(loops) <= 0) return;
  const v = c.inputs[2];
  const t = scalarOf(y.dtype);
  c.nest({
    loops,
    reduce: [],
    operands: v ? [{ value: c.input(2), index: v.shape.map(() => fixed(0)) }] : [],
    result: v ? moved(c, 2) : e.num(stored(c.attrs.value as number, y.dtype, y.quant), t),
    out: { value: c.output(0), index: out.map((_, i) => at(i, 1, i === axis ? start : 0)) },
  });
}

function lowerTables(
  c: LowerContext,
  shape: readonly number[],
  pads: readonly [number, number][],
  mode: string,
): void {
  const out = outShape(c);
  if (count(out) === 0) return;
  const operands: Access[] = [];
  const index: AxisIndex[] = shape.map((d, i) => {
    const [before, after] = pads[i] as [number, number];
    if (before <= 0 && after <= 0) return at(i, 1, -before);
    const table = Int32Array.from({ length: tableLength(c, out[i] as number) }, (_, o) =>
      outside(mode, o - before, d),
    );
    operands.push({ value: c.table(table, [table.length]), index: [at(i)] });
    return fromTable(operands.length);
  });
  c.nest({
    loops: out,
    reduce: [],
    operands: [{ value: c.input(0), index }, ...operands],
    result: moved(c, 0),
    out: { value: c.output(0), index: everyAxis(out.length) },
  });
}

export const ops: OpDef[] = [
  {
    name: "Pad",
    inputs: ["x", "pads?", "value?"],
    attrs: {
      pads: intsAttr,
      value: { type: "float", default: 0 },
      mode: { type: "string", default: "constant" },
    },
    infer: inferPad,
    lower: lowerPad,
  },
];

/** One step at a time towards the tensor: turn round at a mirror, jump at the seam of a wrap. */
function walk(mode: string, p: number, d: number): number {
  let q = p;
  while (q < 0 || q >= d) {
    if (mode === "edge") q = q < 0 ? 0 : d - 1;
    else if (mode === "wrap") q += q < 0 ? d : -d;
    else if (mode === "symmetric") q = q < 0 ? -1 - q : 2 * d - 1 - q;
    else q = d === 1 ? 0 : q < 0 ? -q : 2 * (d - 1) - q;
  }
  return q;
}

export const references: Record<string, Reference> = {
  Pad: (c) => {
    const x = refInput(c, 0);
    const y = c.outputs[0];
    const rank = x.shape.length;
    const list = refList(c, 1, "pads");
    const pads = list.length ? pairs(list, isPairwise(c.inputs[1]?.shape), rank) : null;
    const mode = str(c.attrs, "mode");
    const v = c.inputs[2];
    const value = v ? (refMoved(v, y)[0] as number) : stored(c.attrs.value as number, x.dtype, y?.quant);
    const source = (o: readonly number[]): number[] | null => {
      const s = o.map((p, i) => p - ((pads?.[i]?.[0] as number) ?? 0));
      if (s.every((p, i) => p >= 0 && p < (x.shape[i] as number))) return s;
      return mode === "constant" ? null : s.map((p, i) => walk(mode, p, x.shape[i] as number));
    };
    return [remap(refMoved(x, y), x.shape, refShape(c), source, value)];
  },
};
