// QuantizeLinear and DequantizeLinear. Constant parameters become `quant` of the tensor, which is what the
// quantised kernels understand; computed ones become plain arithmetic.
import type { DType } from "../../../graph/dtype.js";
import type { Quantization, Tensor } from "../../../graph/graph.js";
import type { Call, Row, Table } from "../call.js";
import { computeType, typeName } from "../types.js";

/** Constant scale and zero point of inputs 1 and 2, on the axis of a tensor of this rank. */
function parameters(c: Call, rank: number): Quantization | undefined {
  const scale = c.numbers(1);
  const zeroPoint = c.has(2) ? c.numbers(2) : scale?.map(() => 0);
  const axis = c.int("axis", 1);
  if (c.int("block_size", 0) !== 0) c.unsupported("blocked quantisation is not supported");
  if (!scale || !zeroPoint) return undefined;
  if (scale.length !== zeroPoint.length) c.bad(`${scale.length} scales and ${zeroPoint.length} zero points`);
  return { scale, zeroPoint, axis: scale.length > 1 ? c.axis(axis, rank) : 0 };
}

const equal = (a: Quantization, b: Quantization): boolean =>
  a.scale.join() === b.scale.join() && a.zeroPoint.join() === b.zeroPoint.join() && (a.scale.length === 1 || a.axis === b.axis);

const ranges: Partial<Record<DType, [number, number]>> = { int8: [-128, 127], uint8: [0, 255], int16: [-32768, 32767] };

function quantizedType(c: Call): DType {
  if (c.has(2)) return c.raw(2).dtype;
  const code = c.int("output_dtype", 2) || 2;
  return computeType(code) ?? c.unsupported(`quantisation to ${typeName(code)} is not supported`);
}

const quantize: Row = (c) => {
  c.ignore("saturate", "precision", "output_dtype");
  const x = c.x(0);
  const to = quantizedType(c);
  const range = ranges[to] ?? c.unsupported(`quantisation to ${to} is not supported`);
  const quant = parameters(c, c.rank(x));
  if (quant && to !== "int16") return c.emit("Quantize", [c.cast(x, "float32")], { to }, { dtype: to, quant });
  const [scale, zero] = [1, 2].map((i) => (c.has(i) ? alongAxis(c, c.cast(c.x(i), "float32"), c.rank(x)) : null));
  const rounded = c.emit("Round", [c.emit("Div", [c.cast(x, "float32"), scale as Tensor])]);
  const moved = zero ? c.emit("Add", [rounded, zero]) : rounded;
  return c.cast(c.emit("Clip", [moved], { min: range[0], max: range[1] }), to);
};

/** A vector of parameters, shaped to broadcast along the axis. */
function alongAxis(c: Call, t: Tensor, rank: number): Tensor {
  if (c.rank(t) === 0 || c.shape(t)[0] === 1) return t;
  const after = rank - 1 - c.axis(c.int("axis", 1), rank);
  return after > 0 ? c.unsqueeze(t, Array.from({ length: after }, (_, i) => i + 1)) : t;
}

const dequantize: Row = (c) => {
  c.ignore("output_dtype");
  const q = c.raw(0);
  const quant = parameters(c, c.rank(q));
  const source = quant && quantised(c, q, quant);
  if (source) {
    const y = c.emit("Dequantize", [source], { to: "float32" }, { dtype: "float32" });
    if (source.kind === "constant") c.builder.dequantized.set(y, source);
    return y;
  }
  const [scale, zero] = [1, 2].map((i) => (c.has(i) ? alongAxis(c, c.cast(c.x(i), "float32"), c.rank(q)) : null));
  const x = c.cast(c.x(0), "float32");
  return c.emit("Mul", [zero ? c.emit("Sub", [x, zero]) : x, scale as Tensor]);
};

/** The tensor that carries these parameters, where there can be one. */
function quantised(c: Call, q: Tensor, quant: Quantization): Tensor | undefined {
  if (q.quant) return equal(q.quant, quant) ? q : undefined;
  if (q.kind !== "constant" || !q.data) return undefined;
  const copy = c.builder.constant(`${q.name}/quantized`, q.dtype, q.shape as number[], q.data);
  copy.quant = quant;
  return copy;
}

export const quantization: Table = { QuantizeLinear: quantize, DequantizeLinear: dequantize };
