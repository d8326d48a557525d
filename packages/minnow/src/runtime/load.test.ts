// load() and the life of a model: devices, options, events, the queue, aborting, disposing.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Graph } from "../graph/graph.js";
import type { ModelError } from "../error.js";
import { fakeGraph, fakeSetup, noWorker, port } from "./fake.test.helper.js";
import { loadWith } from "./load.js";
import type { ModelEvent, Progress } from "./types.js";

const bytes = new Uint8Array(8);
const graph = (): Graph => fakeGraph([port("x", "float32", [2])]);
const later = (ms = 1): Promise<void> => new Promise((r) => setTimeout(r, ms));

test("an unknown or absent device falls back, with an event and a line in the report", async () => {
  const { setup } = fakeSetup(graph);
  const events: ModelEvent[] = [];
  const model = await loadWith(setup, noWorker, bytes, {
    device: ["npu", "tpu", "cpu"],
    onEvent: (e) => events.push(e),
  });
  assert.deepEqual(
    events.filter((e) => e.type === "fallback").map((e) => e.device),
    ["npu", "tpu"],
  );
  const report = model.report();
  assert.deepEqual(
    report.fallbacks.map((f) => f.reason),
    ["not available in this version", "unknown device"],
  );
  assert.match(`${report}`, /npu → fake: not available/);
  await assert.rejects(
    loadWith(setup, noWorker, bytes, { device: "gpu" }),
    (e: ModelError) => e.code === "device" && /"gpu"/.test(e.message),
  );
  await assert.rejects(loadWith(setup, noWorker, bytes, { device: [] }), { code: "device" });
});

test("threads: 2 runs on one and says so", async () => {
  const { setup } = fakeSetup(graph);
  const model = await loadWith(setup, noWorker, bytes, { threads: 2 });
  assert.deepEqual(model.report().threads, {
    used: 1,
    asked: 2,
    reason: "the device fake knows no threads",
  });
  await assert.rejects(loadWith(setup, noWorker, bytes, { threads: 0 }), { code: "bad_option" });
  await assert.rejects(loadWith(setup, noWorker, bytes, { maxMemory: Number.NaN }), { code: "bad_option" });
});

test("dims and shapes that the model does not have are refused", async () => {
  const dynamic = fakeSetup(() => fakeGraph([port("x", "float32", ["batch", 2])]));
  await assert.rejects(
    loadWith(dynamic.setup, noWorker, bytes, { dims: { bacth: 1 } }),
    /did you mean "batch"/,
  );
  await assert.rejects(loadWith(dynamic.setup, noWorker, bytes, { dims: { batch: -1 } }), {
    code: "bad_option",
  });
  await assert.rejects(loadWith(dynamic.setup, noWorker, bytes, { shapes: { y: [1] } }), {
    code: "bad_option",
  });
  await assert.rejects(loadWith(dynamic.setup, noWorker, bytes, { shapes: { x: [1] } }), {
    code: "bad_option",
  });
  const model = await loadWith(dynamic.setup, noWorker, bytes, { shapes: { x: [3, 2] } });
  assert.deepEqual(model.inputs[0]?.shape, [3, 2]);
  assert.equal(dynamic.log.plans.length, 1);
});

test("events and progress tell load, compile, run and error", async () => {
  const { setup } = fakeSetup(graph);
  const events: ModelEvent[] = [];
  const phases: Progress["phase"][] = [];
  const model = await loadWith(setup, noWorker, bytes, {
    onEvent: (e) => events.push(e),
    onProgress: (p) => phases.push(p.phase),
  });
  await model.run([1, 2]);
  await assert.rejects(model.run([1]));
  assert.deepEqual(
    events.map((e) => e.type),
    ["compile", "load", "run", "error"],
  );
  assert.ok(events.every((e) => e.ms >= 0 && Number.isFinite(e.bytes)));
  assert.deepEqual(phases, ["read", "parse", "compile", "ready"]);
});

test("runs queue in order and never overlap; a failed one does not stop the next", async () => {
  const { setup, log } = fakeSetup(graph, {
    wait: (i) => (i === 2 ? Promise.reject(new Error("boom")) : later(3 - (i % 3))),
  });
  const model = await loadWith(setup, noWorker, bytes);
  const ended: number[] = [];
  const settled = await Promise.allSettled(
    [0, 1, 2, 3, 4].map(async (i) => {
      try {
        return (await model.run([i, i])).y0?.data;
      } finally {
        ended.push(i);
      }
    }),
  );
  assert.deepEqual(ended, [0, 1, 2, 3, 4]);
  assert.equal(log.overlap, 1);
  assert.deepEqual(
    settled.map((s) => s.status),
    ["fulfilled", "fulfilled", "rejected", "fulfilled", "fulfilled"],
  );
  assert.deepEqual(
    settled.map((s) => (s.status === "fulfilled" ? s.value?.[0] : s.reason.code)),
    [0, 2, "internal", 6, 8],
  );
});

test("a signal stops a run that waits, and the others go on", async () => {
  const { setup, log } = fakeSetup(graph, { wait: () => later(5) });
  const model = await loadWith(setup, noWorker, bytes);
  const abort = new AbortController();
  const runs = [model.run([1, 1]), model.run([2, 2], { signal: abort.signal }), model.run([3, 3])];
  abort.abort();
  const settled = await Promise.allSettled(runs);
  assert.deepEqual(
    settled.map((s) => (s.status === "rejected" ? s.reason.code : "ok")),
    ["ok", "aborted", "ok"],
  );
  assert.deepEqual(log.inputs[0], Float32Array.of(3, 3));
  await assert.rejects(model.run([1, 1], { signal: AbortSignal.abort() }), { code: "aborted" });
  await assert.rejects(loadWith(setup, noWorker, bytes, { signal: AbortSignal.abort() }), {
    code: "aborted",
  });
});

test("a loop of runs with a signal lets timers in", async () => {
  const { setup } = fakeSetup(graph);
  const model = await loadWith(setup, noWorker, bytes);
  const signal = AbortSignal.timeout(30);
  await assert.rejects(
    (async () => {
      for (const end = performance.now() + 5000; performance.now() < end; )
        await model.run([1, 2], { signal });
    })(),
    { code: "aborted" },
  );
});

test("dispose waits for the running call, refuses the rest, and is idempotent", async () => {
  const { setup, log } = fakeSetup(graph, { wait: () => later(10) });
  const model = await loadWith(setup, noWorker, bytes);
  const running = model.run([1, 2]);
  const waiting = model.run([3, 4]);
  await later(2);
  const closing = model.dispose();
  assert.equal(log.disposed, 0);
  assert.deepEqual((await running).y0?.data, Float32Array.of(2, 4));
  await assert.rejects(waiting, { code: "disposed" });
  await closing;
  assert.equal(log.disposed, 1);
  assert.equal(log.released, 1);
  await model.dispose();
  assert.equal(log.disposed, 1);
  await assert.rejects(model.run([1, 2]), { code: "disposed" });
  assert.throws(() => model.report(), { code: "disposed" });
});

test("await using disposes", async () => {
  const { setup, log } = fakeSetup(graph);
  {
    await using model = await loadWith(setup, noWorker, bytes);
    await model.run([1, 2]);
  }
  assert.equal(log.disposed, 1);
});

test("profile times each step and leaves performance entries", async () => {
  const { setup } = fakeSetup(graph);
  const model = await loadWith(setup, noWorker, bytes);
  performance.clearMeasures();
  const profile = await model.profile({ x: [1, 2] }, { runs: 3 });
  assert.equal(profile.runs, 3);
  assert.deepEqual(
    profile.operators.map((o) => [o.op, o.kernel, o.ms, o.gflops, o.share]),
    [["Double", "fake_double", 0.5, 0.004, 1]],
  );
  const marks = performance.getEntriesByType("measure");
  assert.deepEqual(
    marks.map((m) => m.name),
    ["Double"],
  );
  assert.match(`${profile}`, /fake_double/);
  assert.doesNotThrow(() => structuredClone({ ...profile }));
  await assert.rejects(model.profile({ x: [1, 2] }, { runs: 0 }), { code: "bad_option" });
});

test("a listener that throws does not break a run", async () => {
  const { setup } = fakeSetup(graph);
  const seen: unknown[] = [];
  const scope = globalThis as { reportError?: unknown };
  const before = scope.reportError;
  scope.reportError = (e: unknown) => seen.push(e);
  const model = await loadWith(setup, noWorker, bytes, {
    onEvent: (e) => {
      if (e.type === "run") throw new Error("listener");
    },
  });
  assert.deepEqual((await model.run([1, 2])).y0?.data, Float32Array.of(2, 4));
  scope.reportError = before;
  assert.deepEqual(seen.map(String), ["Error: listener"]);
});
