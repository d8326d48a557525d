// GFLOPS of the tuned float32 kernels, layer by layer, for the five networks, beside this
// core's measured multiply-add peak. Build first (npm run build), then with whichever engine to measure:
//   node [--experimental-wasm-revectorize] bench/kernels.mjs [net…] [--ms 60] [--tile 6x8] [--no-fma] [--layers]
// A layer's figure is its fastest of several batches on warm data; nets are the sum of their layers.
import { parseArgs } from "node:util";
import { Bench, convCase } from "../packages/minnow/dist/targets/wasm/kernels/harness.js";
import { conv2d } from "../packages/minnow/dist/targets/wasm/kernels/conv.js";
import { dense } from "../packages/minnow/dist/targets/wasm/kernels/dense.js";
import { depthwise } from "../packages/minnow/dist/targets/wasm/kernels/depthwise.js";
import { probeEngine } from "../packages/minnow/dist/targets/wasm/probe.js";
import { nets } from "./lib/layers.mjs";
import { peaks } from "./lib/peaks.mjs";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ms: { type: "string", default: "60" },
    tile: { type: "string" },
    "no-fma": { type: "boolean" },
    layers: { type: "boolean" },
  },
});

const probed = probeEngine({ deterministic: flags["no-fma"] ?? false });
const [mr, nr] = (flags.tile ?? "").split("x").map(Number);
const engine = flags.tile ? { ...probed, f32: { mr, nr } } : probed;

function fastest(run, budget) {
  let best = Number.POSITIVE_INFINITY;
  const start = performance.now();
  let n = 1;
  do {
    const t = performance.now();
    for (let i = 0; i < n; i++) run();
    const ms = (performance.now() - t) / n;
    if (ms * n < 1) n *= 2;
    else best = Math.min(best, ms);
  } while (performance.now() - start < budget);
  return best;
}

const top = peaks().narrow;
console.log(`V8 ${process.versions.v8} ${process.execArgv.join(" ")}  engine ${JSON.stringify(engine)}`);
console.log(
  `${probed.fma ? "fused multiply-add" : "multiply + add"} peak, 128 bit: ${top.toFixed(1)} GFLOPS`,
);
for (const [name, make] of Object.entries(nets)) {
  if (positionals.length && !positionals.includes(name)) continue;
  const groups = new Map();
  let [totalMs, totalWork] = [0, 0];
  const seen = new Map();
  for (const [layer, options] of make()) {
    const text = JSON.stringify(options);
    let r = seen.get(text);
    if (!r) {
      const c = convCase(options);
      let planned = null;
      for (const k of [depthwise, conv2d, dense])
        planned ??= k.kernels.includes("conv2d") ? k.plan(c.step, engine, c) : null;
      if (!planned) throw new Error(`no kernel for ${layer}`);
      const bench = new Bench(c, planned);
      const run = () => {
        for (let b = 0; b < planned.extent; b += planned.grain)
          bench.run(b, Math.min(planned.extent, b + planned.grain));
      };
      const { loops, reduce } = c.step.nest;
      const work = 2 * [...loops, ...reduce].reduce((a, b) => a * b, 1);
      r = { ms: fastest(run, Number(flags.ms)), work, label: planned.label };
      seen.set(text, r);
    }
    totalMs += r.ms;
    totalWork += r.work;
    const g = layer.replace(/ .*/, "").replace("dw", layer.slice(0, 5));
    const sum = groups.get(g) ?? { ms: 0, work: 0 };
    groups.set(g, { ms: sum.ms + r.ms, work: sum.work + r.work });
    if (flags.layers)
      console.log(
        `  ${layer.padEnd(22)} ${r.label.padEnd(26)} ${r.ms.toFixed(3)} ms ${(r.work / r.ms / 1e6).toFixed(1)} GFLOPS`,
      );
  }
  for (const [g, { ms, work }] of groups)
    console.log(
      `  ${g.padEnd(8)} ${ms.toFixed(2).padStart(7)} ms ${(work / ms / 1e6).toFixed(1).padStart(6)} GFLOPS`,
    );
  console.log(
    `${name}: ${totalMs.toFixed(2)} ms, ${(totalWork / totalMs / 1e6).toFixed(1)} GFLOPS, ${((100 * totalWork) / totalMs / 1e6 / top).toFixed(0)} % of peak`,
  );
}
