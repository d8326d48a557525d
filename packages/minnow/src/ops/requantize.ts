// Integer products: convolution, dense and matrix product of quantised operands share one body, one
// bias and one requantisation.
//   acc = Σ (qx − zx)·(qw − zw) in int32 (int64 for int16 activations)      real = sx·sw·(acc + b)
//   q   = clamp(nearest(float32(acc + b) · (sx·sw/so)) + zo)
// The scale is computed in float32, product then quotient, as XNNPACK's "fp32" requantisation does, so
// that answers are TFLite's default kernels' to the bit (its reference kernels may differ by 1).
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import type { Access, AxisIndex } from "../compiler/nest.js";
import { quantRange } from "../compiler/quantized.js";
import { isFloat, newArray } from "../graph/dtype.js";
import type { Quantization } from "../graph/graph.js";
import { loadedReal, stored, toStored } from "./lowering.js";
import { type LowerContext, type LowerTensor, reject } from "./op.js";

/** What a product kernel does per step and per output. */
export interface Product {
  /** Appended behind x, w and b?: per-channel tables. */
  readonly operands: Access[];
  readonly body: Expr;
  readonly result: Expr;
}

/**
 * @param first number of the first operand that may be appended
 * @param bias operand number of the bias, or −1
 * @param channel index of the output channel: into bias and per-channel tables
 */
export function product(
  c: LowerContext,
  x: LowerTensor,
  w: LowerTensor,
  bias: number,
  first: number,
  channel: AxisIndex,
): Product {
  const b = bias < 0 ? null : e.input(bias, biasType(c));
  if (x.quant && w.quant) return integerProduct(c, x, w, b, first, channel);
  if (w.quant && isFloat(x.dtype)) return weightOnlyProduct(c, x, w, b, first, channel);
  const out = c.outputs[0] as LowerTensor;
  const body =
    x.quant || w.quant ? e.mul(loadedReal(x, 0), loadedReal(w, 1)) : e.mul(stored(x, 0), stored(w, 1));
  const acc = e.accumulator(body.t);
  return { operands: [], body, result: toStored(b ? e.add(acc, e.cast(b, acc.t)) : acc, out) };
}

const biasType = (c: LowerContext): "f32" | "i32" | "i64" => {
  const t = c.inputs[2]?.dtype;
  return t === "int64" ? "i64" : t === "int32" ? "i32" : "f32";
};

function integerProduct(
  c: LowerContext,
  x: LowerTensor,
  w: LowerTensor,
  b: Expr | null,
  first: number,
  channel: AxisIndex,
): Product {
  const xq = x.quant as Quantization;
  const operands: Access[] = [];
  const weights = minusZero(c, w, operands, first, channel);
  const activations = minus(stored(x, 0), xq.zeroPoint[0] ?? 0);
  const wide = x.dtype === "int16" ? "i64" : "i32";
  const body = e.mul(e.cast(activations, wide), e.cast(weights, wide));
  const acc = e.accumulator(wide);
  const sum = b ? e.add(acc, e.cast(b, wide)) : acc;
  const out = c.outputs[0] as LowerTensor;
  // Integers without parameters are the plain accumulator (ONNX MatMulInteger, ConvInteger).
  if (!out.quant && !isFloat(out.dtype))
    return { operands, body, result: e.cast(sum, out.dtype === "int64" ? "i64" : "i32") };
  const to = out.quant?.scale[0] ?? 1;
  const scale = channelTable(
    c,
    scalesOf(w).map((s) => Math.fround(Math.fround((xq.scale[0] ?? 1) * s) / to)),
    operands,
    first,
    channel,
  );
  return { operands, body, result: scaledTo(out, e.mul(e.cast(sum, "f32"), scale)) };
}

/** Steps of the output's scale, rounded, where it is quantised. */
export function scaledTo(out: LowerTensor, scaled: Expr): Expr {
  if (!out.quant) return scaled;
  const zero = out.quant.zeroPoint[0] ?? 0;
  const [lo, hi] = quantRange(out.dtype);
  // Clamping before rounding is exact: the bounds are integers.
  return plus(e.cast(e.nearest(e.clamp(scaled, lo - zero, hi - zero)), "i32"), zero);
}

/** Float activations, quantised weights: the weights' scale leaves the sum. */
function weightOnlyProduct(
  c: LowerContext,
  x: LowerTensor,
  w: LowerTensor,
  b: Expr | null,
  first: number,
  channel: AxisIndex,
): Product {
  const operands: Access[] = [];
  const body = e.mul(stored(x, 0), e.cast(minusZero(c, w, operands, first, channel), "f32"));
  const scaled = e.mul(e.accumulator("f32"), channelTable(c, scalesOf(w), operands, first, channel));
  return { operands, body, result: b ? e.add(scaled, e.cast(b, "f32")) : scaled };
}

export const scalesOf = (w: LowerTensor): readonly number[] => (w.quant as Quantization).scale;

/** qw − zw; zero points that differ by channel come from a table. */
export function minusZero(
  c: LowerContext,
  w: LowerTensor,
  operands: Access[],
  first: number,
  channel: AxisIndex,
): Expr {
  const { zeroPoint } = w.quant as Quantization;
  const q = stored(w, 1);
  if (zeroPoint.every((z) => z === (zeroPoint[0] ?? 0))) return minus(q, zeroPoint[0] ?? 0);
  const table = c.table(Int32Array.from(zeroPoint), [zeroPoint.length]);
  operands.push({ value: table, index: [channel] });
  return e.sub(q, e.input(first + operands.length - 1, "i32"));
}

/** One number a channel: a constant where they are all one, else a table operand. */
export function channelTable(
  c: LowerContext,
  values: readonly number[],
  operands: Access[],
  first: number,
  channel: AxisIndex,
): Expr {
  if (values.length === 0) reject(c, "quantisation without a scale", "bad_graph");
  if (values.length === 1) return e.num(Math.fround(values[0] as number));
  const data = newArray("float32", values.length) as Float32Array;
  data.set(values);
  operands.push({ value: c.table(data, [values.length]), index: [channel] });
  return e.input(first + operands.length - 1, "f32");
}

export const minus = (x: Expr, zero: number): Expr => (zero === 0 ? x : e.sub(x, zero));
const plus = (x: Expr, zero: number): Expr => (zero === 0 ? x : e.add(x, zero));
