// Quantised ONNX. Constant parameters become `quant` of the tensor, which is what the quantised kernels
// understand; computed ones become plain arithmetic. QLinear operators are read as the real operator between
// conversions, from which a pass makes the quantised one.
import type { DType } from "../../../graph/dtype.js";
import type { Quantization, Tensor } from "../../../graph/graph.js";
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
  const y = convolve(c, x, w, c.has(8) ? realBias(c, 8) : null);
  return stored(c, y, c.raw(7).dtype, 6, 1);
};

/** Input i as a real bias of inputs 0 and 3, its channels along the last axis. */
export function realBias(c: Call, i: number): Tensor {
  const bias = c.raw(i);
  const [x, w] = [c.numbers(1), c.numbers(4)];
  if (bias.kind !== "constant" || !bias.data || !x || !w)
    c.unsupported("a computed bias or scale is not supported here");
  const scale = w.map((s) => s * (x[0] as number));
  const copy = c.builder.constant(`${bias.name}/quantized`, bias.dtype, bias.shape as number[], bias.data);
  copy.quant = { scale, zeroPoint: scale.map(() => 0), axis: Math.max(0, bias.shape.length - 1) };
  return c.emit("Dequantize", [copy], { to: "float32" }, { dtype: "float32" });
}

const qLinearMatMul: Row = (c) => {
  const rank = (i: number): number => c.rank(c.raw(i));
  const y = c.emit("MatMul", [real(c, 0, 1, Math.max(0, rank(0) - 2)), real(c, 3, 4, rank(3) - 1)]);
  return stored(c, y, c.raw(7).dtype, 6, Math.max(0, c.rank(y) - 1));
};

export const quantization: Table = {
  QuantizeLinear: quantize,
  DequantizeLinear: dequantize,
  QLinearConv: qLinearConv,
  QLinearMatMul: qLinearMatMul,
};
