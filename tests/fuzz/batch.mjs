// One batch of mutants in a process of its own: node batch.mjs READER FIRST COUNT
// Each mutant is read, optimised, inferred and planned; plans of ≤ 64 MB and 2·10⁸ operations run. Those that bring
// a plan (precompiled) are loaded and run as a user does. Each must end in an answer or a ModelError within a
// second. Prints one JSON line.
import { ModelError } from "../../packages/minnow/dist/error.js";
import { toGraph } from "../../packages/minnow/dist/convert.js";
import { compile } from "../../packages/minnow/dist/compiler/compile.js";
import { mutate, seededRng } from "../../packages/minnow/dist/formats/mutate.js";
import { newArray } from "../../packages/minnow/dist/graph/dtype.js";
import { load } from "../../packages/minnow/dist/run.js";
import { baseline } from "../../packages/minnow/dist/targets/wasm/engine.js";
import { takes } from "../../packages/minnow/dist/targets/wasm/kernels/index.js";
import { prepare } from "../../packages/minnow/dist/targets/wasm/prepare.js";
import { WasmModel } from "../../packages/minnow/dist/targets/wasm/instance.js";
import { corpus } from "./corpus.mjs";

const [reader, first, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const sources = await corpus(reader);
const limit = 64 * 2 ** 20;
const outcomes = {};
const failures = [];
let slowest = 0;
const note = (what) => {
  outcomes[what] = (outcomes[what] ?? 0) + 1;
};

async function attempt(seed) {
  const rng = seededRng(seed);
  const source = sources[Math.floor(rng() * sources.length)];
  const mutant = mutate(source, rng);
  const graph = await toGraph(mutant, { optimize: rng() < 0.5 });
  const dims = {};
  for (const t of graph.inputs)
    for (const d of t.shape) if (typeof d === "string") dims[d] = 1 + Math.floor(rng() * 3);
  const program = compile(graph, { dims }, { maxOperations: 2e8, maxMemory: limit, takes });
  const constants = program.buffers.reduce((s, b) => s + (b.data?.byteLength ?? 0), 0);
  if (program.arenaBytes + constants > limit) return "planned only";
  const model = new WasmModel({ maxMemory: limit });
  const bound = await model.bind(await prepare(program, baseline, model));
  model.run(
    bound,
    program.inputs.map(({ view }) => noise(view.dtype, view.shape, rng)),
  );
  model.dispose();
  return "answered";
}

function noise(dtype, shape, rng) {
  const a = newArray(
    dtype,
    shape.reduce((x, y) => x * y, 1),
  );
  for (let i = 0; i < a.length; i++)
    a[i] = typeof a[i] === "bigint" ? BigInt(Math.floor(rng() * 9)) : rng() * 9;
  return a;
}

async function attemptLoad(seed) {
  const rng = seededRng(seed);
  const mutant = mutate(sources[Math.floor(rng() * sources.length)], rng);
  // As bytes, as a file of known length, and as a stream that says nothing of its length.
  const source = [mutant, new Blob([mutant]), new Response(new Blob([mutant]).stream())][seed % 3];
  const model = await load(source, { deterministic: true, maxMemory: limit, maxOperations: 2e8 });
  try {
    const shapes = model.inputs.map(({ shape }) => shape.map((d) => (typeof d === "string" ? 1 : d)));
    // Such an input alone takes this script seconds to make.
    if (shapes.some((s) => s.reduce((x, y) => x * y, 1) > limit)) return "input too large to make";
    const inputs = model.inputs.map(({ name, dtype }, i) => {
      const sizes = shapes[i];
      return [name, { data: noise(dtype === "float16" ? "float32" : dtype, sizes, rng), shape: sizes }];
    });
    await model.run(Object.fromEntries(inputs));
    return model.report().notes.some((n) => n.includes("came with the file"))
      ? "answered"
      : "answered without";
  } finally {
    await model.dispose();
  }
}

const before = process.memoryUsage().rss;
let peak = before;
for (let seed = first; seed < first + count; seed++) {
  process.send?.({ seed });
  const start = process.cpuUsage(); // not the clock: other processes share this machine
  try {
    note(await (reader === "precompiled" ? attemptLoad : attempt)(seed));
  } catch (e) {
    if (e instanceof ModelError && e.code !== "internal") note(e.code);
    else
      failures.push({
        seed,
        error: String(e?.stack ?? e)
          .split("\n")
          .slice(0, 4)
          .join(" | "),
      });
  }
  const { user, system } = process.cpuUsage(start);
  const ms = (user + system) / 1000;
  slowest = Math.max(slowest, ms);
  if (ms > 1000) failures.push({ seed, error: `took ${ms.toFixed(0)} ms` });
  if (seed % 64 === 0) peak = Math.max(peak, process.memoryUsage().rss);
}
console.log(JSON.stringify({ outcomes, failures, slowest, peakMB: Math.round((peak - before) / 2 ** 20) }));
