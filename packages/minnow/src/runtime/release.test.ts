// After loading, a model of fixed shapes holds its weights once, in the device's memory: neither the
// caller's bytes nor Minnow's own copy of the file are kept, and other shapes still find what was packed.
import { strict as assert } from "node:assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { writeMinnow } from "../formats/minnow/writer.js";
import { constant, Graph, type Tensor, value } from "../graph/graph.js";
import { dataOf } from "../graph/deferred.js";
import { readMinnow } from "../formats/minnow/reader.js";
import { ownSmallConstants, released, releaseConstants, shrink, shrinkable } from "../graph/released.js";
import { load } from "../run.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const noise = (n: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => ((i * 37) % 101) / 50 - 1);

/** Two convolutions, a matrix product and a table that is read as it is stored: all above 16 KB. */
function file(): Uint8Array {
  const graph = new Graph();
  const x: Tensor = { name: "x", dtype: "float32", shape: [1, 8, 8, 24], kind: "input" };
  const [a, b, y] = [value("a", "float32"), value("b", "float32"), value("y", "float32")];
  const conv = { strides: [1, 1], dilations: [1, 1], padding: "same_upper" };
  const w1 = constant("w1", "float32", [40, 3, 3, 24], noise(40 * 9 * 24));
  const w2 = constant("w2", "float32", [128, 1, 1, 40], noise(128 * 40));
  const bias = constant("bias", "float32", [40], noise(40));
  const table = constant("table", "float32", [128, 64], noise(128 * 64));
  graph.inputs = [x];
  graph.nodes = [
    { op: "Conv2D", name: "c1", inputs: [x, w1, bias], outputs: [a], attrs: { ...conv } },
    { op: "Conv2D", name: "c2", inputs: [a, w2], outputs: [b], attrs: { ...conv } },
    { op: "MatMul", name: "m", inputs: [b, table], outputs: [y], attrs: {} },
  ];
  graph.outputs = [y];
  return writeMinnow(graph);
}

const answer = async (model: Awaited<ReturnType<typeof load>>, h: number, w: number): Promise<number[]> => {
  await model.resize({ x: [1, h, w, 24] });
  const out = await model.run({ x: { data: noise(h * w * 24), shape: [1, h, w, 24] } });
  return Array.from(out.y?.data as Float32Array);
};

test("other shapes give the same answers from packed weights as from the file", async () => {
  const model = await load(file());
  for (const [h, w] of [
    [8, 8],
    [5, 9],
    [1, 1],
    [8, 8],
    [13, 2],
  ] as const) {
    const fresh = await load(file(), { shapes: { x: [1, h, w, 24] } });
    // Not to the bit: for their own sizes another form of convolution may have been chosen.
    const [got, want] = [await answer(model, h, w), await answer(fresh, h, w)];
    const peak = want.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    const error = want.reduce((m, v, i) => Math.max(m, Math.abs(v - (got[i] as number))), 0);
    assert.ok(error < 1e-5 * peak, `${h}×${w}: ${error} of ${peak}`);
    await fresh.dispose();
  }
  await model.dispose();
});

test("a file's own buffer shrinks while it is packed, and gives the same answers", async () => {
  const dir = mkdtempSync(join(tmpdir(), "minnow-release-"));
  const bytes = file();
  writeFileSync(join(dir, "m.minnow"), bytes);
  const [fromPath, fromBytes] = [await load(join(dir, "m.minnow")), await load(bytes)];
  assert.deepEqual(await answer(fromPath, 8, 8), await answer(fromBytes, 8, 8));
  assert.deepEqual(await answer(fromPath, 4, 4), await answer(fromBytes, 4, 4));
  await fromPath.dispose();
  await fromBytes.dispose();
  rmSync(dir, { recursive: true });
});

test("the caller's bytes are not kept", async () => {
  let bytes: Uint8Array | null = file().slice();
  const held = new WeakRef(bytes.buffer);
  const model = await load(bytes);
  const kept = bytes.length;
  bytes = null;
  for (let i = 0; i < 20 && held.deref(); i++) {
    await new Promise((done) => setTimeout(done, 5));
    collect();
  }
  assert.equal(held.deref(), undefined, `${kept} bytes are still held`);
  await model.dispose();
});

test("constants are given up, small ones kept", () => {
  const bytes = file();
  const graph = readMinnow(bytes);
  ownSmallConstants(graph);
  releaseConstants(graph);
  for (const t of graph.tensors()) {
    if (t.kind !== "constant") continue;
    assert.notEqual(t.data?.buffer, bytes.buffer, t.name);
    assert.equal(dataOf(t)?.length, t.name === "bias" ? 40 : 0, t.name);
  }
});

test("a buffer shrinks only where it is Minnow's own", () => {
  const mine = shrinkable(4 << 20);
  shrink(mine.buffer, 1 << 20);
  assert.ok(mine.buffer.byteLength === 1 << 20 || !("resize" in mine.buffer));
  const theirs = new Uint8Array(4 << 20);
  shrink(theirs.buffer, 0);
  assert.equal(theirs.length, 4 << 20);
  assert.equal(released(theirs).length, 0);
  assert.equal(released(theirs.subarray(0, 100)).length, 100);
});
