// A small convolutional digit classifier with seeded weights, as ONNX bytes: no file from elsewhere.
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

const message = (w, field, write) => {
  w.tag(field, WireType.LengthDelimited).fork();
  write(w);
  return w.join();
};
const text = (w, field, s) => w.tag(field, WireType.LengthDelimited).string(s);
const int = (w, field, n) => w.tag(field, WireType.Varint).int64(n);

export function digits() {
  let state = 7;
  const random = (n, scale) =>
    Float32Array.from({ length: n }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state / 2 ** 31 - 1) * scale;
    });
  const weights = [
    ["w1", [8, 1, 5, 5], random(200, 0.3)],
    ["b1", [8], random(8, 0.1)],
    ["w2", [10, 8 * 14 * 14], random(15680, 0.05)],
    ["b2", [10], random(10, 0.1)],
  ];
  const nodes = [
    ["Conv", ["x", "w1", "b1"], "c", { kernel_shape: [5, 5], pads: [2, 2, 2, 2] }],
    ["Relu", ["c"], "r", {}],
    ["MaxPool", ["r"], "p", { kernel_shape: [2, 2], strides: [2, 2] }],
    ["Flatten", ["p"], "f", {}],
    ["Gemm", ["f", "w2", "b2"], "g", { transB: 1 }],
    ["Softmax", ["g"], "y", { axis: 1 }],
  ];
  const w = new BinaryWriter();
  int(w, 1, 8);
  message(w, 7, (g) => {
    for (const [op, inputs, output, attrs] of nodes)
      message(g, 1, (n) => {
        for (const i of inputs) text(n, 1, i);
        text(n, 2, output);
        text(n, 4, op);
        for (const [k, v] of Object.entries(attrs))
          message(n, 5, (a) => {
            text(a, 1, k);
            for (const x of [v].flat()) int(a, Array.isArray(v) ? 8 : 3, x);
            int(a, 20, Array.isArray(v) ? 7 : 2);
          });
      });
    text(g, 2, "digits");
    for (const [name, shape, data] of weights)
      message(g, 5, (t) => {
        for (const d of shape) int(t, 1, d);
        int(t, 2, 1);
        text(t, 8, name);
        t.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(data.buffer));
      });
    for (const [field, name, shape] of [
      [11, "x", [1, 1, 28, 28]],
      [12, "y", [1, 10]],
    ])
      message(g, field, (v) => {
        text(v, 1, name);
        message(v, 2, (t) =>
          message(t, 1, (tt) => {
            int(tt, 1, 1);
            message(tt, 2, (s) => shape.forEach((d) => message(s, 1, (dim) => int(dim, 1, d))));
          }),
        );
      });
  });
  message(w, 8, (o) => int(o, 2, 13));
  return w.finish();
}
