// Quantised ONNX. Constant parameters become `quant` of the tensor, which is what the quantised kernels
// understand; computed ones become plain arithmetic. QLinear operators are read as the real operator between
// conversions, from which a pass makes the quantised one.
import { borrow } from "../../../graph/deferred.js";
import type { Dim } from "../../../graph/dim.js";
import type { DType, TypedArray } from "../../../graph/dtype.js";
import type { Quantization, Tensor } from "../../../graph/graph.js";
import type { Call, Row, Table } from "../call.js";
import { permuteData } from "../../../graph/permute.js";
import { numbersOf } from "../builder.js";
import { computeType, typeName } from "../types.js";
import { convolve } from "./convolution.js";

/** Constant scale and zero point of inputs `at` and `at + 1`, one or one a channel. */
function parameters(c: Call, at: number, axis: number): Quantization | undefined {
  if (blockOf(c)) return undefined;
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

const blockOf = (c: Call): number => c.int("block_size", 0);

/** Scale and zero point as float32 tensors that broadcast along the axis; of blocks, one for each element. */
function computed(c: Call, at: number, axis: number, x: Tensor): [scale: Tensor, zero: Tensor | null] {
  const rank = c.rank(x);
  const block = blockOf(c);
  const spread = (i: number): Tensor => {
    const t = c.cast(wide(c, c.x(i)), "float32");
    if (block) {
      const size = c.shape(x)[axis];
      if (typeof size !== "number" || size > 1 << 24)
        c.unsupported(`blocks along a dimension of ${size} are not supported`);
      const indices = Array.from({ length: size }, (_, k) => Math.floor(k / block));
      return c.emit("Gather", [t, c.int64(indices)], { axis });
    }
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
  if (blockOf(c)) {
    const rows = rowsOfBlocks(c, i, at, axis);
    if (rows) return rows;
  }
  const quant = parameters(c, at, axis);
  const source = quant && carrier(c, i, quant);
  if (source) {
    const y = c.emit("Dequantize", [source], { to: "float32" }, { dtype: "float32" });
    if (source.kind === "constant") c.builder.dequantized.set(y, source);
    return y;
  }
  if (q.quant) c.unsupported("numbers quantised by one scale are read by another");
  const [scale, zero] = computed(c, at, axis, q);
  const x = c.cast(wide(c, q), "float32");
  return c.emit("Mul", [zero ? c.emit("Sub", [x, zero]) : x, scale]);
}

/** Constants of four bits as bytes. */
const wide = (c: Call, t: Tensor): Tensor =>
  t.dtype === "int4" && t.data
    ? c.builder.constant(t.name, "int8", t.shape as number[], Int8Array.from(numbersOf(t)))
    : t;

/**
 * Constant input i in whole blocks along the axis, as rows of a block each, which have a scale each. The axis
 * becomes the last, which is how products of matrices read their weights.
 */
function rowsOfBlocks(c: Call, i: number, at: number, axis: number): Tensor | undefined {
  const block = blockOf(c);
  const q = c.raw(i);
  const scales = c.numbers(at);
  const zeros = c.has(at + 1) ? c.numbers(at + 1) : scales?.map(() => 0);
  const shape = q.shape as number[];
  if (q.kind !== "constant" || !q.data || !scales || !zeros || (shape[axis] as number) % block !== 0)
    return undefined;
  const last = shape.length - 1;
  const perm = [...shape.keys()].filter((k) => k !== axis).concat(axis);
  const turned = (list: number[]): number[] =>
    borrow(permuteData(Float32Array.from(list), "float32", c.shape(c.raw(at)) as number[], perm), (a) =>
      Array.from(a as Float32Array),
    );
  const { dtype, data } = axis < last ? wide(c, q) : q;
  const stored = permuteData(data as TypedArray, dtype, shape, perm);
  const rows = c.builder.constant(`${q.name}/blocks`, dtype, [scales.length, block], stored);
  rows.quant = { scale: turned(scales), zeroPoint: turned(zeros), axis: 0 };
  const y = c.emit("Dequantize", [rows], { to: "float32" }, { dtype: "float32" });
  const whole = c.reshape(
    y,
    perm.map((k) => shape[k] as number),
  );
  const back = [...shape.keys()].map((k) => (k === axis ? last : k > axis ? k - 1 : k));
  return axis < last ? c.emit("Transpose", [whole], { perm: back }) : whole;
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
  const [scale, zero] = computed(c, at, axis, x);
  const rounded = c.emit("Round", [c.emit("Div", [x, scale])]);
  const moved = zero ? c.emit("Add", [rounded, zero]) : rounded;
  return c.cast(c.emit("Clip", [moved], { min: range[0], max: range[1] }), to);
}

function channelAxis(c: Call, i: number): number {
  const axis = c.int("axis", 1);
  const block = blockOf(c);
  if (block) {
    const [x, scale] = [c.shape(c.raw(i)), c.shape(c.raw(1))];
    const along = c.axis(axis, x.length);
    const blocks = (d: Dim, k: number): Dim =>
      k === along && typeof d === "number" ? Math.ceil(d / block) : d;
    if (block < 0 || String(x.map(blocks)) !== String(scale))
      c.bad(`scales [${scale}] for [${x}] in blocks of ${block} along axis ${along}`);
    return along;
  }
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
