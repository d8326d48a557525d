// Damaged files: every mutant is read or refused with a ModelError, within a second. Seeds are hand-written
// models and, where they are, ONNX's own small ones, which use nearly every operator.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ModelError } from "../../error.js";
import { mutate, seededRng } from "../mutate.js";
import { readCases, shared } from "./backend.test.helper.js";
import { mutateModel } from "./mutate_model.test.helper.js";
import { float32, modelBytes, type TensorSpec } from "./model.test.helper.js";
import { readOnnx } from "./reader.js";

const byHand = modelBytes({
  nodes: [
    { op: "Conv", inputs: ["x", "w"], outputs: ["a"], attrs: { pads: [1, 1, 1, 1], strides: [2, 2] } },
    { op: "Shape", inputs: ["a"], outputs: ["s"] },
    { op: "Slice", inputs: ["s", "from", "to"], outputs: ["t"] },
    { op: "Concat", inputs: ["t", "rest"], outputs: ["u"], attrs: { axis: 0 } },
    { op: "Reshape", inputs: ["a", "u"], outputs: ["b"] },
    { op: "Gemm", inputs: ["b", "m"], outputs: ["y"], attrs: { alpha: { float: 0.5 } } },
    {
      op: "MatMulNBits",
      domain: "com.microsoft",
      inputs: ["b", "q", "scales"],
      outputs: ["r"],
      attrs: { K: 8, N: 2, bits: 4, block_size: 16 },
    },
    { op: "Conv", inputs: ["volume", "w3"], outputs: ["f"], attrs: { pads: [1, 0, 0, 0, 1, 1], group: 2 } },
    {
      op: "MaxPool",
      inputs: ["f"],
      outputs: ["g"],
      attrs: { kernel_shape: [2, 1, 1], strides: [2, 1, 1], ceil_mode: 1 },
    },
    { op: "ConstantOfShape", inputs: ["to"], outputs: ["z"] },
    {
      op: "If",
      inputs: ["yes"],
      outputs: ["v"],
      attrs: {
        then_branch: {
          graph: { nodes: [{ op: "Neg", inputs: ["b"], outputs: ["k"] }], outputs: [{ name: "k" }] },
        },
        else_branch: {
          graph: { nodes: [{ op: "Exp", inputs: ["b"], outputs: ["k"] }], outputs: [{ name: "k" }] },
        },
      },
    },
  ],
  inputs: [
    { name: "x", shape: ["n", 1, 4, 4] },
    { name: "volume", shape: [1, 2, 3, 2, 2] },
    { name: "yes", type: 9, shape: [1] },
  ],
  outputs: [{ name: "y" }, { name: "z" }, { name: "v" }, { name: "r" }, { name: "g" }],
  initializers: [
    { name: "w", dims: [2, 1, 3, 3], raw: float32(...Array(18).keys()) },
    { name: "w3", dims: [2, 1, 3, 2, 2], floats: [...Array(24).keys()] },
    { name: "q", type: 2, dims: [2, 1, 8], raw: Uint8Array.from(Array(16).keys()) },
    { name: "scales", dims: [2], floats: [1, 2] },
    { name: "m", dims: [8, 3], floats: [...Array(24).keys()] },
    { name: "from", type: 7, dims: [1], int64s: [0] },
    { name: "to", type: 7, dims: [1], int64s: [1] },
    { name: "rest", type: 7, dims: [1], int64s: [-1] },
  ],
});

const bytes = (dims: readonly number[], name: string, type = 3): TensorSpec => ({
  name,
  type,
  dims,
  int32s: Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => i % 100),
});

const quantised = modelBytes({
  opset: 13,
  nodes: [
    { op: "DynamicQuantizeLinear", inputs: ["x"], outputs: ["q", "s", "z"] },
    { op: "ConvInteger", inputs: ["q", "w", "z", "zw"], outputs: ["a"], attrs: { pads: [1, 1] } },
    { op: "MatMulInteger", inputs: ["q", "m", "z", "zm"], outputs: ["b"] },
    {
      op: "DynamicQuantizeLSTM",
      domain: "com.microsoft",
      inputs: ["x", "lw", "lr", "", "", "", "", "", "ls", "lz", "ls", "lz"],
      outputs: ["c"],
      attrs: { direction: "bidirectional", hidden_size: 2 },
    },
    {
      op: "QGemm",
      domain: "com.microsoft",
      inputs: ["g", "sm", "zm", "m", "sm", "zm", "gb", "sm", "zg"],
      outputs: ["d"],
    },
  ],
  inputs: [
    { name: "x", shape: ["n", 2, 5] },
    { name: "g", type: 2, shape: [2, 5] },
  ],
  outputs: [{ name: "a", type: 6 }, { name: "b", type: 6 }, { name: "c" }, { name: "d", type: 2 }],
  initializers: [
    ...[bytes([3, 2, 3], "w"), bytes([3], "zw"), bytes([5, 4], "m"), bytes([], "zm"), bytes([], "zg", 2)],
    ...[bytes([2, 5, 8], "lw"), bytes([2, 2, 8], "lr"), bytes([2], "lz"), bytes([4], "gb", 6)],
    { name: "sm", dims: [], floats: [0.1] },
    { name: "ls", dims: [2], floats: [0.1, 0.2] },
  ],
});

type Mutate = typeof mutate;

/** Half of the mutants are damaged as bytes, half as messages. */
function tryMutants(
  seeds: readonly Uint8Array[],
  n: number,
  seed: number,
): { read: number; refused: Map<string, number> } {
  const rng = seededRng(seed);
  const refused = new Map<string, number>();
  let read = 0;
  for (let i = 0; i < n; i++) {
    const damage: Mutate = i % 2 ? mutate : mutateModel;
    const bytes = damage(seeds[Math.floor(rng() * seeds.length)] as Uint8Array, rng);
    const start = process.cpuUsage(); // not the clock: other processes share the machine
    try {
      readOnnx(bytes);
      read++;
    } catch (e) {
      if (!(e instanceof ModelError))
        throw new Error(`mutant ${i} of seed ${seed}: ${(e as Error).stack}`, { cause: e });
      assert.notEqual(e.code, "internal", e.message);
      refused.set(e.code, (refused.get(e.code) ?? 0) + 1);
    }
    const ms = process.cpuUsage(start).user / 1000;
    assert.ok(ms < 1000, `mutant ${i} of seed ${seed} takes ${ms} ms`);
  }
  return { read, refused };
}

for (const [name, model, seed] of [
  ["hand-written", byHand, 1],
  ["quantised", quantised, 4],
] as const)
  test(`mutants of a ${name} model`, (t) => {
    readOnnx(model);
    const { read, refused } = tryMutants([model], 3000, seed);
    t.diagnostic(`${read} read, refused: ${JSON.stringify([...refused])}`);
    assert.ok(read > 0 && refused.size >= 3);
  });

const archive = shared("op-level/onnx-backend-1.23.tar.gz");
test("mutants of ONNX's cases and a small network", {
  skip: archive ? false : "shared/testdata is not here",
}, (t) => {
  const seeds = readCases(archive as string)
    .map((c) => c.model)
    .filter((m) => m.length < 4096);
  const { read, refused } = tryMutants(seeds, 6000, 2);
  t.diagnostic(`${read} read, refused: ${JSON.stringify([...refused])}`);
  const mnist = new Uint8Array(readFileSync(shared("onnx/mnist.onnx") as string));
  tryMutants([mnist], 1000, 3);
});
