// int8 beside float32, both ours, in turns. Build first (npm run build), then with the engine to measure:
//   node [--experimental-wasm-revectorize] bench/int8.mjs [mobilenet_v1 …] [--weights uniform] [--seconds 2]
//   node … bench/int8.mjs --models float.onnx,int8.tflite [--models …]
// Without --models: kernel by kernel on warm data, GMAC/s of both and the share of the float32 multiply-add peak
// (2 FLOPs a MAC). Weights: "trained" is normal with the largest at 127, which the 8-bit product takes; "uniform"
// is the hardest case, which goes by 16 bits. Figures are the fastest of many runs.
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { load } from "../packages/minnow/dist/index.js";
import { Bench, convCase, quantCase } from "../packages/minnow/dist/targets/wasm/kernels/harness.js";
import { conv2d } from "../packages/minnow/dist/targets/wasm/kernels/conv.js";
import { dense } from "../packages/minnow/dist/targets/wasm/kernels/dense.js";
import { depthwise } from "../packages/minnow/dist/targets/wasm/kernels/depthwise.js";
import { int8Kernels } from "../packages/minnow/dist/targets/wasm/kernels/int8.js";
import { probeEngine } from "../packages/minnow/dist/targets/wasm/probe.js";
import { nets } from "./lib/layers.mjs";
import { peaks } from "./lib/peaks.mjs";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    models: { type: "string", multiple: true },
    weights: { type: "string", default: "trained" },
    seconds: { type: "string", default: "2" },
    ms: { type: "string", default: "60" },
    layers: { type: "boolean" },
    "no-fma": { type: "boolean" },
  },
});
const top = peaks().narrow;
const engine = probeEngine({ deterministic: flags["no-fma"] ?? false });
console.log(`V8 ${process.versions.v8} ${process.execArgv.join(" ")}  engine ${JSON.stringify(engine)}`);
console.log(`float32 peak ${(top / 2).toFixed(1)} GMAC/s`);
if (flags.models) for (const pair of flags.models) await compareModels(pair.split(","));
else
  for (const [name, make] of Object.entries(nets))
    if (!positionals.length || positionals.includes(name)) compareLayers(name, make());

async function compareModels(paths) {
  const all = [];
  for (const path of paths) {
    const model = await load(readFileSync(path), { threads: 1 });
    const inputs = Object.fromEntries(
      model.inputs.map(({ name, dtype, shape }) => {
        const n = shape.reduce((a, b) => a * b, 1);
        return [
          name,
          { float32: Float32Array, uint8: Uint8Array, int8: Int8Array }[dtype].from(
            { length: n },
            (_, i) => (i * 37) % 101,
          ),
        ];
      }),
    );
    all.push({ path, run: () => model.run(inputs), times: [] });
  }
  for (const m of all) for (let i = 0; i < 10; i++) await m.run();
  const end = performance.now() + 1000 * Number(flags.seconds) * all.length;
  while (performance.now() < end)
    for (const m of all) {
      const t = performance.now();
      await m.run();
      m.times.push(performance.now() - t);
    }
  const [base] = all;
  for (const m of all) {
    const sorted = m.times.sort((a, b) => a - b);
    m.best = sorted[0];
    const ratio = (base.best / m.best).toFixed(2);
    const name = m.path.replace(/.*\//, "");
    console.log(
      `${name.padEnd(36)} best ${m.best.toFixed(2)} ms, median ${sorted[sorted.length >> 1].toFixed(2)}, ${ratio} ×`,
    );
  }
}

function planned(c) {
  for (const k of [...int8Kernels, depthwise, conv2d, dense]) {
    const p = k.kernels.includes("conv2d") ? k.plan(c.step, engine, c) : null;
    if (p) return p;
  }
  throw new Error("no kernel");
}

/** Fastest ms of each case, taken in turns. */
function race(cases, budget) {
  const runs = cases.map((c) => {
    const p = planned(c);
    const b = new Bench(c, p);
    const run = () => {
      for (let at = 0; at < p.extent; at += p.grain) b.run(at, Math.min(p.extent, at + p.grain));
    };
    return { run, label: p.label, n: 1, best: Number.POSITIVE_INFINITY };
  });
  const end = performance.now() + budget;
  do
    for (const r of runs) {
      const t = performance.now();
      for (let i = 0; i < r.n; i++) r.run();
      const ms = performance.now() - t;
      if (ms < 0.5) r.n *= 2;
      else r.best = Math.min(r.best, ms / r.n);
    }
  while (performance.now() < end);
  return runs;
}

function compareLayers(name, layers) {
  const known = new Map();
  const groups = new Map();
  for (const [layer, options] of layers) {
    const text = JSON.stringify(options);
    let r = known.get(text);
    if (!r) {
      const c = convCase(options);
      const { loops, reduce } = c.step.nest;
      const macs = [...loops, ...reduce].reduce((a, b) => a * b, 1);
      r = {
        macs,
        runs: race(
          [c, quantCase({ ...options, perChannel: true, weights: flags.weights })],
          Number(flags.ms) * 2,
        ),
      };
      known.set(text, r);
      if (flags.layers) line(layer, r.macs, ...r.runs.map((x) => x.best), r.runs[1].label);
    }
    for (const g of [layer.replace(/ .*/, "").replace("dw", layer.slice(0, 5)), "all"]) {
      const sum = groups.get(g) ?? { macs: 0, f32: 0, i8: 0 };
      groups.set(g, { macs: sum.macs + r.macs, f32: sum.f32 + r.runs[0].best, i8: sum.i8 + r.runs[1].best });
    }
  }
  console.log(name);
  for (const [g, s] of groups) line(g, s.macs, s.f32, s.i8, "");
}

function line(name, macs, f32, i8, label) {
  const rate = (ms) => `${ms.toFixed(3).padStart(8)} ms ${(macs / ms / 1e6).toFixed(1).padStart(5)} GMAC/s`;
  const share = ((200 * macs) / i8 / 1e6 / top).toFixed(0);
  console.log(
    `  ${name.padEnd(24)} float32 ${rate(f32)}   int8 ${rate(i8)} ${share.padStart(4)} %   ${(f32 / i8).toFixed(2)} × ${label}`,
  );
}
