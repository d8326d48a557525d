// What lowerings share: operands as real numbers whatever their storage, results stored back, and
// affine indices. Quantised tensors compute in float32 between dequantisation and requantisation unless
// an operator has an integer form of its own.
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import { type AxisIndex, at, fixed, scalarOf } from "../compiler/nest.js";
import { dequantize, requantize } from "../compiler/quantized.js";
import { type DType, halfToFloat, isFloat } from "../graph/dtype.js";
import type { Quantization } from "../graph/graph.js";
import type { Inferred, InferContext, LowerTensor, TensorInfo } from "./op.js";

/** Operand `operand` holding `t`, as stored. */
export const stored = (t: LowerTensor, operand: number): Expr => e.input(operand, scalarOf(t.dtype));

/** Operand `operand` holding `t`, in the type it is computed in: quantised as float32. */
export function loaded(t: LowerTensor, operand: number): Expr {
  const x = stored(t, operand);
  return t.quant ? dequantize(x, t.quant) : x;
}

/** The same, always float32. */
export const loadedReal = (t: LowerTensor, operand: number): Expr => e.cast(loaded(t, operand), "f32");

/** A result (real, or in the output's compute type) as the output stores it. */
export function toStored(y: Expr, out: { readonly dtype: DType; readonly quant?: Quantization }): Expr {
  if (out.quant) return requantize(e.cast(y, "f32"), out.quant, out.dtype);
  return e.cast(y, scalarOf(out.dtype));
}

/** The type an operator computes `t` in. */
export const computeType = (t: { readonly dtype: DType; readonly quant?: Quantization }): DType =>
  t.quant || isFloat(t.dtype) ? "float32" : t.dtype;

/** Output type of operators that keep their input's: the declared one where something is quantised. */
export function keptType(c: InferContext, x: TensorInfo): DType {
  const out = c.outputs[0];
  if (out?.quant) return out.dtype;
  return x.quant ? "float32" : x.dtype;
}

export const kept = (c: InferContext, x: TensorInfo, shape: Inferred["shape"]): Inferred[] => [
  { dtype: keptType(c, x), shape },
];

/** offset + Σ coefficient · loop, without zero coefficients. */
export const affine = (
  terms: readonly (readonly [number, number])[],
  offset = 0,
  guard = false,
): AxisIndex => ({
  offset,
  terms: terms.filter(([, k]) => k !== 0),
  ...(guard && { guard: true }),
});

/** Axis a walks loop a. */
export const walk = (rank: number): AxisIndex[] => Array.from({ length: rank }, (_, i) => at(i));

/** Broadcast against loops of the same rank: axes of 1 stay at 0. */
export const walkBroadcast = (shape: readonly number[], rank: number): AxisIndex[] =>
  shape.map((d, i) => (d === 1 ? fixed(0) : at(i + rank - shape.length)));

/** Real values of a constant float tensor; null when it is computed at run time. */
export function constantReals(t: LowerTensor): Float64Array | null {
  if (!t.data || t.quant || !isFloat(t.dtype)) return null;
  if (t.dtype === "float16") return Float64Array.from(t.data as Uint16Array, (h) => halfToFloat(h));
  return Float64Array.from(t.data as Float32Array);
}
