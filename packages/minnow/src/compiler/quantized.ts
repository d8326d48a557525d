// Element-wise operators on quantised tensors: dequantise every input, compute in float32, requantise.
//   real = scale · (q − zeroPoint)      q = clamp(nearest(real / scale) + zeroPoint)
// (TensorFlow Lite 8-bit quantisation specification). Where in and out share parameters and the
// operator only clamps, it stays in integers.
import type { DType } from "../graph/dtype.js";
import type { Attrs, Quantization } from "../graph/graph.js";
import type { OpDef } from "../ops/op.js";
import * as e from "./expr.js";
import { scalarOf } from "./nest.js";

export interface QuantInput {
  readonly dtype: DType;
  readonly quant?: Quantization;
}

const ranges: Partial<Record<DType, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  int32: [-2147483648, 2147483647],
};

export const quantRange = (t: DType): readonly [number, number] => ranges[t] ?? [-128, 127];

/** (q − zero) · scale, both per tensor. */
export function dequantize(x: e.Expr, quant: Quantization): e.Expr {
  const zero = quant.zeroPoint[0] ?? 0;
  const shifted = zero === 0 ? e.cast(x, "f32") : e.cast(e.sub(x, zero), "f32");
  return e.mul(shifted, Math.fround(quant.scale[0] ?? 1));
}

/** clamp(nearest(x / scale) + zero) as i32. */
export function requantize(x: e.Expr, quant: Quantization, dtype: DType): e.Expr {
  const [lo, hi] = quantRange(dtype);
  const zero = quant.zeroPoint[0] ?? 0;
  const scaled = e.mul(x, Math.fround(1 / (quant.scale[0] ?? 1)));
  if (dtype === "int32") return e.cast(e.nearest(e.add(scaled, zero)), "i32");
  // Clamping before rounding is exact: the bounds are integers.
  return e.add(e.cast(e.nearest(e.clamp(scaled, lo - zero, hi - zero)), "i32"), zero);
}

export function sameQuant(a: Quantization | undefined, b: Quantization | undefined): boolean {
  if (!a || !b) return a === b;
  const equal = (x: readonly number[], y: readonly number[]): boolean =>
    x.length === y.length && x.every((v, i) => v === y[i]);
  return (
    equal(a.scale, b.scale) && equal(a.zeroPoint, b.zeroPoint) && (a.scale.length < 2 || a.axis === b.axis)
  );
}

/**
 * The expression of an element-wise node over its stored operands.
 * @param operands one input Expr each, in the storage's compute type
 */
export function elementExpr(
  def: OpDef,
  attrs: Attrs,
  operands: readonly e.Expr[],
  inputs: readonly QuantInput[],
  output: QuantInput,
): e.Expr {
  const expr = def.expr as NonNullable<OpDef["expr"]>;
  const quantized = !def.raw && (output.quant || inputs.some((t) => t.quant));
  const context = (types: readonly DType[], out: DType) => ({ inputs: types, output: out });
  if (!quantized) {
    const y = expr(
      operands,
      attrs,
      context(
        inputs.map((t) => t.dtype),
        output.dtype,
      ),
    );
    return e.cast(y, scalarOf(output.dtype));
  }
  const integer =
    clampOnly(def, attrs, operands, inputs, output) ?? arithmetic(def, operands, inputs, output);
  if (integer) return integer;
  const real = operands.map((x, i) => {
    const t = inputs[i] as QuantInput;
    return t.quant ? dequantize(x, t.quant) : x;
  });
  const realTypes = inputs.map((t): DType => (t.quant ? "float32" : t.dtype));
  const y = expr(real, attrs, context(realTypes, output.quant ? "float32" : output.dtype));
  return output.quant
    ? requantize(e.cast(y, "f32"), output.quant, output.dtype)
    : e.cast(y, scalarOf(output.dtype));
}

/** Relu, Clip and Identity between equal parameters, in integers. */
function clampOnly(
  def: OpDef,
  attrs: Attrs,
  [x]: readonly e.Expr[],
  [from]: readonly QuantInput[],
  to: QuantInput,
): e.Expr | null {
  if (!x || !from?.quant || !to.quant || from.dtype !== to.dtype || !sameQuant(from.quant, to.quant))
    return null;
  if (from.quant.scale.length !== 1) return null;
  let bounds: [number, number];
  if (def.name === "Identity" || def.name === "Quantize")
    bounds = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  else if (def.name === "Relu") bounds = [0, Number.POSITIVE_INFINITY];
  else if (def.name === "Clip") bounds = [attrs.min as number, attrs.max as number];
  else return null;
  const scale = from.quant.scale[0] as number;
  const zero = from.quant.zeroPoint[0] ?? 0;
  const [lo, hi] = quantRange(to.dtype);
  const q = (r: number): number => Math.min(hi, Math.max(lo, Math.round(r / scale) + zero));
  let y = x;
  if (q(bounds[0]) > lo) y = e.max(y, q(bounds[0]));
  if (q(bounds[1]) < hi) y = e.min(y, q(bounds[1]));
  return y;
}

/**
 * Add, Sub and Mul of 8-bit tensors as XNNPACK (TFLite's default kernels) computes them, to the bit:
 * sums with 21-bit fixed-point multipliers, rounding half up; products in float32, half to even.
 */
function arithmetic(
  def: OpDef,
  [x, y]: readonly e.Expr[],
  [a, b]: readonly QuantInput[],
  to: QuantInput,
): e.Expr | null {
  const narrow = (t: QuantInput | undefined): boolean =>
    (t?.dtype === "int8" || t?.dtype === "uint8") && t.quant?.scale.length === 1;
  if (!x || !y || !a?.quant || !b?.quant || !to.quant || !narrow(a) || !narrow(b) || !narrow(to)) return null;
  const scale = (q: Quantization): number => Math.fround(q.scale[0] ?? 1);
  const zero = (q: Quantization): number => q.zeroPoint[0] ?? 0;
  const [lo, hi] = quantRange(to.dtype);
  const out = scale(to.quant);
  if (def.name === "Mul") {
    const product = e.mul(e.sub(x, zero(a.quant)), e.sub(y, zero(b.quant)));
    const factor = Math.fround(Math.fround(scale(a.quant) * scale(b.quant)) / out);
    const real = e.mul(e.cast(product, "f32"), factor);
    const z = zero(to.quant);
    return e.add(e.cast(e.nearest(e.clamp(real, lo - z, hi - z)), "i32"), z);
  }
  if (def.name !== "Add" && def.name !== "Sub") return null;
  const [ra, rb] = [Math.fround(scale(a.quant) / out), Math.fround(scale(b.quant) / out)];
  const most = Math.max(ra, rb);
  if (!(Math.min(ra, rb) >= 2 ** -10 && most < 2 ** 8)) return null;
  const shift = 20 - Math.floor(Math.log2(most));
  const ma = halfEven(ra * 2 ** shift);
  const mb = halfEven(rb * 2 ** shift) * (def.name === "Sub" ? -1 : 1);
  const bias = 2 ** (shift - 1) - ma * zero(a.quant) - mb * zero(b.quant);
  const sum = e.add(e.add(e.mul(x, ma), e.mul(y, mb)), bias);
  return e.clamp(e.add(e.shr(sum, shift), zero(to.quant)), lo, hi);
}

const halfEven = (v: number): number => {
  const r = Math.round(v);
  return r - v === 0.5 && r % 2 !== 0 ? r - 1 : r;
};
