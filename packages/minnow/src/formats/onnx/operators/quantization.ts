// Quantised ONNX. Constant parameters become `quant` of the tensor, which is what the quantised kernels
// understand; computed ones become plain arithmetic. QLinear operators are read as the real operator between
// conversions, from which a pass makes the quantised one.
import type { DType } from "../../../graph/dtype.js";
import { isConcrete } from "../../../graph/dim.js";
import type { Quantization, Tensor } from "../../../graph/graph.js";
import { windows } from "../../../ops/window.js";
import type { Call, Row, Table } from "../call.js";
import { computeType, typeName } from "../types.js";
import { convolve } from "./convolution.js";

/** Constant scale and zero point of inputs `at` and `at + 1`. */
function parameters(c: Call, at: number, axis: number): Quantization | undefined {
  const scale = c.numbers(at);
  const zeroPoint = c.has(at + 1) ? c.numbers(at + 1) : scale?.map(() => 0);
  if (!scale || !zeroPoint) return undefined;
  if (scale.length !== zeroPoint.length) c.bad(`${scale.length} scales and ${zeroPoint.length} zero points`);
  return { scale, zeroPoint, axis: scale.length > 1 ? axis : 0 };
}

const equal = (a: Quantization, b: Quantization): boolean =>
  a.scale.join() === b.scale.join() &&
  a.zeroPoint.join() === b.zeroPoint.join() &&
  (a.scale.length === 1 || a.axis === b.axis);

/** Scale and zero point as float32 tensors that broadcast along the axis. */
function computed(c: Call, at: number, axis: number, rank: number): [scale: Tensor, zero: Tensor | null] {
  const spread = (i: number): Tensor => {
    const t = c.cast(c.x(i), "float32");
    const after = rank - 1 - axis;
    if (c.rank(t) === 0 || c.shape(t)[0] === 1 || after === 0) return t;
    return c.unsqueeze(
      t,
      Array.from({ length: after }, (_, k) => k + 1),
    );
  };
  return [spread(at), c.has(at + 1) ? spread(at + 1) : null];
}

/** Input i as real numbers, by the parameters in inputs `at` and `at + 1`. */
export function real(c: Call, i: number, at: number, axis: number): Tensor {
  const q = c.raw(i);
  const quant = parameters(c, at, axis);
  const source = quant && carrier(c, i, quant);
  if (source) {
    const y = c.emit("Dequantize", [source], { to: "float32" }, { dtype: "float32" });
    if (source.kind === "constant") c.builder.dequantized.set(y, source);
    return y;
  }
  if (q.quant) c.unsupported("numbers quantised by one scale are read by another");
  const [scale, zero] = computed(c, at, axis, c.rank(q));
  const x = c.cast(q, "float32");
  return c.emit("Mul", [zero ? c.emit("Sub", [x, zero]) : x, scale]);
}

/** The tensor that carries these parameters, where there can be one. */
function carrier(c: Call, i: number, quant: Quantization): Tensor | undefined {
  const q = c.raw(i);
  if (q.quant) return equal(q.quant, quant) ? q : undefined;
  if (q.kind === "constant" && q.data) {
    const copy = c.builder.constant(`${q.name}/quantized`, q.dtype, q.shape as number[], q.data);
    copy.quant = quant;
    return copy;
  }
  if (q.kind !== "input" || c.uses.get(c.inputNames[i] as string) !== 1 || quant.scale.length !== 1)
    return undefined;
  q.quant = quant;
  return q;
}

const ranges: Partial<Record<DType, [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
};

/** Real numbers stored in type `to` by the parameters in inputs `at` and `at + 1`. */
export function stored(c: Call, x: Tensor, to: DType, at: number, axis: number): Tensor {
  const range = ranges[to] ?? c.unsupported(`quantisation to ${to} is not supported`);
  const quant = parameters(c, at, axis);
  if (quant && to !== "int16") return c.emit("Quantize", [x], { to }, { dtype: to, quant });
  const [scale, zero] = computed(c, at, axis, c.rank(x));
  const rounded = c.emit("Round", [c.emit("Div", [x, scale])]);
  const moved = zero ? c.emit("Add", [rounded, zero]) : rounded;
  return c.cast(c.emit("Clip", [moved], { min: range[0], max: range[1] }), to);
}

function channelAxis(c: Call, i: number): number {
  if (c.int("block_size", 0) !== 0) c.unsupported("blocked quantisation is not supported");
  const axis = c.int("axis", 1);
  const isVector = c.rank(c.raw(1)) > 0 && c.shape(c.raw(1))[0] !== 1;
  return isVector ? c.axis(axis, c.rank(c.raw(i))) : 0;
}

const quantize: Row = (c) => {
  c.ignore("saturate", "precision");
  const code = c.int("output_dtype", 0) || 2;
  const to = c.has(2)
    ? c.raw(2).dtype
    : (computeType(code) ?? c.unsupported(`quantisation to ${typeName(code)} is not supported`));
  return stored(c, c.cast(c.x(0), "float32"), to, 1, channelAxis(c, 0));
};

const dequantize: Row = (c) => {
  c.ignore("output_dtype");
  return real(c, 0, 1, channelAxis(c, 0));
};

/** x scale zero · w scale zero · y scale zero · bias: int32 in steps of x's scale times w's. */
const qLinearConv: Row = (c) => {
  const x = real(c, 0, 1, 1);
  const w = real(c, 3, 4, 0);
  const y = convolve(c, x, w, c.has(8) ? realBias(c) : null);
  return stored(c, y, c.raw(7).dtype, 6, 1);
};

function realBias(c: Call): Tensor {
  const bias = c.raw(8);
  const [x, w] = [c.numbers(1), c.numbers(4)];
  if (bias.kind !== "constant" || !bias.data || !x || !w)
    c.unsupported("a computed bias or scale is not supported here");
  const scale = w.map((s) => s * (x[0] as number));
  const copy = c.builder.constant(`${bias.name}/quantized`, bias.dtype, bias.shape as number[], bias.data);
  copy.quant = { scale, zeroPoint: scale.map(() => 0), axis: 0 };
  return c.emit("Dequantize", [copy], { to: "float32" }, { dtype: "float32" });
}

const qLinearMatMul: Row = (c) => {
  const rank = (i: number): number => c.rank(c.raw(i));
  const y = c.emit("MatMul", [real(c, 0, 1, Math.max(0, rank(0) - 2)), real(c, 3, 4, rank(3) - 1)]);
  return stored(c, y, c.raw(7).dtype, 6, Math.max(0, c.rank(y) - 1));
};

/** Integers less their zero point, as floats: exact up to 2^24, which sums of 500 products stay below. */
function centred(c: Call, i: number, zero: number, trailing: number): Tensor {
  const x = c.cast(c.raw(i), "float32");
  if (!c.has(zero) || c.numbers(zero)?.every((v) => v === 0)) return x;
  const z = c.cast(c.raw(zero), "float32");
  const vector = c.rank(z) > 0 && c.shape(z)[0] !== 1 && trailing > 0;
  return c.emit("Sub", [
    x,
    vector
      ? c.unsqueeze(
          z,
          Array.from({ length: trailing }, (_, k) => k + 1),
        )
      : z,
  ]);
}

/** Integers as they are, as numbers that a quantised operator multiplies. */
const plain = (zeroPoint: readonly number[], axis: number): Quantization => ({
  scale: zeroPoint.map(() => 1),
  zeroPoint,
  axis: zeroPoint.length > 1 ? axis : 0,
});

/** A factor that stays bytes: what multiplies it less its zero point, and Σ (b − zero) for each of its channels. */
interface Stored {
  readonly weights: Tensor;
  readonly sums: Int32Array;
}

/** Input 1 with its zero points, input 3, where both are constants; `axis` is that of its channels. */
function storedFactor(c: Call, axis: number): Stored | undefined {
  const b = c.raw(1);
  const data = b.kind === "constant" && b.data;
  const zeroPoint = c.has(3) ? c.numbers(3) : [0];
  if (!data || !zeroPoint || c.raw(0).quant || (c.has(2) && !isOne(c, 2))) return undefined;
  const shape = b.shape as number[];
  const weights = c.builder.constant(`${b.name}/plain`, b.dtype, shape, data);
  weights.quant = plain(zeroPoint, axis);
  const each = shape.slice(axis + 1).reduce((x, y) => x * y, 1);
  const sums = new Int32Array(shape[axis] as number);
  data.forEach((v, at) => {
    const i = Math.floor(at / each) % sums.length;
    sums[i] = (sums[i] as number) + Number(v) - (zeroPoint[zeroPoint.length > 1 ? i : 0] as number);
  });
  return { weights, sums };
}

const isOne = (c: Call, i: number): boolean => c.rank(c.raw(i)) === 0 || c.shape(c.raw(i))[0] === 1;

/** Input 0 as bytes that a quantised operator multiplies. */
function plainBytes(c: Call): Tensor {
  const a = c.raw(0);
  const to = a.dtype;
  const steps = c.builder.steps.get(a) ?? c.cast(a, "float32");
  return c.emit("Quantize", [steps], { to }, { dtype: to, quant: plain([0], 0) });
}

/**
 * Σ (a − za)·(b − zb) = Σ a·(b − zb) − za · Σ (b − zb), the first sum a quantised product in int32, za, input 2,
 * computed as it may be.
 */
function lessZero(c: Call, sum: Tensor, { weights, sums }: Stored): Tensor {
  const all = c.builder.constant(`${weights.name}/sums`, "int32", [sums.length], sums);
  return c.emit("Sub", [sum, c.emit("Mul", [all, c.cast(c.raw(2), "int32")])]);
}

/** Input 0 has a zero point that may be another than 0. */
const hasZero = (c: Call): boolean => c.has(2) && !c.numbers(2)?.every((z) => z === 0);

const matMulInteger: Row = (c) => {
  const stored = c.rank(c.raw(1)) === 2 && c.rank(c.raw(0)) > 1 ? storedFactor(c, 1) : undefined;
  if (!stored) return c.cast(c.emit("MatMul", [centred(c, 0, 2, 1), centred(c, 1, 3, 0)]), "int32");
  const sum = c.emit("MatMul", [plainBytes(c), stored.weights], {}, { dtype: "int32" });
  return hasZero(c) ? lessZero(c, sum, stored) : sum;
};

const convInteger: Row = (c) =>
  storedConvolution(c) ??
  c.cast(convolve(c, centred(c, 0, 2, 0), centred(c, 1, 3, c.rank(c.raw(1)) - 1), null), "int32");

/** Around an image lie zero points: other ones than 0 are put there. */
function storedConvolution(c: Call): Tensor | undefined {
  const zero = hasZero(c);
  const bySize = zero && c.str("auto_pad", "NOTSET").startsWith("SAME");
  if (bySize && !isConcrete(c.shape(c.raw(0)).slice(2))) return undefined;
  const stored = storedFactor(c, 0);
  if (!stored) return undefined;
  return convolve(c, plainBytes(c), stored.weights, null, (x, weights, attrs) => {
    const multiply = (t: Tensor, more = {}): Tensor =>
      c.emit("Conv2D", [t, ...weights], { ...attrs, ...more }, { dtype: "int32" });
    if (!zero) return multiply(x);
    const [w] = weights as [Tensor];
    const sides = windows({ ...c, attrs }, w.shape.slice(1, 3) as number[], c.shape(x).slice(1, 3));
    const pads = [0, ...sides.map((s) => s.before), 0, 0, ...sides.map((s) => s.after), 0] as number[];
    if (pads.every((p) => p === 0)) return lessZero(c, multiply(x), stored);
    const padded = c.emit("Pad", [x, null, c.raw(2)], { pads }, { quant: x.quant as Quantization });
    return lessZero(c, multiply(padded, { padding: "valid" }), stored);
  });
}

/** To uint8 by the range of the values, zero included. */
const dynamicQuantize: Row = (c) => {
  const x = c.x(0);
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
};

export const quantization: Table = {
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  QLinearConv: qLinearConv,
  QLinearMatMul: qLinearMatMul,
  MatMulInteger: matMulInteger,
  ConvInteger: convInteger,
  DynamicQuantizeLinear: dynamicQuantize,
};
