// Threads in Node on the built library: the bits of one thread, errors that a helper meets, models side by
// side, and an end without anything left running.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { load } from "minnow";
import { Graph, constant, value } from "../packages/minnow/dist/graph/graph.js";
import { writeMinnow } from "../packages/minnow/dist/formats/minnow/writer.js";
import { deepModel } from "../packages/minnow/dist/runtime/deep_model.test.helper.js";
import { goldens, testdata } from "./browser/goldens.mjs";

const classes = {
  float32: Float32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
};
const small = goldens().filter((g) => statSync(join(testdata, g.path)).size < 6e6);

function feedOf(model, g) {
  const feed = {};
  for (const [i, t] of g.meta.inputs.entries()) {
    const name = model.inputs.some((x) => x.name === t.name) ? t.name : model.inputs[i].name;
    const b = readFileSync(join(testdata, g.folder, t.file));
    const data = new classes[t.dtype ?? t.dt](b.buffer.slice(b.byteOffset, b.byteOffset + b.byteLength));
    feed[name] = { data, shape: t.shape };
  }
  return feed;
}

async function loaded(t, source, options) {
  const model = await load(source, options);
  t.after(() => model.dispose());
  return model;
}

test("the bits are those of one thread", { skip: small.length ? false : "../shared is absent" }, async () => {
  const keepers = await Promise.all([2, 3].map((threads) => load(deepModel(2).bytes, { threads }))); // the pool stays
  let cut = 0;
  for (const g of small) {
    const path = join(testdata, g.path);
    const one = await load(path);
    const feed = feedOf(one, g);
    const want = await one.run(feed);
    await one.dispose();
    for (const threads of [2, 3]) {
      const model = await load(path, { threads });
      const report = model.report();
      if (report.threads.used === threads) cut++;
      else assert.match(report.threads.reason, /too small/);
      for (let i = 0; i < 3; i++)
        assert.deepEqual(await model.run(feed), want, `${g.name} on ${threads} threads`);
      await model.dispose();
    }
  }
  assert.ok(cut > small.length, `${cut} of ${2 * small.length} ran on threads`);
  for (const k of keepers) await k.dispose();
});

test("runs on three threads, one after the other, aborted and not, profiled", async (t) => {
  const { bytes, input } = deepModel(12);
  const one = await loaded(t, bytes);
  const want = await one.run(input);
  const model = await loaded(t, bytes, { threads: 3 });
  assert.deepEqual(model.report().threads, { used: 3, asked: 3, reason: "" });
  for (let i = 0; i < 20; i++) assert.deepEqual(await model.run(input), want);
  await assert.rejects(model.run(input, { signal: AbortSignal.abort() }), { code: "aborted" });
  assert.deepEqual(await model.run(input, { signal: new AbortController().signal }), want);
  const { operators } = await model.profile(input, { runs: 3 });
  assert.equal(operators.length, 12);
  assert.ok(operators.every((o) => o.ms > 0));
});

/** Picks rows of a table, many enough that threads share the work. */
function gatherModel(rows) {
  const g = new Graph();
  const [table, index] = [1000, rows];
  const data = Float32Array.from({ length: table * 64 }, (_, i) => i);
  const x = { ...value("index", "int32", [index]), kind: "input" };
  const y = value("y", "float32", [index, 64]);
  g.inputs = [x];
  g.outputs = [y];
  g.nodes = [
    {
      op: "Gather",
      name: "pick",
      inputs: [constant("t", "float32", [table, 64], data), x],
      outputs: [y],
      attrs: { axis: 0 },
    },
  ];
  return writeMinnow(g);
}

test("an index out of range is an error whichever thread meets it, and the next run is right", async (t) => {
  const rows = 20000;
  const model = await loaded(t, gatherModel(rows), { threads: 2 });
  assert.equal(model.report().threads.used, 2);
  const index = Int32Array.from({ length: rows }, (_, i) => i % 1000);
  for (const at of [0, rows - 1]) {
    const bad = index.slice();
    bad[at] = 1000;
    await assert.rejects(model.run(bad), { code: "index_out_of_range", op: "Gather" });
    const { y } = await model.run(index);
    assert.equal(y.data[64 * (rows - 1) + 3], 64 * ((rows - 1) % 1000) + 3);
  }
});

test("two models share the pool; each goes on when the other has gone", async (t) => {
  const [a, b] = [deepModel(6), deepModel(9)];
  const alone = await Promise.all([a, b].map(async ({ bytes, input }) => (await load(bytes)).run(input)));
  const models = await Promise.all([a, b].map(({ bytes }) => load(bytes, { threads: 2 })));
  for (let i = 0; i < 4; i++)
    assert.deepEqual(await Promise.all([models[0].run(a.input), models[1].run(b.input)]), alone);
  await models[0].dispose();
  assert.deepEqual(await models[1].run(b.input), alone[1]);
  await models[1].dispose();
  const again = await loaded(t, a.bytes, { threads: 2 });
  assert.deepEqual(await again.run(a.input), alone[0]);
});

test("a model in a worker has threads too, and is aborted there", async (t) => {
  const { bytes, input } = deepModel(200);
  const one = await loaded(t, deepModel(200).bytes);
  const want = await one.run(input);
  const model = await loaded(t, bytes, { threads: 2, worker: true });
  assert.equal(model.report().threads.used, 2);
  assert.deepEqual(await model.run(input), want);
  const abort = new AbortController();
  const running = model.run(input, { signal: abort.signal });
  setTimeout(() => abort.abort(), 5);
  await assert.rejects(running, { code: "aborted" });
  assert.deepEqual(await model.run(input), want);
});

const child = (code) =>
  spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8", timeout: 60000 });
const prelude = `import { load } from "minnow";
  import { deepModel } from "./packages/minnow/dist/runtime/deep_model.test.helper.js";
  const { bytes, input } = deepModel(6);`;

test("a process ends by itself, its models disposed or not", () => {
  for (const end of ["", "await model.dispose();"]) {
    const { status, stdout, stderr } = child(`${prelude}
      const model = await load(bytes, { threads: 3 });
      await model.run(input); ${end} console.log("done");`);
    assert.equal(status, 0, stderr);
    assert.equal(stdout.trim(), "done");
  }
});

test("helpers that sleep take no processor time", () => {
  const { stdout, stderr } = child(`${prelude}
    const model = await load(bytes, { threads: 3 });
    for (let i = 0; i < 5; i++) await model.run(input);
    const before = process.cpuUsage();
    await new Promise((ok) => setTimeout(ok, 1000));
    const { user, system } = process.cpuUsage(before);
    console.log(user + system);`);
  assert.ok(Number(stdout) < 500_000, `${stdout} µs of a second ${stderr}`);
});

test("without shared memory it runs on one thread and says so", () => {
  const { stdout, stderr } = child(`delete globalThis.SharedArrayBuffer;
    ${prelude}
    const model = await load(bytes, { threads: 2 });
    const { threads, notes } = model.report();
    const { length } = Object.values(await model.run(input))[0].data;
    console.log(JSON.stringify({ used: threads.used, reason: threads.reason, noted: notes.some((n) => /one thread: .*isolation/.test(n)), length }));`);
  const { used, reason, noted, length } = JSON.parse(stdout || `"${stderr}"`);
  assert.deepEqual({ used, noted, length }, { used: 1, noted: true, length: 256 * 256 });
  assert.match(reason, /shared memory/);
});
