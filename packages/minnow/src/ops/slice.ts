// Slice (ONNX) and StridedSlice (TFLite): start, stop and step along axes; both become one affine read.
// They differ in how bounds are written, not in what they mean: see `span`.
import { add, ceilDiv, count, type Dim, max, min, type Shape, sub } from "../graph/dim.js";
import { at, type AxisIndex, fixed } from "../compiler/nest.js";
import {
  type InferContext,
  type Inferred,
  bool,
  int,
  type LowerContext,
  need,
  type OpDef,
  type Reference,
  reject,
} from "./op.js";
import {
  axesOf,
  boolAttr,
  everyAxis,
  intAttr,
  intsAttr,
  listOf,
  movedValue,
  moveNest,
  outShape,
  refInput,
  refMoved,
  refShape,
  remap,
  result,
  shapeOf,
  unknownDim,
  unknownList,
} from "./move.js";

/** Elements start, start + step, … of an axis. `start` is a number wherever the axis' size is one. */
export interface Span {
  readonly start: Dim;
  readonly step: number;
  readonly length: Dim;
}

const far = 2 ** 31 - 1; // "to the end" as exporters write it
const nonNegative = (d: Dim): boolean => (typeof d === "number" ? d >= 0 : !d.includes("-"));

/**
 * The span of an axis of size `dim`, or null where it depends on what is not known.
 * Bounds count from the end when negative and are clamped; null = the whole way (by `step`'s sign).
 * @param lowest what a start before the axis clamps to when walking backwards: 0 (ONNX), −1 (TFLite: empty)
 */
export function span(dim: Dim, from: Dim | null, to: Dim | null, step: number, lowest: 0 | -1): Span | null {
  if (typeof dim === "number") {
    if (typeof from === "string" || typeof to === "string") return null;
    return concreteSpan(dim, from, to, step, lowest);
  }
  if (step < 0) {
    const whole =
      (from === null || from === -1 || (typeof from === "number" && from >= far)) &&
      (to === null || (typeof to === "number" && to <= -far));
    return whole ? { start: sub(dim, 1), step, length: ceilDiv(dim, -step) } : null;
  }
  const start = from === null ? 0 : clampSymbolic(from, dim);
  const stop = to === null || (typeof to === "number" && to >= far) ? dim : clampSymbolic(to, dim);
  if (start === null || stop === null) return null;
  return { start, step, length: ceilDiv(distance(dim, from ?? 0, start, stop), step) };
}

function clampSymbolic(bound: Dim, dim: Dim): Dim | null {
  if (bound === 0 || bound === dim) return bound;
  if (typeof bound === "number" && bound < 0) return max(add(dim, bound), 0);
  return nonNegative(bound) ? min(bound, dim) : null;
}

/** max(0, stop − start), in its simplest form. */
function distance(dim: Dim, from: Dim, start: Dim, stop: Dim): Dim {
  if (start === 0) return stop;
  if (stop === dim && typeof from === "number") return from < 0 ? min(-from, dim) : max(sub(dim, from), 0);
  return max(sub(stop, start), 0);
}

function concreteSpan(
  dim: number,
  from: number | null,
  to: number | null,
  step: number,
  lowest: 0 | -1,
): Span {
  const wrap = (v: number): number => (v < 0 ? v + dim : v);
  const clamp = (v: number, lo: number, hi: number): number => Math.max(lo, Math.min(hi, v));
  const [first, last] = step > 0 ? [0, dim] : [lowest, dim - 1];
  const start = clamp(from === null ? (step > 0 ? 0 : dim - 1) : wrap(from), first, last);
  const stop = to === null ? (step > 0 ? dim : -1) : clamp(wrap(to), step > 0 ? 0 : -1, last);
  const length = dim === 0 ? 0 : Math.max(0, Math.ceil((stop - start) / step));
  return { start: length === 0 ? 0 : start, step, length };
}

type Context = Pick<InferContext, "op" | "name" | "attrs" | "inputs">;

/** One span an input axis; null = not known. */
function sliceSpans(c: Context, shape: Shape): (Span | null)[] {
  const [starts, ends] = [listOf(c, 1, "starts"), listOf(c, 2, "ends")];
  const [axisList, stepList] = [listOf(c, 3, "axes"), listOf(c, 4, "steps")];
  if (!axisList || !stepList) unknownList(c, "axes and steps");
  const n = starts?.length ?? ends?.length ?? (axisList.length || shape.length);
  const given = axisList.length ? axisList : Array.from({ length: n }, (_, i) => i);
  if ((starts && starts.length !== n) || (ends && ends.length !== n) || given.length !== n)
    reject(c, `starts, ends and axes differ in length`);
  if (stepList.length !== 0 && stepList.length !== n) reject(c, `${stepList.length} steps for ${n} axes`);
  const axes = axesOf(c, given.map(Number), shape.length);
  const spans = shape.map((d): Span | null => ({ start: 0, step: 1, length: d }));
  axes.forEach((axis, i) => {
    const step = Number(stepList[i] ?? 1);
    if (!Number.isInteger(step) || step === 0) reject(c, `step ${step} along axis ${axis}`);
    const dim = shape[axis] as Dim;
    spans[axis] = starts && ends ? span(dim, starts[i] as Dim, ends[i] as Dim, step, 0) : null;
  });
  return spans;
}

/** How an output axis of StridedSlice comes about: an input axis, or a new axis of 1. */
interface Strided {
  readonly spans: (Span | null)[];
  /** Input axis of each output axis; −1 = new. */
  readonly axes: number[];
}

const bit = (mask: number, i: number): boolean => i < 31 && ((mask >> i) & 1) === 1;

function stridedSpans(c: Context, shape: Shape): Strided {
  const [begin, end, strideList] = [listOf(c, 1), listOf(c, 2), listOf(c, 3)];
  if (!strideList) unknownList(c, "strides");
  const n = strideList.length;
  if ((begin && begin.length !== n) || (end && end.length !== n))
    reject(c, "begin, end and strides differ in length");
  const mask = (name: string): number => int(c.attrs, name);
  const [ellipsis, fresh, shrink] = [mask("ellipsisMask"), mask("newAxisMask"), mask("shrinkAxisMask")];
  const spec = Array.from({ length: n }, (_, i) => i);
  const dots = spec.find((i) => bit(ellipsis, i)) ?? n; // without an ellipsis the rest follows whole
  const consumed = spec.filter((i) => i !== dots && !bit(fresh, i)).length;
  if (consumed > shape.length) reject(c, `${consumed} indices for rank ${shape.length}`);
  const out: Strided = { spans: [], axes: [] };
  const whole = (count: number): void => {
    for (let k = 0; k < count; k++) {
      out.axes.push(out.spans.length);
      out.spans.push({ start: 0, step: 1, length: shape[out.spans.length] as Dim });
    }
  };
  for (const i of spec) {
    if (i === dots) whole(shape.length - consumed);
    else if (bit(fresh, i)) out.axes.push(-1);
    else {
      const dim = shape[out.spans.length] as Dim;
      const step = Number(strideList[i]);
      if (!Number.isInteger(step) || step === 0) reject(c, `stride ${strideList[i]}`);
      const from = bit(mask("beginMask"), i) ? null : begin ? (begin[i] as Dim) : undefined;
      if (bit(shrink, i)) {
        out.spans.push(from === undefined ? null : single(c, dim, from ?? 0));
        continue;
      }
      const to = bit(mask("endMask"), i) ? null : stopOf(c, from, end?.[i]);
      out.axes.push(out.spans.length);
      out.spans.push(from === undefined || to === undefined ? null : span(dim, from, to, step, -1));
    }
  }
  whole(shape.length - out.spans.length);
  return out;
}

/** The end of an axis; with `offset` it counts from the begin. */
function stopOf(c: Context, from: Dim | null | undefined, to: Dim | undefined): Dim | undefined {
  if (to === undefined || !bool(c.attrs, "offset")) return to;
  return from === undefined ? undefined : add(from ?? 0, to);
}

/** One element, whose axis goes away. */
function single(c: Context, dim: Dim, from: Dim): Span | null {
  if (typeof from !== "number") return null;
  if (typeof dim !== "number") return { start: from < 0 ? add(dim, from) : from, step: 1, length: 1 };
  const start = from < 0 ? from + dim : from;
  if (start < 0 || start >= dim) reject(c, `index ${from} is outside an axis of ${dim}`);
  return { start, step: 1, length: 1 };
}

const pick = (spans: readonly (Span | null)[], i: number, o: number): number =>
  ((spans[i] as Span).start as number) + (spans[i] as Span).step * o;

function inferSlice(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const spans = sliceSpans(c, x.shape);
  const shape = spans.map((s, i) => s?.length ?? unknownDim(c, `size${i}`));
  const value = spans.includes(null)
    ? undefined
    : movedValue(x, shape, (o) => o.map((v, i) => pick(spans, i, v)));
  return [result(c, x.dtype, shape, value)];
}

/** Output index → input index of a StridedSlice. */
const unstride =
  ({ spans, axes }: Strided) =>
  (o: readonly number[]): number[] => {
    const s = spans.map((_, i) => pick(spans, i, 0));
    axes.forEach((axis, k) => {
      if (axis >= 0) s[axis] = pick(spans, axis, o[k] as number);
    });
    return s;
  };

function inferStrided(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const strided = stridedSpans(c, x.shape);
  const { spans, axes } = strided;
  const shape = axes.map((axis, i) => (axis < 0 ? 1 : (spans[axis]?.length ?? unknownDim(c, `size${i}`))));
  const value = spans.includes(null) ? undefined : movedValue(x, shape, unstride(strided));
  return [result(c, x.dtype, shape, value)];
}

/** Named "slice" where it could be a view of its input. */
function emit(
  c: LowerContext,
  loops: readonly number[],
  index: AxisIndex[],
  out: AxisIndex[],
  spans: readonly (Span | null)[],
): void {
  if (count(loops) === 0) return;
  const nest = moveNest(c, loops, index, out);
  const axis = spans.findIndex((s, i) => s?.length !== shapeOf(c, 0)[i]);
  if (spans.every((s) => s?.step === 1 || s?.length === 1))
    c.kernel("slice", { axis: Math.max(axis, 0) }, nest);
  else c.nest(nest);
}

function lowerSlice(c: LowerContext): void {
  const spans = sliceSpans(c, shapeOf(c, 0));
  const index = spans.map((s, i) => (s ? at(i, s.step, s.start as number) : unknownList(c, "bounds")));
  emit(c, outShape(c), index, everyAxis(index.length), spans);
}

function lowerStrided(c: LowerContext): void {
  const { spans, axes } = stridedSpans(c, shapeOf(c, 0));
  const index = spans.map((s, i) => {
    if (!s) return unknownList(c, "bounds");
    const loop = axes.indexOf(i);
    return loop < 0 ? fixed(s.start as number) : at(loop, s.step, s.start as number);
  });
  emit(c, outShape(c), index, everyAxis(axes.length), spans);
}

export const ops: OpDef[] = [
  {
    name: "Slice",
    inputs: ["x", "starts?", "ends?", "axes?", "steps?"],
    attrs: { starts: intsAttr, ends: intsAttr, axes: intsAttr, steps: intsAttr },
    infer: inferSlice,
    lower: lowerSlice,
  },
  {
    name: "StridedSlice",
    inputs: ["x", "begin", "end", "strides?"],
    attrs: {
      beginMask: intAttr(0),
      endMask: intAttr(0),
      ellipsisMask: intAttr(0),
      newAxisMask: intAttr(0),
      shrinkAxisMask: intAttr(0),
      offset: boolAttr(false),
    },
    infer: inferStrided,
    lower: lowerStrided,
  },
];

/** A reference's inputs as inference sees them: every bound is known. */
const asContext = (c: Parameters<Reference>[0]): Context => ({
  op: c.op,
  name: "",
  attrs: c.attrs,
  inputs: c.inputs.map(
    (t) => t && { dtype: t.dtype, shape: t.shape, value: t.shape.length < 2 ? Array.from(t.data) : [] },
  ),
});

export const references: Record<string, Reference> = {
  Slice: (c) => {
    const x = refInput(c, 0);
    const spans = sliceSpans(asContext(c), x.shape);
    return [
      remap(refMoved(x, c.outputs[0]), x.shape, refShape(c), (o) => o.map((v, i) => pick(spans, i, v))),
    ];
  },
  StridedSlice: (c) => {
    const x = refInput(c, 0);
    const strided = stridedSpans(asContext(c), x.shape);
    return [remap(refMoved(x, c.outputs[0]), x.shape, refShape(c), unstride(strided))];
  },
};
