// GFLOPS of depth-wise layers: MobileNet v1 and v2 with all their shapes, 5×5 as in EfficientNet and
// MobileNet v3. Another build can be compared in the same process, taking turns:
//   node [--experimental-wasm-revectorize] bench/depthwise.mjs [--ms 400] [--no-fma] [--old DIST] [--only TEXT]
// DIST is the packages/minnow/dist of the other working copy. A figure is the fastest batch on warm data.
import { resolve } from "node:path";
import { parseArgs } from "node:util";

const { values: flags } = parseArgs({
  options: {
    ms: { type: "string", default: "400" },
    "no-fma": { type: "boolean", default: false },
    old: { type: "string" },
    only: { type: "string", default: "" },
  },
});

const here = resolve(import.meta.dirname, "../packages/minnow/dist");
const builds = await Promise.all([...(flags.old ? [resolve(flags.old)] : []), here].map(open));

async function open(dist) {
  const wasm = `${dist}/targets/wasm`;
  const { Bench, convCase } = await import(`${wasm}/kernels/harness.js`);
  const { depthwise } = await import(`${wasm}/kernels/depthwise.js`);
  const { probeEngine } = await import(`${wasm}/probe.js`);
  return { Bench, convCase, depthwise, engine: probeEngine({ deterministic: flags["no-fma"] }) };
}

/** [channels, input side, stride, kernel, layers that have it] */
const nets = {
  mobilenet_v1: [
    [32, 112, 1, 3, 1],
    [64, 112, 2, 3, 1],
    [128, 56, 1, 3, 1],
    [128, 56, 2, 3, 1],
    [256, 28, 1, 3, 1],
    [256, 28, 2, 3, 1],
    [512, 14, 1, 3, 5],
    [512, 14, 2, 3, 1],
    [1024, 7, 1, 3, 1],
  ],
  mobilenet_v2: [
    [32, 112, 1, 3, 1],
    [96, 112, 2, 3, 1],
    [144, 56, 1, 3, 1],
    [144, 56, 2, 3, 1],
    [192, 28, 1, 3, 2],
    [192, 28, 2, 3, 1],
    [384, 14, 1, 3, 4],
    [576, 14, 1, 3, 2],
    [576, 14, 2, 3, 1],
    [960, 7, 1, 3, 3],
  ],
  "5x5": [
    [240, 28, 1, 5, 1],
    [144, 56, 2, 5, 1],
    [480, 14, 1, 5, 1],
    [672, 14, 2, 5, 1],
    [1152, 7, 1, 5, 1],
  ],
};

function optionsOf(c, h, s, k) {
  const pad = Math.max(0, (Math.ceil(h / s) - 1) * s + k - h);
  const pads = [pad >> 1, pad >> 1, pad - (pad >> 1), pad - (pad >> 1)];
  // As programs lie: see spread() in compiler/place.ts.
  const pitch = c % 256 === 0 && { xPitch: c + 16 };
  return { h, w: h, c, o: c, group: c, kernel: [k, k], stride: [s, s], pads, relu6: true, ...pitch };
}

function prepare(build, options) {
  const c = build.convCase(options);
  const planned = build.depthwise.plan(c.step, build.engine, c);
  const bench = new build.Bench(c, planned);
  const { loops, reduce } = c.step.nest;
  const work = 2 * [...loops, ...reduce].reduce((a, b) => a * b, 1);
  const run = () => {
    for (let b = 0; b < planned.extent; b += planned.grain)
      bench.run(b, Math.min(planned.extent, b + planned.grain));
  };
  return { run, work, label: planned.label, best: Number.POSITIVE_INFINITY };
}

// One engine for all: a probe on a busy machine may say something else.
for (const b of builds) b.engine = builds.at(-1).engine;
console.log(
  `V8 ${process.versions.v8} ${process.execArgv.join(" ")} ${JSON.stringify(builds.at(-1).engine)}`,
);
for (const [net, layers] of Object.entries(nets)) {
  const total = builds.map(() => 0);
  let work = 0;
  for (const [c, h, s, k, count] of layers) {
    const name = `${c}@${h} s${s} ${k}x${k}`;
    if (!`${net} ${name}`.includes(flags.only)) continue;
    const runs = builds.map((b) => prepare(b, optionsOf(c, h, s, k)));
    const start = performance.now();
    while (performance.now() - start < Number(flags.ms))
      for (const r of runs) {
        const t = performance.now();
        let n = 0;
        do {
          r.run();
          n++;
        } while (performance.now() - t < 2);
        r.best = Math.min(r.best, (performance.now() - t) / n);
      }
    runs.forEach((r, i) => {
      total[i] += count * r.best;
    });
    work += count * runs[0].work;
    const figures = runs.map((r) => (r.work / r.best / 1e6).toFixed(1).padStart(6));
    console.log(`  ${name.padEnd(18)} ${figures.join(" ")} GFLOPS  ${runs.at(-1).label}`);
  }
  const sums = total.map((ms) => `${ms.toFixed(3)} ms ${(work / ms / 1e6).toFixed(1)} GFLOPS`);
  if (work) console.log(`${net}: ${sums.join("  →  ")}`);
}
