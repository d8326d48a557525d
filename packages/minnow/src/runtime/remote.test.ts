// The worker protocol, with both ends in this thread: a MessageChannel stands for the worker.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { MessageChannel } from "node:worker_threads";
import type { Graph } from "../graph/graph.js";
import { ModelError } from "../error.js";
import { type FakeLog, type FakeOptions, fakeGraph, fakeSetup, noWorker, port } from "./fake.test.helper.js";
import { loadWith } from "./load.js";
import type { NodePort } from "./node.js";
import { server } from "./serve.js";
import type { LoadOptions, Model, ModelEvent, ModelSource } from "./types.js";

interface Rig {
  model: Model;
  log: FakeLog;
  terminated: () => boolean;
  kill: () => void;
}

async function open(
  graph: () => Graph,
  options: LoadOptions = {},
  fake: FakeOptions = {},
  source: ModelSource = new Uint8Array(8),
): Promise<Rig> {
  const { setup, log } = fakeSetup(graph, fake);
  const { port1, port2 } = new MessageChannel();
  const answer = server(setup, (message, transfer = []) =>
    port2.postMessage(message, transfer as ArrayBuffer[]),
  );
  port2.on("message", answer);
  let terminated = false;
  let died: ((reason: unknown) => void) | undefined;
  const worker: NodePort = {
    postMessage: (message, transfer = []) => port1.postMessage(message, transfer as ArrayBuffer[]),
    on: (event, listener) => {
      if (event === "message") port1.on("message", listener);
      if (event === "error") died = listener;
    },
    terminate: () => {
      terminated = true;
      port1.close();
    },
  };
  const model = await loadWith(setup, noWorker, source, { ...options, worker });
  return { model, log, terminated: () => terminated, kill: () => died?.(new Error("shot")) };
}
const simple = (): Graph => fakeGraph([port("x", "float32", [2])]);

test("a model in a worker looks like any other", async () => {
  const events: ModelEvent[] = [];
  const { model, terminated } = await open(simple, { onEvent: (e) => events.push(e) });
  assert.deepEqual(model.inputs, [{ name: "x", shape: [2], dtype: "float32", aliases: [] }]);
  const out = await model.run({ x: [1, 2] });
  assert.equal(Object.getPrototypeOf(out), null);
  assert.deepEqual(out.y0, { data: Float32Array.of(2, 4), shape: [2], dtype: "float32" });
  assert.equal(model.report().device, "fake");
  assert.match(`${model.report()}`, /fake_double/);
  assert.equal((await model.profile([1, 2], { runs: 2 })).operators[0]?.kernel, "fake_double");
  assert.match(`${await model.profile([1, 2], { runs: 2 })}`, /GFLOPS/);
  const into = { y0: new Float32Array(2) };
  assert.equal((await model.run([3, 4], { into })).y0?.data, into.y0);
  assert.deepEqual(into.y0, Float32Array.of(6, 8));
  assert.deepEqual([...new Set(events.map((e) => e.type))], ["compile", "load", "run"]);
  await model.dispose();
  assert.ok(terminated());
  await assert.rejects(model.run([1, 2]), { code: "disposed" });
});

test("inputs are copied, or handed over when asked; views send only what they show", async () => {
  const { model, log } = await open(simple);
  const whole = new Float32Array(1000);
  const x = whole.subarray(10, 12).fill(3);
  assert.deepEqual((await model.run({ x })).y0?.data, Float32Array.of(6, 6));
  assert.equal(whole.length, 1000);
  assert.equal((log.inputs[0] as Float32Array).buffer.byteLength, 8);
  const mine = Float32Array.of(1, 2);
  await model.run({ x: { data: mine, shape: [2] } }, { transfer: true });
  assert.equal(mine.length, 0);
  await model.dispose();
});

test("the caller's bytes stay the caller's", async () => {
  const { setup } = fakeSetup(simple);
  const { port1, port2 } = new MessageChannel();
  port2.on(
    "message",
    server(setup, (m, transfer = []) => port2.postMessage(m, transfer as ArrayBuffer[])),
  );
  const worker: NodePort = {
    postMessage: (m, transfer = []) => port1.postMessage(m, transfer as ArrayBuffer[]),
    on: (event, listener) => void (event === "message" && port1.on("message", listener)),
    terminate: () => port1.close(),
  };
  const bytes = new Uint8Array(8);
  const model = await loadWith(setup, noWorker, bytes, { worker });
  assert.equal(bytes.length, 8);
  await model.dispose();
});

test("errors cross as ModelError with code, tensor and hint, and the queue goes on", async () => {
  const { model } = await open(simple);
  const wrong = model.run({ x: [1] });
  const right = model.run({ x: [1, 1] });
  const e = await wrong.catch((error: unknown) => error);
  assert.ok(e instanceof ModelError);
  assert.equal(e.code, "bad_input");
  assert.equal(e.tensor, "x");
  assert.deepEqual((await right).y0?.data, Float32Array.of(2, 2));
  const unknown = await model.run({ xx: [1, 1] }).catch((error: unknown) => error);
  assert.ok(unknown instanceof ModelError && /did you mean/.test(unknown.message));
  await assert.rejects(model.run({ x: (() => 0) as unknown as number[] }), { code: "bad_input" });
  await model.dispose();
});

test("an abort rejects at once; later runs are not disturbed", async () => {
  const { model } = await open(simple, {}, { wait: () => new Promise((r) => setTimeout(r, 20)) });
  const abort = new AbortController();
  const aborted = model.run([1, 2], { signal: abort.signal });
  const next = model.run([2, 3]);
  setTimeout(() => abort.abort(), 2);
  let ran = false;
  void next.then(() => {
    ran = true;
  });
  await assert.rejects(aborted, { code: "aborted" });
  assert.equal(ran, false, "the abort waited for the runs");
  assert.deepEqual((await next).y0?.data, Float32Array.of(4, 6));
  await model.dispose();
});

test("paths and blobs are read by the worker, bytes here; what it cannot read is tried here", async () => {
  const phases = async (source: ModelSource): Promise<string[]> => {
    const seen: string[] = [];
    const { model } = await open(simple, { onProgress: (p) => seen.push(p.phase) }, {}, source);
    assert.deepEqual((await model.run([1, 2])).y0?.data, Float32Array.of(2, 4));
    await model.dispose();
    return seen;
  };
  const here = fileURLToPath(import.meta.url);
  for (const source of [here, pathToFileURL(here), new Blob([new Uint8Array(8)]), new Uint8Array(8)]) {
    const seen = await phases(source);
    assert.equal(seen[0], "read");
    assert.equal(seen.at(-1), "ready");
  }
  const { fetch } = globalThis;
  let fetched = 0;
  globalThis.fetch = async () => {
    if (fetched++ === 0) throw new TypeError("not from a worker");
    return new Response(new Uint8Array(8));
  };
  try {
    assert.equal((await phases("http://model/")).at(-1), "ready");
    assert.equal(fetched, 2);
  } finally {
    globalThis.fetch = fetch;
  }
  const none = open(simple, {}, {}, "./none.minnow");
  await assert.rejects(none, (e: ModelError) => e.code === "io" && /no such file/.test(e.message));
});

test("a load that fails ends the worker", async () => {
  await assert.rejects(open(simple, { device: "npu" }), { code: "device" });
});

test("a worker that dies fails what waits for it", async () => {
  const { model, kill } = await open(simple, {}, { wait: () => new Promise((r) => setTimeout(r, 5)) });
  const run = model.run([1, 2]);
  kill();
  await assert.rejects(
    run,
    (e: ModelError) => e.code === "internal" && /worker failed: shot/.test(e.message),
  );
  await assert.rejects(model.run([1, 2]), { code: "disposed" });
});
