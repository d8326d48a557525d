// Winograd convolution against direct, layer by layer: effective GFLOPS (the direct form's FLOPs over the time),
// and the largest error over the root mean square of the answers. Each layer's variants take turns in one
// process; the figure is the best of many batches on warm data. Build first, then with the engine to measure:
//   node [--experimental-wasm-revectorize] bench/winograd.mjs [layer…] [--ms 300] [--no-fma]
// `*` marks what the policy (kernels/winograd_cost.ts) picks.
import { parseArgs } from "node:util";
import { conv2d } from "../packages/minnow/dist/targets/wasm/kernels/conv.js";
import { Bench, convCase } from "../packages/minnow/dist/targets/wasm/kernels/harness.js";
import { planWinograd } from "../packages/minnow/dist/targets/wasm/kernels/winograd.js";
import { formOf } from "../packages/minnow/dist/targets/wasm/kernels/winograd_cost.js";
import { probeEngine } from "../packages/minnow/dist/targets/wasm/probe.js";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { ms: { type: "string", default: "300" }, "no-fma": { type: "boolean" } },
});
const engine = probeEngine({ deterministic: flags["no-fma"] ?? false });

/** name: image, channels in and out, kernel. */
const layers = {
  r56: [56, 64, 64, [3, 3]],
  r28: [28, 128, 128, [3, 3]],
  r14: [14, 256, 256, [3, 3]],
  r7: [7, 512, 512, [3, 3]],
  s54: [54, 16, 64, [3, 3]],
  s27: [27, 48, 192, [3, 3]],
  s13: [13, 64, 256, [3, 3]],
  i35: [35, 96, 96, [3, 3]],
  i35five: [35, 48, 64, [5, 5]],
  i17: [17, 192, 192, [1, 7]],
  i17down: [17, 160, 160, [7, 1]],
  i8: [8, 384, 384, [1, 3]],
};

console.log(`V8 ${process.versions.v8} ${process.execArgv.join(" ")}  engine ${JSON.stringify(engine)}`);
for (const [name, [h, c, o, kernel]] of Object.entries(layers)) {
  if (positionals.length && !positionals.includes(name)) continue;
  const [py, px] = kernel.map((k) => (k - 1) >> 1);
  const test = convCase({ h, w: h, c, o, kernel, pads: [py, px, py, px], result: (acc) => acc });
  const work = 2 * h * h * c * o * kernel[0] * kernel[1];
  const picked = planWinograd(test.step, engine, test)?.label;
  const variants = [["direct", conv2d.plan(test.step, engine, test)]];
  for (const m of [2, 4]) {
    const planned = planWinograd(test.step, engine, test, (k) => [formOf(m, k)].filter((f) => f), true);
    if (planned) variants.push([`F${m}`, planned]);
  }
  const runs = variants.map(([label, planned]) => {
    const bench = new Bench(test, planned);
    const run = () => {
      for (let b = 0; b < planned.extent; b += planned.grain)
        bench.run(b, Math.min(planned.extent, b + planned.grain));
    };
    run();
    return { label, planned, run, out: bench.output(), best: Number.POSITIVE_INFINITY };
  });
  for (const end = performance.now() + Number(flags.ms) * runs.length; performance.now() < end; )
    for (const r of runs) {
      const n = Math.max(1, Math.min(100, Math.round(5 / r.best)));
      const t = performance.now();
      for (let i = 0; i < n; i++) r.run();
      r.best = Math.min(r.best, (performance.now() - t) / n);
    }
  const [direct] = runs;
  const rms = Math.sqrt(direct.out.reduce((s, v) => s + v * v, 0) / direct.out.length);
  const show = (r) => {
    const error = r.out.reduce((e, v, i) => Math.max(e, Math.abs(v - direct.out[i])), 0) / rms;
    const mark = r.planned.label === (picked ?? direct.planned.label) ? "*" : " ";
    const gain = r === direct ? "" : ` ×${(direct.best / r.best).toFixed(2)} ${error.toExponential(1)}`;
    return `${r.label}${mark} ${(work / r.best / 1e6).toFixed(0)}${gain}`;
  };
  console.log(`${`${name} ${kernel.join("×")} ${c}→${o} @${h}`.padEnd(26)} ${runs.map(show).join("  ")}`);
}
