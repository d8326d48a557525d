// Just enough of ONNX's protobuf (onnx.proto: field numbers) to write a model with initialisers.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

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
  if (Number.isInteger(value)) return int(int(w, 3, value), 20, 2);
  return int(w.tag(2, WireType.Bit32).float(value), 20, 1);
}

function valueInfo(w, { name, shape }) {
  text(w, 1, name);
  message(w, 2, (type) =>
    message(type, 1, (tensor) => {
      int(tensor, 1, 1);
      message(tensor, 2, (s) => shape.forEach((d) => message(s, 1, (dim) => int(dim, 1, d))));
    }),
  );
}

/** @returns {Uint8Array} ModelProto bytes, opset 13 */
export function writeModel({ name, nodes, weights, input, output }) {
  const w = new BinaryWriter();
  int(w, 1, 8);
  text(w, 2, "minnow-bench");
  message(w, 7, (g) => {
    for (const n of nodes)
      message(g, 1, (p) => {
        n.inputs.forEach((i) => text(p, 1, i));
        text(p, 2, n.output);
        text(p, 3, `${n.op}_${n.output}`);
        text(p, 4, n.op);
        for (const [k, v] of Object.entries(n.attrs)) message(p, 5, (a) => attribute(a, k, v));
      });
    text(g, 2, name);
    for (const t of weights)
      message(g, 5, (p) => {
        t.shape.forEach((d) => int(p, 1, d));
        int(p, 2, 1);
        text(p, 8, t.name);
        p.tag(9, WireType.LengthDelimited).bytes(
          new Uint8Array(t.data.buffer, t.data.byteOffset, t.data.byteLength),
        );
      });
    message(g, 11, (p) => valueInfo(p, input));
    message(g, 12, (p) => valueInfo(p, output));
  });
  message(w, 8, (o) => {
    text(o, 1, "");
    int(o, 2, 13);
  });
  return w.finish();
}
