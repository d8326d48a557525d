// References of pooling, reductions, normalisation, softmax and running sums: the elements that belong
// together are listed, then folded in float64.
import { count } from "../graph/dim.js";
import { isFloat } from "../graph/dtype.js";
import { sameQuant } from "../compiler/quantized.js";
import { bool, int, ints, type Reference, type RefTensor } from "./op.js";
import {
  arg,
  axisIn,
  offsetIn,
  onReals,
  positions,
  type RefContext,
  roundHalfAway,
  stridesOf,
} from "./reference_tools.js";
import { reducedAxes, reducedShape } from "./reduce.js";
import { type Window, windows } from "./window.js";

const sum = (v: readonly number[]): number => v.reduce((a, b) => a + b, 0);
const largest = (v: readonly number[]): number =>
  v.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
const smallest = (v: readonly number[]): number =>
  v.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);

/** What becomes of the elements of one reduction. */
const folds: Record<string, (v: readonly number[]) => number> = {
  ReduceSum: sum,
  ReduceMean: (v) => sum(v) / v.length,
  ReduceMax: largest,
  ReduceMin: smallest,
  ReduceProd: (v) => v.reduce((a, b) => a * b, 1),
  ReduceL1: (v) => sum(v.map(Math.abs)),
  ReduceL2: (v) => Math.sqrt(sum(v.map((x) => x * x))),
  ReduceSumSquare: (v) => sum(v.map((x) => x * x)),
  ReduceLogSumExp: (v) => {
    const m = largest(v);
    if (!Number.isFinite(m)) return m;
    return Math.log(sum(v.map((x) => Math.exp(x - m)))) + m;
  },
  ReduceAll: (v) => Number(v.every((x) => x !== 0)),
  ReduceAny: (v) => Number(v.some((x) => x !== 0)),
};

/** The elements that meet in each element of the tensor with `axes` reduced to 1. */
function groups(x: RefTensor, axes: readonly number[]): number[][] {
  const small = reducedShape(x.shape, axes, true) as number[];
  const strides = stridesOf(small);
  const lists: number[][] = Array.from({ length: count(small) }, () => []);
  let n = 0;
  for (const at of positions(x.shape)) lists[offsetIn(small, strides, at)]?.push(x.data[n++] as number);
  return lists;
}

const reduce: Reference = onReals((c) => {
  const x = arg(c, 0);
  const given = c.inputs[1];
  const axes = reducedAxes(
    { ...c, name: "" },
    x.shape.length,
    given && { value: Array.from(given.data), shape: given.shape },
  );
  return [groups(x, axes).map(folds[c.op] as (v: readonly number[]) => number)];
});

/** Place of the extreme; the first, or the last of equals. */
const argReduce: Reference = (c) => {
  const x = arg(c, 0);
  const last = bool(c.attrs, "selectLast");
  const place = (v: readonly number[]): number => {
    const extreme = c.op === "ArgMax" ? largest(v) : smallest(v);
    return Math.max(0, last ? v.lastIndexOf(extreme) : v.indexOf(extreme));
  };
  return [groups(x, [axisIn(int(c.attrs, "axis"), x.shape.length)]).map(place)];
};

/** Each element from itself and the list along `axes` that it belongs to. */
function along(
  x: RefTensor,
  axes: readonly number[],
  f: (list: readonly number[]) => (x: number) => number,
): Float64Array {
  const small = reducedShape(x.shape, axes, true) as number[];
  const strides = stridesOf(small);
  const functions = groups(x, axes).map(f);
  const out = new Float64Array(count(x.shape));
  let n = 0;
  for (const at of positions(x.shape)) {
    const g = functions[offsetIn(small, strides, at)] as (x: number) => number;
    out[n] = g(x.data[n] as number);
    n++;
  }
  return out;
}

const softmax: Reference = onReals((c) => {
  const x = arg(c, 0);
  const beta = c.attrs.beta as number;
  const shift = (v: readonly number[]): { m: number; s: number } => {
    const m = largest(v);
    return { m, s: sum(v.map((t) => Math.exp(beta * (t - m)))) };
  };
  const axes = [axisIn(int(c.attrs, "axis"), x.shape.length)];
  return [
    along(x, axes, (v) => {
      const { m, s } = shift(v);
      return c.op === "Softmax" ? (t) => Math.exp(beta * (t - m)) / s : (t) => beta * (t - m) - Math.log(s);
    }),
  ];
});

/** y·scale + bias, each broadcast by `at` of the vector's shape. */
function affine(y: Float64Array, c: RefContext, shape: (t: RefTensor) => readonly number[]): Float64Array {
  const [scale, bias] = [c.inputs[1], c.inputs[2]];
  let n = 0;
  for (const at of positions(arg(c, 0).shape)) {
    const pick = (t: RefTensor, none: number): number =>
      t.data[offsetIn(shape(t), stridesOf(shape(t)), at)] ?? none;
    y[n] = (y[n] as number) * (scale ? pick(scale, 1) : 1) + (bias ? pick(bias, 0) : 0);
    n++;
  }
  return y;
}

function standardized(c: RefContext, axes: readonly number[]): Float64Array {
  return along(arg(c, 0), axes, (v) => {
    const mean = sum(v) / v.length;
    const variance = sum(v.map((t) => (t - mean) ** 2)) / v.length;
    return (t) => (t - mean) / Math.sqrt(variance + (c.attrs.epsilon as number));
  });
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
/** A vector along `axis`, as a shape that broadcasts. */
const vectorShape =
  (axis: number, rank: number) =>
  (t: RefTensor): readonly number[] =>
    range(0, rank).map((i) => (i === axis ? (t.shape[0] as number) : 1));

const layerNorm: Reference = onReals((c) => {
  const rank = arg(c, 0).shape.length;
  return [affine(standardized(c, range(axisIn(int(c.attrs, "axis"), rank), rank)), c, (t) => t.shape)];
});

const instanceNorm: Reference = onReals((c) => {
  const rank = arg(c, 0).shape.length;
  const axis = axisIn(int(c.attrs, "axis"), rank);
  const axes = range(1, rank).filter((i) => i !== axis);
  return [affine(standardized(c, axes), c, vectorShape(axis, rank))];
});

const batchNorm: Reference = onReals((c) => {
  const [x, scale, b, mean, variance] = c.inputs as RefTensor[] as [
    RefTensor,
    RefTensor,
    RefTensor,
    RefTensor,
    RefTensor,
  ];
  const axis = axisIn(int(c.attrs, "axis"), x.shape.length);
  const y = new Float64Array(x.data.length);
  let n = 0;
  for (const at of positions(x.shape)) {
    const k = at[axis] as number;
    const deviation = Math.sqrt((variance.data[k] as number) + (c.attrs.epsilon as number));
    y[n] =
      (((x.data[n] as number) - (mean.data[k] as number)) / deviation) * (scale.data[k] as number) +
      (b.data[k] as number);
    n++;
  }
  return [y];
});

/** Positions of one window axis that lie in the input, or in input and padding. */
function taps(w: Window, o: number, extent: number): { inside: number[]; padded: number } {
  const all = range(0, w.size).map((k) => o * w.stride + k * w.dilation - (w.before as number));
  return {
    inside: all.filter((i) => i >= 0 && i < extent),
    padded: all.filter((i) => i < extent + (w.after as number)).length,
  };
}

/** Integers of one quantisation are pooled as stored, as TFLite does: ties round away from stored zero. */
const pool: Reference = (c) =>
  sameQuant(arg(c, 0).quant, c.outputs[0]?.quant) ? poolElements(c) : onReals(poolElements)(c);

const poolElements: Reference = (c) => {
  const x = arg(c, 0);
  const [, H, W, C] = x.shape as [number, number, number, number];
  const spans = windows({ ...c, name: "" }, ints(c.attrs, "kernel"), [H, W]);
  const stored = !isFloat(x.dtype) && sameQuant(x.quant, c.outputs[0]?.quant);
  const nothing = stored ? (x.quant?.zeroPoint[0] ?? 0) : 0;
  const out: number[] = [];
  for (const [n, y, z, k] of positions((c.outputs[0] as RefTensor).shape) as Iterable<
    [number, number, number, number]
  >) {
    const [rows, columns] = [taps(spans[0], y, H), taps(spans[1], z, W)];
    const seen = rows.inside.flatMap((i) =>
      columns.inside.map((j) => x.data[((n * H + i) * W + j) * C + k] as number),
    );
    const all = c.attrs.countPads ? rows.padded * columns.padded : seen.length;
    out.push(c.op === "MaxPool2D" ? largest(seen) : (sum(seen) + nothing * (all - seen.length)) / all);
  }
  return [stored ? out.map(roundHalfAway) : out];
};

const cumSum: Reference = onReals((c) => {
  const x = arg(c, 0);
  const axis = axisIn(Number(arg(c, 1).data[0]), x.shape.length);
  const [strides, length] = [stridesOf(x.shape), x.shape[axis] as number];
  const { exclusive, reverse } = c.attrs;
  const out = new Float64Array(x.data.length);
  let n = 0;
  for (const at of positions(x.shape)) {
    const i = at[axis] as number;
    const used = range(0, length).filter((j) => (reverse ? j > i : j < i) || (j === i && !exclusive));
    const base = n - i * (strides[axis] as number);
    out[n++] = sum(used.map((j) => x.data[base + j * (strides[axis] as number)] as number));
  }
  return [out];
});

export const references: Record<string, Reference> = {
  ...Object.fromEntries(Object.keys(folds).map((name) => [name, reduce])),
  ArgMax: argReduce,
  ArgMin: argReduce,
  Softmax: softmax,
  LogSoftmax: softmax,
  LayerNorm: layerNorm,
  InstanceNorm: instanceNorm,
  BatchNorm: batchNorm,
  MaxPool2D: pool,
  AvgPool2D: pool,
  CumSum: cumSum,
};
