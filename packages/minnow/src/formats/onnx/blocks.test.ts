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
