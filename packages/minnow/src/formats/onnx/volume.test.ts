// Convolution over three dimensions beyond ONNX's own cases (backend.test.ts): paddings by size against ONNX
// Runtime 1.32's answers, a free batch, and free sizes, which are refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { toGraph } from "../../convert.js";
import { ModelError } from "../../error.js";
import { load } from "../../index.js";
import { float32, modelBytes, type NodeSpec } from "./model.test.helper.js";
import { readOnnx } from "./reader.js";

const range = (n: number, f: (i: number) => number): number[] => Array.from({ length: n }, (_, i) => f(i));
const conv = (padding: string, depth: number | string): Uint8Array =>
  modelBytes({
    nodes: [
      {
        op: "Conv",
        inputs: ["x", "w"],
        outputs: ["y"],
        attrs: { strides: [2, 1, 1], auto_pad: padding },
      },
    ],
    inputs: [{ name: "x", shape: ["n", 1, depth, 2, 2] }],
    outputs: [{ name: "y" }],
    initializers: [
      { name: "w", dims: [2, 1, 2, 2, 2], raw: float32(...range(16, (i) => ((i * 3) % 7) - 3)) },
    ],
  });

test("paddings by size", async () => {
  // biome-ignore format: a row each
  const want: Record<string, number[]> = {
    SAME_UPPER: [13, -5, -10, 7, -3, -3, 6, 0, -8, -1, -1, -4, 5, 0, 0, 0, -9, 2, -7, 8, 13, -3, -6, 3, -3, -5, -3, -2, -4, 1, -3, 0],
    SAME_LOWER: [6, -2, -2, 1, 2, 1, 8, -11, 0, 6, -2, -2, 2, -2, 2, 7, -6, 5, -7, 13, 6, -4, -1, -3, 0, -6, 2, -8, 0, 10, -4, 7],
    VALID: [13, -8, -9, -3],
  };
  const x = Float32Array.from(range(24, (i) => ((i * 7) % 5) - 2));
  for (const [padding, values] of Object.entries(want)) {
    await using m = await load(conv(padding, 3));
    assert.deepEqual(Array.from((await m.run({ x })).y?.data as Float32Array), values, padding);
  }
});

test("free sizes are refused, with what helps", () => {
  assert.deepEqual(toGraph(conv("VALID", "d"), { dims: { d: 3 } }).outputs[0]?.shape, ["n", 2, 1, 1, 1]);
  assert.throws(
    () => readOnnx(conv("VALID", "d")),
    (e) => e instanceof ModelError && e.code === "unsupported" && /dims/.test(e.hint ?? ""),
  );
});

test("transposed, by ONNX Runtime 1.32", async () => {
  const cases: [x: number[], w: number[], attrs: NodeSpec["attrs"], want: number[]][] = [
    [
      [1, 2, 2, 2, 1],
      [2, 1, 2, 2, 1],
      { strides: [2, 1, 1], pads: [1, 0, 0, 0, 1, 0], output_padding: [1, 0, 0] },
      [-5, -3, -6, 7, 6, -3, 0, 0],
    ],
    [
      [1, 2, 2, 1, 2],
      [2, 1, 2, 1, 2],
      { strides: [1, 1, 2], dilations: [2, 1, 1], group: 2, pads: [1, 0, 0, 1, 0, 0] },
      [-6, 0, 3, 0, -6, 2, 0, 0, 1, 1, 5, -3, 2, -2, -1, 7],
    ],
  ];
  const size = (shape: number[]): number => shape.reduce((a, b) => a * b);
  for (const [shape, dims, attrs, want] of cases) {
    const channels = attrs?.group ? 2 : 1;
    const bytes = modelBytes({
      nodes: [{ op: "ConvTranspose", inputs: ["x", "w", "b"], outputs: ["y"], attrs }],
      inputs: [{ name: "x", shape }],
      outputs: [{ name: "y" }],
      initializers: [
        { name: "w", dims, raw: float32(...range(size(dims), (i) => ((i * 3) % 7) - 3)) },
        { name: "b", dims: [channels], raw: float32(...range(channels, (i) => i)) },
      ],
    });
    await using m = await load(bytes);
    const x = Float32Array.from(range(size(shape), (i) => ((i * 7) % 5) - 2));
    assert.deepEqual(
      Array.from((await m.run({ x })).y?.data as Float32Array, (v) => v + 0),
      want,
    );
  }
});
