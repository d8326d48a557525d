// memory: "small" keeps weights at the size that they are stored in, and gives the same answers.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { writeMinnow } from "../formats/minnow/writer.js";
import { constant, Graph, type Tensor, value } from "../graph/graph.js";
import { load } from "../run.js";
import type { LoadOptions } from "./types.js";

function file(): Uint8Array {
  const graph = new Graph();
  const x: Tensor = { name: "x", dtype: "float32", shape: [1, 28, 28, 64], kind: "input" };
  const y = value("y", "float32");
  const w = Float32Array.from({ length: 64 * 9 * 64 }, (_, i) => ((i * 37) % 101) / 50 - 1);
  const weights = constant("w", "float32", [64, 3, 3, 64], w);
  graph.inputs = [x];
  graph.nodes = [
    { op: "Conv2D", name: "c", inputs: [x, weights], outputs: [y], attrs: { padding: "same_upper" } },
  ];
  graph.outputs = [y];
  return writeMinnow(graph);
}

test('memory: "small" forgoes growth and changes no answer', async () => {
  const x = Float32Array.from({ length: 28 * 28 * 64 }, (_, i) => ((i * 13) % 41) / 20 - 1);
  const run = async (options: LoadOptions) => {
    await using model = await load(file(), options);
    const y = (await model.run({ x })).y?.data as Float32Array;
    return { y, memory: model.report().memory };
  };
  const [fast, small] = [await run({}), await run({ memory: "small" })];
  const peak = fast.y.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  const error = fast.y.reduce((m, v, i) => Math.max(m, Math.abs(v - (small.y[i] as number))), 0);
  assert.ok(error < 1e-5 * peak, `${error} of ${peak}`);
  assert.deepEqual(small.memory.growth, {});
  assert.ok((fast.memory.growth.winograd ?? 0) > 64 * 9 * 64 * 4 * 0.7, JSON.stringify(fast.memory));
  assert.equal(fast.memory.weights - (fast.memory.growth.winograd ?? 0) >= small.memory.weights, true);
  await assert.rejects(load(file(), { memory: "large" as "small" }), /"small"/);
});
