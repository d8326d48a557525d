// Weights of few bits in blocks against ONNX Runtime 1.32's answers, read as they are, converted, and on both
// targets; what cannot be is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { convert } from "../../convert.js";
import { ModelError } from "../../error.js";
import { load } from "../../index.js";
import { float32, modelBytes, type NodeSpec, type TensorSpec } from "./model.test.helper.js";
import { readOnnx } from "./reader.js";

const range = (n: number, f: (i: number) => number): number[] => Array.from({ length: n }, (_, i) => f(i));
const bytes = (name: string, dims: number[], step: number, first: number): TensorSpec => ({
  name,
  type: 2,
  dims,
  raw: Uint8Array.from(
    range(
      dims.reduce((a, b) => a * b),
      (i) => i * step + first,
    ),
  ), // mod 256
});
const scales = (dims: number[]): TensorSpec => ({
  name: "S",
  dims,
  raw: float32(
    ...range(
      dims.reduce((a, b) => a * b),
      (i) => (i + 1) / 8,
    ),
  ),
});

const matmul = (bits: number, k: number, zeros: boolean, more: NodeSpec["attrs"] = {}): Uint8Array => {
  const blocks = Math.ceil(k / 16);
  return modelBytes({
    nodes: [
      {
        op: "MatMulNBits",
        domain: "com.microsoft",
        inputs: ["x", "B", "S", ...(zeros ? ["Z"] : [])],
        outputs: ["y"],
        attrs: { K: k, N: 2, bits, block_size: 16, accuracy_level: 4, ...more },
      },
    ],
    inputs: [{ name: "x", shape: ["n", k] }],
    outputs: [{ name: "y" }],
    initializers: [
      bytes("B", [2, blocks, 2 * bits], 37, 11),
      scales([2, blocks]),
      bytes("Z", [2, Math.ceil((blocks * bits) / 8)], 91, 39),
    ],
  });
};

async function answers(source: Uint8Array, inputs: Record<string, number[]>, want: number[]): Promise<void> {
  for (const model of [source, await convert(source)])
    for (const device of ["cpu", "reference"]) {
      await using m = await load(model, { device });
      assert.deepEqual(Array.from((await m.run(inputs)).y?.data as Float32Array), want);
    }
}

test("MatMulNBits", async () => {
  for (const [bits, k, zeros, want] of [
    [4, 32, true, [-5, 9]],
    [4, 32, false, [-3.25, 13.5]],
    [8, 32, true, [-90, 270.5]],
    [4, 24, true, [3, 8.5]],
    [2, 32, true, [2.375, -1.625]],
  ] as const)
    await answers(matmul(bits, k, zeros), { x: range(k, (i) => (i % 5) - 2) }, [...want]);
});

test("whole blocks of four bits stay so", () => {
  const stored = readOnnx(matmul(4, 32, true)).nodes[0]?.inputs[0];
  assert.deepEqual([stored?.dtype, stored?.shape, stored?.data?.length], ["int4", [4, 16], 32]);
});

test("GatherBlockQuantized", async () => {
  const model = modelBytes({
    nodes: [
      {
        op: "GatherBlockQuantized",
        domain: "com.microsoft",
        inputs: ["B", "i", "S"],
        outputs: ["y"],
        attrs: { bits: 4, block_size: 16 },
      },
    ],
    inputs: [{ name: "i", type: 7, shape: [1] }],
    outputs: [{ name: "y" }],
    initializers: [bytes("B", [3, 16], 37, 11), scales([3, 2])],
  });
  // biome-ignore format: a row
  const row = [
    1.875, 1.25, -5, 3.125, -1.875, 4.375, 1.25, -4.375, 4.375, -3.125, -2.5, -1.25, 0.625, 0, 3.75, 1.25,
    -3.75, 3.75, 0, 5.25, 3.75, -5.25, -4.5, -3, -0.75, -1.5, 3, 0, -5.25, 2.25, -1.5, 3.75,
  ];
  await answers(model, { i: [2] }, row);
});

test("weights that cannot be", () => {
  const fails = (model: Uint8Array, code: string, message: RegExp): void =>
    assert.throws(
      () => readOnnx(model),
      (e) => e instanceof ModelError && e.code === code && message.test(e.message),
    );
  fails(matmul(4, 32, true, { bits: 3 }), "unsupported", /3 bits/);
  fails(matmul(4, 32, true, { K: 48 }), "bad_graph", /bytes for \[2, 48\]/);
  fails(matmul(4, 32, true, { N: 2 ** 40 }), "bad_graph", /bytes for/);
  fails(matmul(4, 32, true, { block_size: 32 }), "bad_graph", /4 scales and .* for 2 blocks|zero points/);
  fails(matmul(4, 32, true, { block_size: 0 }), "bad_graph", /blocks of 0/);
});

/** x · DequantizeLinear(q), q [shape] of numbers low, low + 7, … in a type's range, in blocks along an axis */
function dequantized(
  type: number,
  axis: number,
  shape: [number, number],
  block: number,
  zero: boolean,
): Uint8Array {
  const four = type === 21 || type === 22;
  const span = four ? 16 : 256;
  const low = { 2: 0, 3: -128, 21: 0, 22: -8 }[type] as number;
  const list = (n: number, step: number): number[] => range(n, (i) => low + ((i * step) % span));
  const dims = shape.map((d, k) => (k === axis ? Math.ceil(d / block) : d));
  const stored = (name: string, dims: number[], step: number): TensorSpec => {
    const values = list(
      dims.reduce((a, b) => a * b),
      step,
    );
    const nibble = (i: number): number => (values[i] ?? 0) & 15;
    const raw = four
      ? range(Math.ceil(values.length / 2), (i) => nibble(2 * i) | (nibble(2 * i + 1) << 4))
      : values;
    return { name, type, dims, raw: Uint8Array.from(raw) };
  };
  return modelBytes({
    nodes: [
      {
        op: "DequantizeLinear",
        inputs: ["q", "s", ...(zero ? ["z"] : [])],
        outputs: ["w"],
        attrs: { axis, block_size: block },
      },
      { op: "MatMul", inputs: ["x", "w"], outputs: ["y"] },
    ],
    inputs: [{ name: "x", shape: [1, shape[0]] }],
    outputs: [{ name: "y" }],
    initializers: [
      stored("q", shape, 7),
      {
        name: "s",
        dims,
        floats: range(
          dims.reduce((a, b) => a * b),
          (i) => 0.25 * (1 + (i % 3)),
        ),
      },
      ...(zero ? [stored("z", dims, 3)] : []),
    ],
    opset: 21,
  });
}

test("DequantizeLinear in blocks, by ONNX Runtime 1.32", async () => {
  for (const [type, axis, shape, block, zero, want] of [
    [22, 0, [8, 3], 4, true, [-1.25, 7.5, -9.75]],
    [22, 1, [3, 8], 4, true, [-1.5, -10.25, -7, -7.75, -7.75, -0.5, -5.25, 2]],
    [21, 0, [8, 3], 4, true, [-1.25, 7.5, -9.75]],
    [3, 0, [8, 3], 2, false, [64.5, 118.5, 162]],
    [2, 1, [3, 6], 2, true, [-8.25, -13.5, -33, -43.5, -74.25, -90]],
    [3, 1, [3, 5], 2, true, [-6.5, -11.75, -29.5, -40, -69]],
    [22, 0, [5, 3], 2, true, [1.25, -5.5, -20.25]],
  ] as const)
    await answers(
      dequantized(type, axis, [...shape], block, zero),
      { x: range(shape[0], (i) => (i % 5) - 2) },
      [...want],
    );
});

test("blocks along a middle axis", async () => {
  const q = range(24, (i) => ((i * 37) % 256) - 128);
  const scale = range(12, (i) => (i + 1) / 4);
  const model = modelBytes({
    nodes: [
      { op: "DequantizeLinear", inputs: ["q", "s"], outputs: ["w"], attrs: { axis: -2, block_size: 2 } },
      { op: "Add", inputs: ["x", "w"], outputs: ["y"] },
    ],
    inputs: [{ name: "x", shape: [1] }],
    outputs: [{ name: "y" }],
    initializers: [
      { name: "q", type: 3, dims: [2, 4, 3], int32s: q },
      { name: "s", dims: [2, 2, 3], floats: scale },
    ],
    opset: 21,
  });
  const block = (i: number): number => Math.floor(i / 6) * 3 + (i % 3);
  await answers(
    model,
    { x: [0.5] },
    q.map((v, i) => v * (scale[block(i)] as number) + 0.5),
  );
});

test("scales that do not fit the blocks", () => {
  const other = modelBytes({
    nodes: [
      { op: "DequantizeLinear", inputs: ["q", "s"], outputs: ["w"], attrs: { axis: 0, block_size: 3 } },
    ],
    inputs: [{ name: "q", type: 3, shape: [8, 3] }],
    outputs: [{ name: "w" }],
    initializers: [{ name: "s", dims: [4, 3], floats: range(12, (i) => i) }],
    opset: 21,
  });
  assert.throws(() => readOnnx(other), /scales \[4,3\] for \[8,3\] in blocks of 3/);
});
