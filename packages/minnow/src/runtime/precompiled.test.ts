// Files that bring plans and code: the same answers, other shapes afterwards, threads; and damaged, foreign or
// unwanted code is passed over.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { convert, type ConvertEvent } from "../convert.js";
import { readPrecompiled } from "../formats/minnow/precompiled.js";
import { readMinnow } from "../formats/minnow/reader.js";
import { writeMinnow } from "../formats/minnow/writer.js";
import { constant, Graph, type Tensor, value } from "../graph/graph.js";
import { load } from "../index.js";
import { load as loadMinnow } from "../run.js";
import type { ModelError } from "../error.js";
import { deepModel } from "./deep_model.test.helper.js";
import { models, needsNpm, npmFile } from "./npm_models.test.helper.js";
import { noise } from "../targets/wasm/kernels/harness.js";
import { probeEngine } from "../targets/wasm/probe.js";
import type { LoadOptions, Model } from "./types.js";

const ahead = "plan and code came with the file";
const came = (m: Model): boolean => m.report().notes.includes(ahead);

function pixels(shape: readonly unknown[]): Float32Array {
  const n = shape.reduce<number>((a, d) => a * (typeof d === "number" ? d : 1), 1);
  return Float32Array.from({ length: n }, (_, i) => ((i * 7919) % 509) / 254.5 - 1);
}

async function answers(model: Model): Promise<Record<string, unknown>> {
  const inputs = Object.fromEntries(model.inputs.map((t) => [t.name, pixels(t.shape)]));
  return { ...(await model.run(inputs)) };
}

/** Of one file: as planned here, and as it brings its plan. */
async function both(bytes: Uint8Array, options: LoadOptions = {}): Promise<[Model, Model]> {
  const file = await convert(bytes, { precompile: true });
  return [
    await loadMinnow(file.slice(), { ...options, precompiled: false }),
    await loadMinnow(file, options),
  ];
}

const faces = models.faces;
test("real networks: the same bits, the same face to the user", needsNpm(faces), async () => {
  const bytes = readFileSync(npmFile(faces) as string);
  for (const deterministic of [true, false]) {
    const [plain, ready] = await both(bytes, { deterministic });
    assert.deepEqual([came(plain), came(ready)], [false, true]);
    assert.deepEqual([ready.inputs, ready.outputs], [plain.inputs, plain.outputs]);
    assert.deepEqual(ready.metadata, plain.metadata);
    assert.deepEqual(await answers(ready), await answers(plain));
    const [a, b] = [plain.report(), ready.report()];
    assert.deepEqual(b.arena, a.arena);
    const rows = (r: typeof a) => r.operators.map(({ kernels: _, ...row }) => row);
    assert.deepEqual(rows(b), rows(a));
    const profile = await ready.profile(pixels(ready.inputs[0]?.shape ?? []), { runs: 1 });
    assert.ok(profile.operators.length > 10);
    for (const m of [plain, ready]) await m.dispose();
  }
});

test("free dimensions: without, and told why; bound ones: with", needsNpm(models.detector), async () => {
  const bytes = readFileSync(npmFile(models.detector) as string);
  const events: ConvertEvent[] = [];
  const file = await convert(bytes, { precompile: true, onEvent: (e) => events.push(e) });
  const said = events.find((e) => e.type === "precompile");
  assert.deepEqual([said?.bytes, said?.reason], [0, "its input shapes are free"]);
  assert.deepEqual(file, await convert(bytes));
  const [input] = readMinnow(file).inputs;
  const shapes = { [input?.name as string]: [1, 3, 64, 96] };
  const bound = await convert(bytes, { shapes, precompile: true });
  await using plain = await load(bytes, { shapes, deterministic: true });
  await using ready = await load(bound, { deterministic: true });
  assert.ok(came(ready));
  assert.deepEqual(await answers(ready), await answers(plain));
});

test("other shapes are planned from what is kept of the file", async () => {
  const { bytes, input } = deepModel(2);
  const [plain, ready] = await both(bytes, { deterministic: true });
  const few = { data: input.slice(0, 3 * 256), shape: [3, 256] };
  for (const m of [plain, ready]) await m.resize({ x: [3, 256] });
  assert.deepEqual(await ready.run(few), await plain.run(few));
  assert.equal(came(ready), false);
  assert.deepEqual(await answers(ready), await answers(plain));
  for (const m of [plain, ready]) await m.dispose();
});

/** Two dense layers on rows whose number is free: one row has kernels of its own. */
function batched(): Uint8Array {
  const noise = (n: number): Float32Array =>
    Float32Array.from({ length: n }, (_, i) => ((i * 7919) % 1013) / 506.5 - 1);
  const x: Tensor = { ...value("x", "float32", ["batch", 64]), kind: "input" };
  const [a, b, y] = ["a", "b", "y"].map((name) => value(name, "float32")) as [Tensor, Tensor, Tensor];
  const graph = new Graph();
  graph.inputs = [x];
  graph.nodes = [
    {
      op: "Dense",
      name: "d1",
      inputs: [x, constant("w1", "float32", [300, 64], noise(300 * 64))],
      outputs: [a],
      attrs: {},
    },
    { op: "Relu", name: "r", inputs: [a], outputs: [b], attrs: {} },
    {
      op: "Dense",
      name: "d2",
      inputs: [b, constant("w2", "float32", [50, 300], noise(50 * 300))],
      outputs: [y],
      attrs: {},
    },
  ];
  graph.outputs = [y];
  return writeMinnow(graph);
}

test("a free batch: a plan for one comes along, others are made", async () => {
  const file = await convert(batched(), { precompile: true });
  await using plain = await loadMinnow(file.slice(), { precompiled: false });
  for (const source of [file.slice(), streamed(file, [7001], false)]) {
    await using ready = await loadMinnow(source);
    assert.ok(came(ready));
    assert.deepEqual(ready.inputs, plain.inputs);
    const packed = ready.report().memory.weights;
    for (const batch of [1, 5, 1, 300]) {
      const x = { data: pixels([batch, 64]), shape: [batch, 64] };
      assert.deepEqual({ ...(await ready.run({ x })) }, { ...(await plain.run({ x })) }, `batch ${batch}`);
    }
    assert.equal(ready.report().memory.weights, plain.report().memory.weights);
    assert.ok(packed > 0);
  }
});

/** A dense layer of int8 on four rows, with weights up to `most`. */
function integers(most: number): Uint8Array {
  const [n, k] = [40, 96];
  const steps = (s: number) => ({ quant: { scale: [s], zeroPoint: [0], axis: 0 } });
  const data = Int8Array.from(noise(n * k), (v) => v * most);
  const x: Tensor = { ...value("x", "int8", [4, k]), ...steps(0.1), kind: "input" };
  const y: Tensor = { ...value("y", "int8"), ...steps(4) };
  const w: Tensor = { ...constant("w", "int8", [n, k], data), ...steps(0.02) };
  const graph = new Graph();
  graph.inputs = [x];
  graph.nodes = [{ op: "Dense", name: "d", inputs: [x, w], outputs: [y], attrs: {} }];
  graph.outputs = [y];
  return writeMinnow(graph);
}

test("8-bit products that only some engines have: plans for the others", async () => {
  const made = async (most: number, precompile: true | ["baseline"] = true) => {
    let said: string | undefined;
    const onEvent = (e: ConvertEvent): void => {
      if (e.type === "precompile") said = e.reason;
    };
    const file = await convert(integers(most), { precompile, onEvent });
    const list = readPrecompiled(file, readMinnow)?.list.filter((p) => p.code.length > 0);
    return { file, said, engines: list?.map((p) => p.engine) };
  };
  // Pairs of the one may be summed in 16 bits, hardly any of the other.
  const [small, full] = [await made(30), await made(128)];
  assert.deepEqual([small.engines, full.engines], [undefined, ["fma", "baseline"]]);
  assert.match(small.said ?? "", /found out on the engine/);
  assert.deepEqual((await made(30, ["baseline"])).engines, ["baseline"]);
  for (const deterministic of [true, false]) {
    await using plain = await loadMinnow(full.file.slice(), { deterministic, precompiled: false });
    await using ready = await loadMinnow(full.file.slice(), { deterministic });
    const data = Int8Array.from({ length: 4 * 96 }, (_, i) => (i * 37) % 256);
    const [a, b] = [await plain.run({ x: data }), await ready.run({ x: data })];
    assert.ok(new Set(a.y?.data as Int8Array).size > 10);
    assert.deepEqual({ ...b }, { ...a });
    const { dot = "i16" } = probeEngine();
    assert.equal(came(ready), deterministic || dot === "relaxed" || dot === "i16");
  }
});

const skip = import.meta.url.endsWith(".js") ? false : "runs on the build, not on the sources";
test("a worker plans by itself if it is told to", { skip }, async () => {
  const file = await convert(deepModel(2).bytes, { precompile: true });
  for (const precompiled of [true, false]) {
    await using m = await loadMinnow(new Blob([file]), { worker: true, precompiled });
    assert.equal(came(m), precompiled);
  }
});

test("threads share it", { skip }, async () => {
  const [plain, ready] = await both(deepModel(3).bytes, { deterministic: true, threads: 2 });
  assert.ok(came(ready));
  assert.equal(ready.report().threads.used, 2);
  assert.deepEqual(await answers(ready), await answers(plain));
  for (const m of [plain, ready]) await m.dispose();
});

test("not where something else is asked for", async () => {
  const file = await convert(deepModel(2).bytes, { precompile: ["baseline"] });
  const asked: LoadOptions[] = [
    { precompiled: false },
    { outputs: ["z0"] },
    { shapes: { x: [2, 256] } },
    { fuse: false },
    { memory: "small" },
    { device: "reference" },
  ];
  for (const options of asked) {
    await using m = await load(file.slice(), { deterministic: true, ...options });
    assert.equal(came(m), false, JSON.stringify(options));
    assert.ok(await answers(m));
  }
  await using m = await load(file.slice(), { deterministic: true });
  assert.ok(came(m));
  const refused = load(file.slice(), { deterministic: true, maxOperations: 1000 });
  await assert.rejects(refused, (e: ModelError) => e.code === "too_much_work");
  await assert.rejects(
    load(file.slice(), { deterministic: true, maxMemory: 1000 }),
    (e: ModelError) => e.code === "out_of_memory",
  );
  await assert.rejects(
    convert(file, { precompile: ["riscv" as "fma"] }),
    (e: ModelError) => e.code === "bad_option",
  );
});

/** A body whose pieces have odd lengths, and whose length the receiver may not know. */
function streamed(file: Uint8Array, lengths: readonly number[], known: boolean): Response {
  let [at, i] = [0, 0];
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = file.slice(at, at + (lengths[i++ % lengths.length] as number));
      at += piece.length;
      if (piece.length) controller.enqueue(piece);
      else controller.close();
    },
  });
  return new Response(body, known ? { headers: { "content-length": String(file.length) } } : {});
}

test("packed while the file comes: from paths, blobs and streams", needsNpm(faces), async () => {
  const file = await convert(readFileSync(npmFile(faces) as string), { precompile: true });
  const dir = mkdtempSync(join(tmpdir(), "minnow-arriving-"));
  const path = join(dir, "faces.minnow");
  writeFileSync(path, file);
  await using here = await loadMinnow(file.slice());
  const want = await answers(here);
  for (const source of [
    path,
    new Blob([file]),
    streamed(file, [1 << 16], true),
    streamed(file, [1000, 77_777, 3], false),
    streamed(file, [file.length], false),
  ]) {
    const seen: string[] = [];
    await using m = await loadMinnow(source, { onProgress: (p) => seen.push(p.phase) });
    assert.ok(came(m));
    assert.deepEqual(await answers(m), want);
    assert.equal(seen.at(-1), "ready");
  }
  rmSync(dir, { recursive: true });
});

test("packed while the file comes: other shapes afterwards", async () => {
  const { bytes, input } = deepModel(3);
  const file = await convert(bytes, { precompile: true });
  await using here = await load(file.slice());
  await using m = await load(streamed(file, [50_001], false));
  assert.ok(came(m));
  assert.deepEqual(await answers(m), await answers(here));
  const few = { data: input.slice(0, 3 * 256), shape: [3, 256] };
  for (const x of [here, m]) await x.resize({ x: [3, 256] });
  assert.deepEqual(await m.run(few), await here.run(few));
});

/** A table of words whose rows are picked, and which is packed for the product with all of them. */
function tied(): Uint8Array {
  const [words, size] = [200, 64];
  const noise = Float32Array.from({ length: words * size }, (_, i) => ((i * 7919) % 1013) / 506.5 - 1);
  const table = constant("table", "float32", [words, size], noise);
  const x: Tensor = { ...value("x", "float32", [9, size]), kind: "input" };
  const index: Tensor = { ...value("index", "int32", [9]), kind: "input" };
  const [picked, sum, y] = ["picked", "sum", "y"].map((name) => value(name, "float32")) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const graph = new Graph();
  graph.inputs = [x, index];
  graph.nodes = [
    { op: "Gather", name: "pick", inputs: [table, index], outputs: [picked], attrs: { axis: 0 } },
    { op: "Add", name: "add", inputs: [picked, x], outputs: [sum], attrs: {} },
    { op: "Dense", name: "scores", inputs: [sum, table], outputs: [y], attrs: {} },
  ];
  graph.outputs = [y];
  return writeMinnow(graph);
}

test("packed while the file comes: what is needed in two ways waits for all", async () => {
  const file = await convert(tied(), { precompile: true });
  const inputs = { x: pixels([9, 64]), index: Int32Array.of(0, 3, 199, 7, 7, 100, 50, 1, 198) };
  await using here = await load(file.slice());
  await using m = await load(streamed(file, [5_001], false));
  assert.ok(came(m));
  assert.deepEqual({ ...(await m.run(inputs)) }, { ...(await here.run(inputs)) });
});

test("a stream that is cut off, or whose plan is damaged", async () => {
  const file = await convert(deepModel(2).bytes, { precompile: ["baseline"] });
  const options = { deterministic: true };
  for (const bytes of [100, 3000, file.length - 100_000, file.length - 1])
    for (const known of [true, false])
      await assert.rejects(
        loadMinnow(streamed(file.slice(0, bytes), [999], known), options),
        (e: ModelError) => e.code === "bad_file",
        `${bytes}`,
      );
  const { list } = readPrecompiled(file, () => readMinnow(file)) ?? assert.fail();
  const damaged = file.slice();
  const at = (list[0]?.plan.byteOffset as number) + 100;
  damaged[at] = (damaged[at] as number) ^ 1;
  await using plain = await loadMinnow(file.slice(), options);
  await using m = await loadMinnow(streamed(damaged, [999], false), options);
  assert.equal(came(m), false);
  assert.deepEqual(await answers(m), await answers(plain));
});

test("damaged or foreign code is passed over", async () => {
  const { bytes } = deepModel(2);
  const graph = readMinnow(bytes);
  const file = await convert(bytes, { precompile: ["baseline"] });
  const brought = readPrecompiled(file, () => graph) ?? assert.fail();
  const [made = assert.fail()] = brought.list;
  await using plain = await loadMinnow(file.slice(), { deterministic: true });
  const want = await answers(plain);
  const flipped = (b: Uint8Array): Uint8Array => b.map((x, i) => (i === b.length >> 1 ? x ^ 4 : x));
  for (const other of [
    { ...made, abi: made.abi + 1 },
    { ...made, engine: "fma" },
    { ...made, code: flipped(made.code) },
    { ...made, plan: flipped(made.plan) },
  ]) {
    const changed = writeMinnow(graph, { list: [other], data: brought.data });
    await using m = await loadMinnow(changed, { deterministic: true });
    assert.equal(came(m), false);
    assert.deepEqual(await answers(m), want);
  }
});

test("only files that may grow do by themselves", async () => {
  const grown = async (layers: number): Promise<number> => {
    let bytes = -1;
    await convert(deepModel(layers).bytes, {
      precompile: "auto",
      onEvent: (e) => {
        if (e.type === "precompile") bytes = e.bytes;
      },
    });
    return bytes;
  };
  // Layers share one matrix of 256 KB.
  assert.ok((await grown(2)) > 0);
  assert.equal(await grown(40), 0);
});
