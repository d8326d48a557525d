// What reference implementations share. They are written for plainness: real numbers in float64, one
// loop a sum. A quantised operator is its float reference between exact dequantisation and requantisation
// (TFLite: rounding half away from zero, then clamping).
import { quantRange } from "../compiler/quantized.js";
import { count } from "../graph/dim.js";
import type { DType } from "../graph/dtype.js";
import type { Quantization } from "../graph/graph.js";
import type { Reference, RefTensor } from "./op.js";

export type RefContext = Parameters<Reference>[0];

/** Real values of a tensor: scale·(q − zeroPoint) where it is quantised, per channel too. */
export function reals(t: RefTensor): Float64Array | number[] {
  const { quant, data, shape } = t;
  if (!quant) return data;
  const channel = channelOf(quant, shape);
  const out = new Float64Array(data);
  for (let i = 0; i < out.length; i++) {
    const c = channel(i);
    out[i] =
      (quant.scale[c] as number) * ((out[i] as number) - (quant.zeroPoint[c] ?? quant.zeroPoint[0] ?? 0));
  }
  return out;
}

/** Which entry of the parameters the i-th element uses. */
export function channelOf(quant: Quantization, shape: readonly number[]): (i: number) => number {
  const n = quant.scale.length;
  if (n < 2) return () => 0;
  const inner = count(shape.slice(quant.axis + 1));
  return (i) => Math.floor(i / inner) % n;
}

/** Half away from zero; what float64 noise keeps just below a half counts as one. */
export const roundHalfAway = (x: number): number => Math.sign(x) * Math.floor(Math.abs(x) + 0.5 + 2 ** -32);

/** Stored integers of real values. */
export function toQuantized(
  real: ArrayLike<number>,
  quant: Quantization,
  dtype: DType,
  shape: readonly number[],
): Float64Array {
  const [lo, hi] = quantRange(dtype);
  const channel = channelOf(quant, shape);
  const out = new Float64Array(real);
  for (let i = 0; i < out.length; i++) {
    const c = channel(i);
    const zero = quant.zeroPoint[c] ?? quant.zeroPoint[0] ?? 0;
    const q = roundHalfAway((out[i] as number) / (quant.scale[c] as number)) + zero;
    out[i] = Number.isNaN(q) ? zero : Math.min(hi, Math.max(lo, q));
  }
  return out;
}

/** Lifts a reference on real numbers to quantised tensors. */
export const onReals =
  (f: Reference): Reference =>
  (c) => {
    const inputs = c.inputs.map((t) => t && { ...t, data: reals(t) });
    return f({ ...c, inputs }).map((y, i) => {
      const out = c.outputs[i] as RefContext["outputs"][number];
      return out.quant ? toQuantized(y, out.quant, out.dtype, out.shape) : y;
    });
  };

/** The i-th input, which is there. */
export const arg = (c: RefContext, i: number): RefTensor => c.inputs[i] as RefTensor;

/** Row-major strides. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= shape[i] as number;
  }
  return strides;
}

/** All positions of a shape, in row-major order; the array is reused. */
export function* positions(shape: readonly number[]): Generator<readonly number[]> {
  if (shape.some((d) => d === 0)) return;
  const at = shape.map(() => 0);
  for (;;) {
    yield at;
    let d = shape.length - 1;
    while (d >= 0 && ++(at[d] as number) === shape[d]) at[d--] = 0;
    if (d < 0) return;
  }
}

/** Offset of `at` in a tensor of `shape`, broadcast: trailing axes align and axes of 1 stay at 0. */
export function offsetIn(
  shape: readonly number[],
  strides: readonly number[],
  at: readonly number[],
): number {
  const skip = at.length - shape.length;
  let offset = 0;
  for (let i = 0; i < shape.length; i++)
    if (shape[i] !== 1) offset += (at[i + skip] as number) * (strides[i] as number);
  return offset;
}

export const axisIn = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
