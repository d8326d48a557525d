// Just enough of ONNX's protobuf (onnx.proto: field numbers) to write a model with initialisers.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** TensorProto.DataType */
const types = { float32: 1, int8: 3, int32: 6, int64: 7 };

const message = (w, field, write) => {
  w.tag(field, WireType.LengthDelimited).fork();
  write(w);
  return w.join();
};
const text = (w, field, s) => w.tag(field, WireType.LengthDelimited).string(s);
const int = (w, field, n) => w.tag(field, WireType.Varint).int64(n);

function attribute(w, name, value) {
  text(w, 1, name);
  if (Array.isArray(value)) {
    for (const v of value) int(w, 8, v);
    return int(w, 20, 7);
  }
  if (typeof value === "object") return int(w.tag(2, WireType.Bit32).float(value.float), 20, 1);
  return int(int(w, 3, value), 20, 2);
}

function valueInfo(w, { name, shape }) {
  text(w, 1, name);
  message(w, 2, (type) =>
    message(type, 1, (tensor) => {
      int(tensor, 1, types.float32);
      message(tensor, 2, (s) => shape.forEach((d) => message(s, 1, (dim) => int(dim, 1, d))));
    }),
  );
}

function node(w, { op, inputs, attributes, output }) {
  inputs.forEach((i) => text(w, 1, i));
  text(w, 2, output);
  text(w, 3, `${op}_${output}`);
  text(w, 4, op);
  for (const [k, v] of Object.entries(attributes)) message(w, 5, (a) => attribute(a, k, v));
}

function tensor(w, { name, shape, type, data }) {
  shape.forEach((d) => int(w, 1, d));
  int(w, 2, types[type]);
  text(w, 8, name);
  w.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
}

/**
 * @param {{ name: string, nodes: object[], weights: object[], inputs: object[], outputs: object[] }} graph
 *   an attribute is an integer, a list of integers, or { float }
 * @returns {Uint8Array} ModelProto bytes, opset 13
 */
export function onnxFile({ name, nodes, weights, inputs, outputs }) {
  const w = new BinaryWriter();
  int(w, 1, 8);
  text(w, 2, "minnow-bench");
  message(w, 7, (g) => {
    for (const n of nodes) message(g, 1, (p) => node(p, n));
    text(g, 2, name);
    for (const t of weights) message(g, 5, (p) => tensor(p, t));
    for (const v of inputs) message(g, 11, (p) => valueInfo(p, v));
    for (const v of outputs) message(g, 12, (p) => valueInfo(p, v));
  });
  message(w, 8, (o) => {
    text(o, 1, "");
    int(o, 2, 13);
  });
  return w.finish();
}
