// minnow/run learns the operators that few models use when a model has one. This file must import
// nothing that brings them along.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { writeMinnow } from "./formats/minnow/writer.js";
import { constant, Graph, type Tensor, value } from "./graph/graph.js";
import { known } from "./ops/common.js";
import { load } from "./run.js";

test("a model with a rare operator runs", async () => {
  const x: Tensor = { name: "x", dtype: "float32", shape: [4], kind: "input" };
  const y = value("y", "float32", [3]);
  const graph = new Graph();
  graph.inputs = [x];
  graph.outputs = [y];
  const indices = constant("i", "int32", [3], Int32Array.of(3, 0, 2));
  graph.nodes = [{ op: "Gather", name: "pick", inputs: [x, indices], outputs: [y], attrs: { axis: 0 } }];
  assert.ok(!known.has("Gather"));
  const model = await load(writeMinnow(graph));
  const out = await model.run({ x: Float32Array.of(5, 6, 7, 8) });
  assert.deepEqual(Array.from(out.y?.data as Float32Array), [8, 5, 7]);
  await model.dispose();
});
