// Winograd convolution against direct, layer by layer: effective GFLOPS (the direct form's FLOPs over the time),
// the gain, and the largest error over the root mean square, of 3000 outputs summed in float64. A layer's
// variants take turns in one process; figures are the best of many batches on warm data. Build first, then:
//   node [--experimental-wasm-revectorize] bench/winograd.mjs [layer…] [--ms 300] [--no-fma]
// `*` marks what the policy (kernels/winograd_cost.ts) picks.
import { parseArgs } from "node:util";
import { conv2d } from "../packages/minnow/dist/targets/wasm/kernels/conv.js";
import { Bench, convCase } from "../packages/minnow/dist/targets/wasm/kernels/harness.js";
import { planWinograd } from "../packages/minnow/dist/targets/wasm/kernels/winograd.js";
import { formOf } from "../packages/minnow/dist/targets/wasm/kernels/winograd_cost.js";
import { probeEngine } from "../packages/minnow/dist/targets/wasm/probe.js";

/** Some outputs of a convolution of `same` size in float64: [place, value]. */
function reference({ data: [x, w, , bias] }, { h, c, o, kernel: [kh, kw] }) {
  return Array.from({ length: 3000 }, (_, i) => {
    const at = Math.floor(((i * 0.6180339887) % 1) * h * h * o);
    const [y, z, n] = [Math.floor(at / o / h), Math.floor(at / o) % h, at % o];
    let sum = bias[n];
    for (let a = 0; a < kh; a++)
      for (let b = 0; b < kw; b++) {
        const [iy, ix] = [y + a - ((kh - 1) >> 1), z + b - ((kw - 1) >> 1)];
        if (iy < 0 || ix < 0 || iy >= h || ix >= h) continue;
        const [from, tap] = [(iy * h + ix) * c, ((n * kh + a) * kw + b) * c];
        for (let k = 0; k < c; k++) sum += x[from + k] * w[tap + k];
      }
    return [at, sum];
  });
}

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
  const test = convCase({ h, w: h, c, o, kernel, pads: [py, px, py, px] });
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
  const want = reference(test, { h, c, o, kernel });
  const rms = Math.sqrt(want.reduce((sum, [, v]) => sum + v * v, 0) / want.length);
  const show = (r) => {
    const error = want.reduce((e, [at, v]) => Math.max(e, Math.abs(r.out[at] - v)), 0) / rms;
    const mark = r.planned.label === (picked ?? runs[0].planned.label) ? "*" : "";
    const gain = r === runs[0] ? "" : ` ×${(runs[0].best / r.best).toFixed(2)}`;
    return `${r.label}${mark} ${(work / r.best / 1e6).toFixed(0)}${gain} (${error.toExponential(1)})`.padEnd(
      26,
    );
  };
  console.log(`${`${name} ${kernel.join("×")} ${c}→${o} @${h}`.padEnd(24)} ${runs.map(show).join("")}`);
}
