// Files made to cost more than their size: each must end quickly and in little memory.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ModelError } from "../../error.js";
import { Graph, type Node, value } from "../../graph/graph.js";
import { readMinnow } from "../minnow/reader.js";
import { writeMinnow } from "../minnow/writer.js";
import { buildTflite, type OpSpec, type TensorSpec } from "./build.test.helper.js";
import { readTflite } from "./reader.js";

/** Runs `f`, which may throw a ModelError, and says what it cost. */
function cost(f: () => unknown): { ms: number; mb: number; error?: ModelError } {
  const heap = process.memoryUsage();
  const start = process.cpuUsage(); // not the clock: other processes share the machine
  let error: ModelError | undefined;
  try {
    f();
  } catch (e) {
    assert.ok(e instanceof ModelError, String(e));
    error = e;
  }
  const after = process.memoryUsage();
  const mb = (after.heapUsed + after.arrayBuffers - heap.heapUsed - heap.arrayBuffers) / 2 ** 20;
  return { ms: process.cpuUsage(start).user / 1000, mb, ...(error && { error }) };
}

const f32 = (name: string, shape: number[] = [2]): TensorSpec => ({ name, type: "FLOAT32", shape });

test("thousands of operators with a name of a megabyte", () => {
  const op = "x".repeat(2 ** 20);
  const ops: OpSpec[] = Array.from({ length: 5000 }, (_, i) => ({ op, inputs: [i], outputs: [i + 1] }));
  const file = buildTflite({
    tensors: Array.from({ length: 5001 }, (_, i) => f32(`t${i}`)),
    ops,
    inputs: [0],
    outputs: [5000],
  });
  const { error, ms, mb } = cost(() => readTflite(file));
  assert.equal(error?.problems?.length, 2000);
  assert.ok((error?.message.length ?? 0) < 4000);
  assert.ok(ms < 3000 && mb < 200, `${ms} ms, ${mb} MB`);
});

test("one tensor of a long name, packed a hundred thousand times", () => {
  const inputs = Array<number>(100_000).fill(0);
  const file = buildTflite({
    tensors: [f32("n".repeat(50_000)), f32("y".repeat(50_000), [100_000, 2])],
    ops: [{ op: "PACK", inputs, outputs: [1], options: { 1: { i32: 0 } } }],
    inputs: [0],
    outputs: [1],
  });
  const { error, ms, mb } = cost(() => readTflite(file));
  assert.match(error?.message ?? "", /far more than its size/);
  assert.ok(ms < 3000 && mb < 200, `${ms} ms, ${mb} MB`);
});

test("a constant used as thousands of long lists", () => {
  const tensors = [
    f32("x"),
    { name: "perm", type: "INT32", shape: [4096], data: new Int32Array(4096) },
    ...Array.from({ length: 5000 }, (_, i) => f32(`t${i}`)),
  ];
  const ops = Array.from(
    { length: 5000 },
    (_, i): OpSpec => ({ op: "TRANSPOSE", inputs: [0, 1], outputs: [i + 2] }),
  );
  const { error, mb } = cost(() => readTflite(buildTflite({ tensors, ops, inputs: [0], outputs: [2] })));
  assert.match(error?.message ?? "", /much larger/);
  assert.ok(mb < 200, `${mb} MB`);
});

/** An If of depth `depth`, with nothing inside. */
function nested(depth: number, names = 0): Graph {
  const g = new Graph();
  const x = { ...value(`x${names}`, "float32", [1]), kind: "input" as const };
  const y = value("y", "float32", [1]);
  const node: Node = { op: "If", name: "if", inputs: [x], outputs: [y], attrs: {} };
  if (depth > 0) node.graphs = [nested(depth - 1, names + 1)];
  g.inputs = [x];
  g.nodes = [node];
  g.outputs = [y];
  return g;
}

test("graphs nested too deep in a .minnow file", () => {
  assert.equal(readMinnow(writeMinnow(nested(10))).nodes.length, 1);
  assert.match(cost(() => readMinnow(writeMinnow(nested(40)))).error?.message ?? "", /nested too deep/);
});
