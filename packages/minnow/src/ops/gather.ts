// Gather, GatherElements, GatherND: reads at positions that data gives. The position along an axis comes
// from an operand (AxisIndex.table); targets check it and fail the run with index_out_of_range.
import { count, type Dim, isConcrete } from "../graph/dim.js";
import { ModelError } from "../error.js";
import { at, type AxisIndex, fixed, fromTable } from "../compiler/nest.js";
import {
  axisOf,
  type InferContext,
  type Inferred,
  int,
  type LowerContext,
  need,
  type OpDef,
  type Reference,
  type RefTensor,
  reject,
} from "./op.js";
import {
  everyAxis,
  flat,
  intAttr,
  moved,
  movedValue,
  outShape,
  refInput,
  refMoved,
  refShape,
  remap,
  result,
  shapeOf,
} from "./move.js";

type Context = Pick<InferContext, "op" | "name" | "attrs">;

/** Axis and number of batch axes, which x and indices share in front. */
function gatherAxes(c: Context, rank: number, indexRank: number): { axis: number; batch: number } {
  const axis = axisOf(c, int(c.attrs, "axis"), rank);
  const given = int(c.attrs, "batchDims");
  const batch = given < 0 ? given + indexRank : given;
  if (batch < 0 || batch > axis || batch > indexRank)
    reject(c, `batchDims ${given} does not fit axis ${axis}`);
  return { axis, batch };
}

function indexInput(c: InferContext): { shape: readonly Dim[]; value?: readonly Dim[] } {
  const t = need(c, 1);
  if (t.dtype !== "int32" && t.dtype !== "int64")
    reject(c, `indices are ${t.dtype}, not int32 or int64`, "unsupported");
  return t;
}

/** Position in an axis of `d`; a negative one counts from the end. */
function position(c: Context, p: number, d: number): number {
  const q = p < 0 ? p + d : p;
  if (q >= 0 && q < d) return q;
  throw new ModelError(
    "index_out_of_range",
    `${c.op} ${JSON.stringify(c.name)}: index ${p} in an axis of ${d}`,
    {
      op: c.op,
    },
  );
}

function inferGather(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const ind = indexInput(c);
  const { axis, batch } = gatherAxes(c, x.shape.length, ind.shape.length);
  const shape = [...x.shape.slice(0, axis), ...ind.shape.slice(batch), ...x.shape.slice(axis + 1)];
  if (!ind.value || !isConcrete(ind.value) || !isConcrete(ind.shape) || !isConcrete(x.shape))
    return [result(c, x.dtype, shape)];
  const source = gatherSource(c, ind.value, ind.shape, x.shape, axis, batch);
  return [result(c, x.dtype, shape, movedValue(x, shape, source))];
}

/** Output index [batch…, before…, index…, after…] → input index. */
function gatherSource(
  c: Context,
  ind: ArrayLike<number>,
  indShape: readonly number[],
  xShape: readonly number[],
  axis: number,
  batch: number,
) {
  const inner = indShape.length - batch;
  return (o: readonly number[]): number[] => {
    const pick = [...o.slice(0, batch), ...o.slice(axis, axis + inner)];
    const p = position(c, ind[flat(pick, indShape)] as number, xShape[axis] as number);
    return [...o.slice(0, axis), p, ...o.slice(axis + inner)];
  };
}

/** The gathers as one nest: `index` reads x, `tables` the indices (operands 1…). */
function emit(c: LowerContext, index: AxisIndex[], tables: AxisIndex[][]): void {
  const out = outShape(c);
  if (count(out) === 0) return;
  const x = shapeOf(c, 0);
  index.forEach((a, i) => {
    if (a.table !== undefined && x[i] === 0)
      reject(c, `axis ${i} of [${x.join(", ")}] has nothing to pick from`);
  });
  c.nest({
    loops: out,
    reduce: [],
    operands: [{ value: c.input(0), index }, ...tables.map((t) => ({ value: c.input(1), index: t }))],
    result: moved(c, 0),
    out: { value: c.output(0), index: everyAxis(out.length) },
  });
}

function lowerGather(c: LowerContext): void {
  const [x, ind] = [shapeOf(c, 0), shapeOf(c, 1)];
  const { axis, batch } = gatherAxes(c, x.length, ind.length);
  const inner = ind.length - batch;
  const index = x.map((_, i) => (i < axis ? at(i) : i === axis ? fromTable(1, true) : at(i + inner - 1)));
  emit(c, index, [ind.map((_, i) => (i < batch ? at(i) : at(i - batch + axis)))]);
}

function inferElements(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const ind = indexInput(c);
  const axis = axisOf(c, int(c.attrs, "axis"), x.shape.length);
  const [a, b] = [x.shape, ind.shape];
  const fits =
    b.length === a.length &&
    b.every((d, i) => i === axis || typeof d !== "number" || !(d > (a[i] as number)));
  if (!fits) reject(c, `indices [${b.join(", ")}] do not fit [${a.join(", ")}] along axis ${axis}`);
  return [result(c, x.dtype, b)];
}

function lowerElements(c: LowerContext): void {
  const rank = shapeOf(c, 0).length;
  const axis = axisOf(c, int(c.attrs, "axis"), rank);
  emit(
    c,
    everyAxis(rank).map((a, i) => (i === axis ? fromTable(1, true) : a)),
    [everyAxis(rank)],
  );
}

/** Batch axes in front, and how many axes of x one row of indices picks. */
function ndAxes(c: Context, x: readonly Dim[], ind: readonly Dim[]): { batch: number; depth: number } {
  const batch = int(c.attrs, "batchDims");
  const depth = ind[ind.length - 1];
  if (typeof depth !== "number") return reject(c, "the last axis of indices must be known", "unsupported");
  if (batch < 0 || batch >= ind.length || batch + depth > x.length)
    reject(c, `indices [${ind.join(", ")}] do not fit [${x.join(", ")}]`);
  return { batch, depth };
}

function inferND(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const ind = indexInput(c);
  const { batch, depth } = ndAxes(c, x.shape, ind.shape);
  return [result(c, x.dtype, [...ind.shape.slice(0, -1), ...x.shape.slice(batch + depth)])];
}

function lowerND(c: LowerContext): void {
  const [x, ind] = [shapeOf(c, 0), shapeOf(c, 1)];
  const { batch, depth } = ndAxes(c, x, ind);
  const rows = ind.length - 1;
  const index = x.map((_, i) => {
    if (i < batch) return at(i);
    return i < batch + depth ? fromTable(1 + i - batch, true) : at(rows + i - batch - depth);
  });
  emit(
    c,
    index,
    Array.from({ length: depth }, (_, k) => [...everyAxis(rows), fixed(k)]),
  );
}

export const ops: OpDef[] = [
  {
    name: "Gather",
    inputs: ["x", "indices"],
    attrs: { axis: intAttr(0), batchDims: intAttr(0) },
    infer: inferGather,
    lower: lowerGather,
  },
  {
    name: "GatherElements",
    inputs: ["x", "indices"],
    attrs: { axis: intAttr(0) },
    infer: inferElements,
    lower: lowerElements,
  },
  {
    name: "GatherND",
    inputs: ["x", "indices"],
    attrs: { batchDims: intAttr(0) },
    infer: inferND,
    lower: lowerND,
  },
];

const inputs = (
  c: Parameters<Reference>[0],
): { k: Context; x: RefTensor; ind: RefTensor; data: ArrayLike<number> } => {
  const x = refInput(c, 0);
  return {
    k: { op: c.op, name: "", attrs: c.attrs },
    x,
    ind: refInput(c, 1),
    data: refMoved(x, c.outputs[0]),
  };
};

export const references: Record<string, Reference> = {
  Gather: (c) => {
    const { k, x, ind, data } = inputs(c);
    const { axis, batch } = gatherAxes(k, x.shape.length, ind.shape.length);
    return [remap(data, x.shape, refShape(c), gatherSource(k, ind.data, ind.shape, x.shape, axis, batch))];
  },
  GatherElements: (c) => {
    const { k, x, ind, data } = inputs(c);
    const axis = axisOf(k, int(c.attrs, "axis"), x.shape.length);
    const source = (o: readonly number[]): number[] =>
      o.map((v, i) =>
        i === axis ? position(k, ind.data[flat(o, ind.shape)] as number, x.shape[i] as number) : v,
      );
    return [remap(data, x.shape, refShape(c), source)];
  },
  GatherND: (c) => {
    const { k, x, ind, data } = inputs(c);
    const { batch, depth } = ndAxes(k, x.shape, ind.shape);
    const rows = ind.shape.length - 1;
    const source = (o: readonly number[]): number[] => {
      const row = flat(o.slice(0, rows), ind.shape.slice(0, -1)) * depth;
      const picked = Array.from({ length: depth }, (_, i) =>
        position(k, ind.data[row + i] as number, x.shape[batch + i] as number),
      );
      return [...o.slice(0, batch), ...picked, ...o.slice(rows)];
    };
    return [remap(data, x.shape, refShape(c), source)];
  },
};
