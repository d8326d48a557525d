// Arithmetic on integers as they are, and quantisation by the range of what is given: what "dynamic quantisation"
// writes. Products with stored weights are quantised operators of ours, which multiply bytes in int32.
import { isConcrete } from "../../../graph/dim.js";
import type { Quantization, Tensor } from "../../../graph/graph.js";
import { windows } from "../../../ops/window.js";
import { numbersOf } from "../builder.js";
import type { Call, Row, Table } from "../call.js";
import { convolve } from "./convolution.js";

/** a less za times b less zb. */
interface Factors {
  readonly a: Tensor;
  readonly b: Tensor;
  readonly za?: Tensor | undefined;
  readonly zb?: Tensor | undefined;
}

export const given = (c: Call, i: number): Tensor | undefined => (c.has(i) ? c.raw(i) : undefined);
const factors = (c: Call): Factors => ({ a: c.raw(0), b: c.raw(1), za: given(c, 2), zb: given(c, 3) });

const known = (t: Tensor | undefined): number[] | undefined =>
  t ? (t.kind === "constant" && t.data ? numbersOf(t) : undefined) : [0];
const isOne = (c: Call, t: Tensor): boolean => c.rank(t) === 0 || c.shape(t)[0] === 1;
const maybeZero = (z: Tensor | undefined): z is Tensor => !known(z)?.every((v) => v === 0);

/** Integers less their zero point, as floats: exact up to 2^24, which sums of 500 products stay below. */
function centred(c: Call, t: Tensor, zero: Tensor | undefined, trailing: number): Tensor {
  const x = c.cast(t, "float32");
  if (!maybeZero(zero)) return x;
  const z = c.cast(zero, "float32");
  const axes = isOne(c, z) ? [] : Array.from({ length: trailing }, (_, k) => k + 1);
  return c.emit("Sub", [x, axes.length ? c.unsqueeze(z, axes) : z]);
}

/** Integers as they are, as numbers that a quantised operator multiplies. */
const plain = (zeroPoint: readonly number[], axis: number): Quantization => ({
  scale: zeroPoint.map(() => 1),
  zeroPoint,
  axis: zeroPoint.length > 1 ? axis : 0,
});

/** Stored b: bytes that multiply less their zero point, and Σ (b − zb) for each channel. */
export interface Stored {
  readonly weights: Tensor;
  readonly sums: Int32Array;
}

/** b where it and its zero points are constants; `axis` is that of its channels. */
function storedFactor(c: Call, { a, b, za, zb }: Factors, axis: number): Stored | undefined {
  const data = b.kind === "constant" && b.data;
  const zeroPoint = known(zb);
  if (!data || !zeroPoint || a.quant || (za && !isOne(c, za))) return undefined;
  const shape = b.shape as number[];
  const weights = c.builder.constant(`${b.name}/plain`, b.dtype, shape, data);
  weights.quant = plain(zeroPoint, axis);
  return { weights, sums: channelSums(data as Int8Array, shape, axis, zeroPoint) };
}

/** Σ (b − zero) over all but one axis; one zero point, or one a channel. */
export function channelSums(
  b: Int8Array | Uint8Array,
  shape: readonly number[],
  axis: number,
  zero: readonly number[],
): Int32Array {
  const each = shape.slice(axis + 1).reduce((x, y) => x * y, 1);
  const sums = new Int32Array(shape[axis] as number);
  for (let at = 0; at < b.length; at++) {
    const i = Math.floor(at / each) % sums.length;
    sums[i] = (sums[i] as number) + (b[at] as number) - (zero[zero.length > 1 ? i : 0] as number);
  }
  return sums;
}

/** a as bytes that a quantised operator multiplies. */
function plainBytes(c: Call, a: Tensor): Tensor {
  const to = a.dtype;
  const steps = c.builder.steps.get(a) ?? c.cast(a, "float32");
  return c.emit("Quantize", [steps], { to }, { dtype: to, quant: plain([0], 0) });
}

/** Σ (a − za)·(b − zb) = Σ a·(b − zb) − za · Σ (b − zb), za computed as it may be. */
function lessZero(c: Call, sum: Tensor, za: Tensor, { weights, sums }: Stored): Tensor {
  const all = c.builder.constant(`${weights.name}/sums`, "int32", [sums.length], sums);
  return c.emit("Sub", [sum, c.emit("Mul", [all, c.cast(za, "int32")])]);
}

function matMul(c: Call, f: Factors): Tensor {
  const { a, b, za, zb } = f;
  const stored = c.rank(b) === 2 && c.rank(a) > 1 ? storedFactor(c, f, 1) : undefined;
  if (!stored) return c.cast(c.emit("MatMul", [centred(c, a, za, 1), centred(c, b, zb, 0)]), "int32");
  const sum = c.emit("MatMul", [plainBytes(c, a), stored.weights], {}, { dtype: "int32" });
  return maybeZero(za) ? lessZero(c, sum, za, stored) : sum;
}

const convInteger: Row = (c) => {
  const f = factors(c);
  const { a, b, za, zb } = f;
  const y = storedConvolution(c, f);
  return y ?? c.cast(convolve(c, centred(c, a, za, 0), centred(c, b, zb, c.rank(b) - 1), null), "int32");
};

/** Around an image lie zero points: other ones than 0 are put there. */
function storedConvolution(c: Call, f: Factors): Tensor | undefined {
  const { a, za } = f;
  const bySize = maybeZero(za) && c.str("auto_pad", "NOTSET").startsWith("SAME");
  if (bySize && !isConcrete(c.shape(a).slice(2))) return undefined;
  const stored = storedFactor(c, f, 0);
  if (!stored) return undefined;
  return convolve(c, plainBytes(c, a), stored.weights, null, (x, weights, attrs) => {
    const multiply = (t: Tensor, more = {}): Tensor =>
      c.emit("Conv2D", [t, ...weights], { ...attrs, ...more }, { dtype: "int32" });
    if (!maybeZero(za)) return multiply(x);
    const [w] = weights as [Tensor];
    const sides = windows({ ...c, attrs }, w.shape.slice(1, 3) as number[], c.shape(x).slice(1, 3));
    const pads = [0, ...sides.map((s) => s.before), 0, 0, ...sides.map((s) => s.after), 0] as number[];
    if (pads.every((p) => p === 0)) return lessZero(c, multiply(x), za, stored);
    const padded = c.emit("Pad", [x, null, za], { pads }, { quant: x.quant as Quantization });
    return lessZero(c, multiply(padded, { padding: "valid" }), za, stored);
  });
}

/** Bytes, their scale and their zero point, by the range of the values, zero included. */
function byRange(c: Call, x: Tensor): [bytes: Tensor, scale: Tensor, zero: Tensor] {
  const zero = c.scalar(0);
  const high = c.emit("Max", [c.emit("ReduceMax", [x], { keepDims: false }), zero]);
  const low = c.emit("Min", [c.emit("ReduceMin", [x], { keepDims: false }), zero]);
  const range = c.emit("Sub", [high, low]);
  const empty = c.emit("Equal", [range, zero]);
  const scale = c.scale(c.emit("Where", [empty, c.scalar(255), range], {}, { dtype: "float32" }), 1 / 255);
  const bytes = { min: 0, max: 255 };
  const point = c.emit("Clip", [c.emit("Round", [c.emit("Div", [c.emit("Neg", [low]), scale])])], bytes);
  const moved = c.emit("Add", [c.emit("Round", [c.emit("Div", [x, scale])]), point]);
  const steps = c.emit("Clip", [moved], bytes);
  const y = c.cast(steps, "uint8");
  c.builder.steps.set(y, steps);
  return [y, scale, c.cast(point, "uint8")];
}

/** A product in steps of the factors' scales, and input `bias`. */
export function realProduct(c: Call, f: Factors, sa: Tensor, sb: Tensor, bias: number): Tensor {
  const scaled = c.emit("Mul", [c.cast(matMul(c, f), "float32"), c.emit("Mul", [sa, sb])]);
  return c.has(bias) ? c.emit("Add", [scaled, c.x(bias)]) : scaled;
}

/** a, b, their scales, their zero points, a bias */
const matMulIntegerToFloat: Row = (c) =>
  realProduct(c, { a: c.raw(0), b: c.raw(1), za: given(c, 4), zb: given(c, 5) }, c.x(2), c.x(3), 6);

/** Real a, b, its scale and zero point, a bias */
const dynamicQuantizeMatMul: Row = (c) => {
  const [a, scale, za] = byRange(c, c.x(0));
  return realProduct(c, { a, b: c.raw(1), za, zb: given(c, 3) }, scale, c.x(2), 4);
};

export const integer: Table = {
  MatMulInteger: (c) => matMul(c, factors(c)),
  ConvInteger: convInteger,
  DynamicQuantizeLinear: (c) => byRange(c, c.x(0)),
};

/** Of com.microsoft. */
export const integerContrib: Table = {
  MatMulIntegerToFloat: matMulIntegerToFloat,
  DynamicQuantizeMatMul: dynamicQuantizeMatMul,
};
