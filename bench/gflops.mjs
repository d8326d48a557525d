// The --gflops table: every distinct layer of a network with its time, its share, and its GFLOPS beside this
// core's measured multiply-add peaks (128-bit; 256-bit where V8 joins pairs of vectors). Build first, then
//   node [--experimental-wasm-revectorize] bench/gflops.mjs [network|file…] [--seconds 4] [--old DIST]
//        [--top 40] [--markdown] [--deterministic]
// Networks are the five of networks/; files are any model. A layer's time is its best of all runs, inside whole
// runs of the network, so caches are as in use. "effective" counts the operations of the direct algorithm, "direct"
// those that the kernel does (Winograd: fewer). --old: packages/minnow/dist of another copy, run in turns.
import { readFileSync } from "node:fs";
import os from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { peaks } from "./lib/peaks.mjs";
import { network, names } from "./networks.mjs";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "4" },
    old: { type: "string" },
    top: { type: "string", default: "40" },
    markdown: { type: "boolean", default: false },
    deterministic: { type: "boolean", default: false },
  },
});
const here = resolve(import.meta.dirname, "../packages/minnow/dist");
const builds = await Promise.all([...(flags.old ? [resolve(flags.old)] : []), here].map(open));

async function open(dist) {
  const { setup } = await import(`${dist}/setup.js`);
  const { wasmDevice } = await import(`${dist}/runtime/wasm_device.js`);
  return { setup, wasmDevice };
}

/** A network in one build: plan, inputs, outputs, and each step's best time. */
async function start({ setup, wasmDevice }, bytes) {
  const graph = await setup.read(bytes, {});
  const { deterministic } = flags;
  const model = await wasmDevice.open(graph, { maxMemory: 2 ** 31, deterministic, fuse: true, threads: 1 });
  const plan = await model.plan({});
  const size = (p) => p.shape.reduce((a, b) => a * b, 1);
  const of = (dtype, n) =>
    dtype === "float32"
      ? Float32Array.from({ length: n }, (_, i) => Math.sin(i * 0.37))
      : new arrays[dtype](n);
  const io = [plan.inputs, plan.outputs].map((ports) => ports.map((p) => of(p.dtype, size(p))));
  const best = new Float64Array(plan.steps.length).fill(Number.POSITIVE_INFINITY);
  return { plan, io, best, whole: Number.POSITIVE_INFINITY, notes: model.notes };
}
const arrays = { int8: Int8Array, uint8: Uint8Array, int32: Int32Array, int64: BigInt64Array };

async function measure(runs) {
  for (const end = performance.now() + 1000 * flags.seconds; performance.now() < end; )
    for (const r of runs) {
      const t = performance.now();
      await r.plan.run(...r.io);
      r.whole = Math.min(r.whole, performance.now() - t);
      await r.plan.run(...r.io, (i, ms) => {
        r.best[i] = Math.min(r.best[i], ms);
      });
    }
}

/** Multiplications that the direct algorithm does for one of the kernel's: F(m, r) needs m+r−1 for m·r, in each direction. */
function saving(kernel, window) {
  const [, m, across] = /winograd_(\d+)(?:x(\d+))?/.exec(kernel) ?? [];
  if (!m || !window) return 1;
  const gain = (m, r) => (r > 1 ? (m * r) / (m + r - 1) : 1);
  return gain(+m, window[0]) * gain(+(across ?? m), window[1]);
}

function rowsOf(r) {
  const rows = new Map();
  r.plan.steps.forEach((s, i) => {
    const ws = s.inputs[1]?.length === 4 ? s.inputs[1] : undefined;
    const window = ws && [ws[1], ws[2]];
    const name = [
      [s.op, ...(window ? [`${window.join("×")}`] : [])].join(" "),
      `${s.inputs[0]?.join("×")} → ${s.output.join("×")}`,
      s.kernel,
    ];
    const key = name.join("|");
    const row = rows.get(key) ?? { name, n: 0, ms: 0, work: 0, direct: 0 };
    row.n++;
    row.ms += r.best[i];
    row.work += 2 * s.macs;
    row.direct += (2 * s.macs) / saving(s.kernel, window);
    rows.set(key, row);
  });
  return rows;
}

const top = peaks();
const peak = top.wide ?? top.narrow;
const figure = (x, digits = 1) => (Number.isFinite(x) && x > 0 ? x.toFixed(digits) : "");

function show(name, runs) {
  const [mine] = runs.slice(-1);
  const rows = [...rowsOf(mine).values()].sort((a, b) => b.ms - a.ms);
  const old = runs.length > 1 ? rowsOf(runs[0]) : undefined;
  const before = (r) => [...old.values()].find((o) => o.name[0] === r.name[0] && o.name[1] === r.name[1])?.ms;
  const sum = rows.reduce((a, r) => a + r.ms, 0);
  const work = rows.reduce((a, r) => a + r.work, 0);
  const head = [
    "layer",
    "shape",
    "kernel",
    "n",
    "ms",
    ...(old ? ["old ms"] : []),
    "share %",
    "direct",
    "effective",
  ];
  head.push("% of 128-bit peak", ...(top.wide ? ["% of 256-bit peak"] : []));
  const line = (r) => [
    ...r.name,
    r.n,
    r.ms.toFixed(3),
    ...(old ? [figure(before(r), 3)] : []),
    ((100 * r.ms) / sum).toFixed(1),
    figure(r.direct / r.ms / 1e6),
    figure(r.work / r.ms / 1e6),
    figure((100 * r.direct) / r.ms / 1e6 / top.narrow, 0),
    ...(top.wide ? [figure((100 * r.direct) / r.ms / 1e6 / top.wide, 0)] : []),
  ];
  console.log(`\n${flags.markdown ? "### " : ""}${name}\n`);
  print([head, ...rows.slice(0, Number(flags.top)).map(line)]);
  const whole = runs.map((r) => `${r.whole.toFixed(2)} ms`).join(" → ");
  console.log(
    `\n${name}: best whole run ${whole}, steps' bests ${sum.toFixed(2)} ms; ` +
      `${(work / mine.whole / 1e6).toFixed(1)} effective GFLOPS, ${((100 * work) / mine.whole / 1e6 / peak).toFixed(0)} % of peak; ${mine.notes.join("; ")}`,
  );
}

function print(lines) {
  if (flags.markdown) {
    const rule = lines[0].map((_, i) => (i < 3 ? "---" : "--:"));
    for (const l of [lines[0], rule, ...lines.slice(1)]) console.log(`| ${l.join(" | ")} |`);
    return;
  }
  const width = lines[0].map((_, i) => Math.max(...lines.map((l) => String(l[i]).length)));
  for (const l of lines)
    console.log(
      l.map((c, i) => (i < 3 ? String(c).padEnd(width[i]) : String(c).padStart(width[i]))).join("  "),
    );
}

console.log(
  `${os.cpus()[0].model}, Node ${process.version} (V8 ${process.versions.v8}) ${process.execArgv.join(" ")}, 1 thread\n` +
    `${top.fused ? "fused multiply-add" : "multiply + add"} peak: ${top.narrow.toFixed(1)} GFLOPS at 128 bits` +
    `${top.wide ? `, ${top.wide.toFixed(1)} at 256 bits` : ""}`,
);
for (const name of positionals.length ? positionals : names) {
  const bytes = names.includes(name) ? network(name).bytes : readFileSync(name);
  const runs = [];
  for (const b of builds) runs.push(await start(b, bytes));
  await measure(runs);
  show(name, runs);
}
