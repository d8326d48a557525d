// A TFLite file (schema version 3) from plain data. The field numbers are those of the tables written here.
import { Builder } from "flatbuffers";

/** TensorType */
const types = { float32: 0, int32: 2, int8: 9 };

/** Built-in operators: code, the version that reads int8, the number of the options' table in its union. */
const operators = {
  ADD: { code: 0, int8: 2, options: 11 },
  AVERAGE_POOL_2D: { code: 1, int8: 2, options: 5 },
  CONCATENATION: { code: 2, int8: 2, options: 10 },
  CONV_2D: { code: 3, int8: 3, options: 1 },
  DEPTHWISE_CONV_2D: { code: 4, int8: 3, options: 2 },
  DEQUANTIZE: { code: 6, int8: 2 },
  FULLY_CONNECTED: { code: 9, int8: 4, options: 8 },
  MAX_POOL_2D: { code: 17, int8: 2, options: 5 },
  MUL: { code: 18, int8: 2, options: 21 },
  RESHAPE: { code: 22, int8: 1 },
  SOFTMAX: { code: 25, int8: 2, options: 9 },
  PAD: { code: 34, int8: 2 },
  MEAN: { code: 40, int8: 2, options: 27 },
  QUANTIZE: { code: 114, int8: 1 },
};

/** Fields of each options' table in order: [name, width in bytes or "float"]. */
const convolution = [
  ["padding", 1],
  ["strideW", 4],
  ["strideH", 4],
];
const optionFields = {
  1: [...convolution, ["activation", 1], ["dilationW", 4, 1], ["dilationH", 4, 1]],
  2: [...convolution, ["multiplier", 4], ["activation", 1], ["dilationW", 4, 1], ["dilationH", 4, 1]],
  5: [...convolution, ["filterW", 4], ["filterH", 4], ["activation", 1]],
  8: [["activation", 1]],
  9: [["beta", "float"]],
  10: [
    ["axis", 4],
    ["activation", 1],
  ],
  11: [["activation", 1]],
  21: [["activation", 1]],
  27: [["keepDims", 1]],
};

/** Enumerations by the words the networks use. */
const words = { same: 0, valid: 1, relu: 1, relu6: 3 };

/** A table of `count` fields; `fill` adds those that are there, all they point at being written already. */
function table(b, count, fill) {
  b.startObject(count);
  fill();
  return b.endObject();
}

/** A vector of bytes that starts at a multiple of 16, as the interpreter's kernels want weights. */
function bytes(b, data) {
  const view = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  b.startVector(1, view.length, 16);
  b.space -= view.length;
  b.bb.setPosition(b.space);
  b.bb.bytes().set(view, b.space);
  return b.endVector();
}

function vector(b, items, size, add) {
  b.startVector(size, items.length, size);
  for (const item of [...items].reverse()) add(item);
  return b.endVector();
}
const offsets = (b, items) => vector(b, items, 4, (o) => b.addOffset(o));
const ints = (b, items) => vector(b, items, 4, (v) => b.addInt32(v));

function options(b, op, values) {
  const number = operators[op].options;
  const fields = optionFields[number] ?? [];
  return table(b, fields.length, () => {
    fields.forEach(([name, width, initial = 0], i) => {
      const value = values[name] ?? initial;
      const n = words[value] ?? Number(value);
      if (width === "float") b.addFieldFloat32(i, n, 0);
      else if (width === 1) b.addFieldInt8(i, n, 0);
      else b.addFieldInt32(i, n, initial);
    });
  });
}

function quantization(b, { scales, zeroPoint, axis }) {
  const scale = vector(b, scales, 4, (v) => b.addFloat32(v));
  const zero = vector(b, [...scales].fill(zeroPoint), 8, (v) => b.addInt64(BigInt(v)));
  return table(b, 7, () => {
    b.addFieldOffset(2, scale, 0);
    b.addFieldOffset(3, zero, 0);
    b.addFieldInt32(6, axis, 0);
  });
}

function tensor(b, { name, shape, type, quantised }, buffer) {
  const [text, dims] = [b.createString(name), ints(b, shape)];
  const q = quantised ? quantization(b, { axis: 0, ...quantised }) : 0;
  return table(b, 5, () => {
    b.addFieldOffset(0, dims, 0);
    b.addFieldInt8(1, types[type], 0);
    b.addFieldInt32(2, buffer, 0);
    b.addFieldOffset(3, text, 0);
    b.addFieldOffset(4, q, 0);
  });
}

function operator(b, { op, inputs, outputs, values }, code) {
  const [from, to] = [ints(b, inputs), ints(b, outputs)];
  const { options: number } = operators[op];
  const chosen = number ? options(b, op, values) : 0;
  return table(b, 5, () => {
    b.addFieldInt32(0, code, 0);
    b.addFieldOffset(1, from, 0);
    b.addFieldOffset(2, to, 0);
    if (!number) return;
    b.addFieldInt8(3, number, 0);
    b.addFieldOffset(4, chosen, 0);
  });
}

function operatorCode(b, op, int8) {
  const { code, int8: version } = operators[op];
  return table(b, 4, () => {
    b.addFieldInt8(0, code, 0);
    b.addFieldInt32(2, int8 ? version : 1, 1);
    b.addFieldInt32(3, code, 0);
  });
}

/**
 * @param {{ name: string, tensors: object[], operators: object[], inputs: number[], outputs: number[], int8: boolean }} graph
 *   a tensor is { name, shape, type, data?, quantised?: { scales, zeroPoint, axis? } },
 *   an operator { op, inputs, outputs, values }; both refer to tensors by number
 * @returns {Uint8Array}
 */
export function tfliteFile({ name, tensors, operators: steps, inputs, outputs, int8 }) {
  const size = tensors.reduce((n, t) => n + (t.data?.byteLength ?? 0) + 512, 65536);
  const b = new Builder(size);
  const stored = tensors.filter((t) => t.data);
  const empty = table(b, 1, () => {});
  const buffers = stored.map(({ data }) => {
    const at = bytes(b, data);
    return table(b, 1, () => b.addFieldOffset(0, at, 0));
  });
  const tables = offsets(
    b,
    tensors.map((t) => tensor(b, t, 1 + stored.indexOf(t))),
  );
  const codes = [...new Set(steps.map((s) => s.op))];
  const ops = offsets(
    b,
    steps.map((s) => operator(b, s, codes.indexOf(s.op))),
  );
  const [from, to, text] = [ints(b, inputs), ints(b, outputs), b.createString(name)];
  const graph = table(b, 5, () => [tables, from, to, ops, text].forEach((o, i) => b.addFieldOffset(i, o, 0)));
  const lists = {
    1: offsets(
      b,
      codes.map((op) => operatorCode(b, op, int8)),
    ),
    2: offsets(b, [graph]),
    3: b.createString("minnow-bench"),
    4: offsets(b, [empty, ...buffers]),
  };
  const root = table(b, 5, () => {
    b.addFieldInt32(0, 3, 0);
    for (const [field, at] of Object.entries(lists)) b.addFieldOffset(Number(field), at, 0);
  });
  b.finish(root, "TFL3");
  return b.asUint8Array();
}
