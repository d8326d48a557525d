// GFLOPS of the tuned float32 kernels, layer by layer, for MobileNet v1, v2 and SqueezeNet 1.0, beside this
// core's measured multiply-add peak. Build first (npm run build), then with whichever engine to measure:
//   node [--experimental-wasm-revectorize] bench/kernels.mjs [net…] [--ms 60] [--tile 6x8] [--no-fma] [--layers]
// A layer's figure is its fastest of several batches on warm data; nets are the sum of their layers.
import { parseArgs } from "node:util";
import { Bench, convCase } from "../packages/minnow/dist/targets/wasm/kernels/harness.js";
import { ModuleBuilder, moduleImports } from "../packages/minnow/dist/targets/wasm/assembler.js";
import { tunedKernels } from "../packages/minnow/dist/targets/wasm/kernels/index.js";
import { probeEngine } from "../packages/minnow/dist/targets/wasm/probe.js";

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

const same = (h, k, s) => {
  const total = Math.max(0, (Math.ceil(h / s) - 1) * s + k - h);
  return [total >> 1, total - (total >> 1)];
};
const conv = (name, h, c, o, k, s, more = {}) => {
  const [before, after] = same(h, k, s);
  return [
    name,
    {
      h,
      w: h,
      c,
      o,
      kernel: [k, k],
      stride: [s, s],
      pads: [before, before, after, after],
      relu6: true,
      ...more,
    },
  ];
};
const dw = (h, c, s) => conv(`dw s${s} ${c}@${h}`, h, c, c, 3, s, { group: c });

function mobilenetV1() {
  const layers = [conv("first 3>32", 224, 3, 32, 3, 2)];
  let h = 112;
  for (const [c, o, s] of [
    [32, 64, 1],
    [64, 128, 2],
    [128, 128, 1],
    [128, 256, 2],
    [256, 256, 1],
    [256, 512, 2],
    ...Array(5).fill([512, 512, 1]),
    [512, 1024, 2],
    [1024, 1024, 1],
  ]) {
    layers.push(dw(h, c, s));
    h /= s;
    layers.push(conv(`1x1 ${c}>${o}@${h}`, h, c, o, 1, 1));
  }
  return [...layers, ["dense 1024>1001", { h: 1, w: 1, c: 1024, o: 1001 }]];
}
function mobilenetV2() {
  const layers = [conv("first 3>32", 224, 3, 32, 3, 2)];
  let [h, c] = [112, 32];
  for (const [t, o, n, s1] of [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
  ])
    for (let i = 0; i < n; i++) {
      const s = i ? 1 : s1;
      if (t > 1) layers.push(conv(`1x1 ${c}>${c * t}@${h}`, h, c, c * t, 1, 1));
      layers.push(dw(h, c * t, s));
      h /= s;
      const residual = i ? "other" : "none";
      layers.push(
        conv(`1x1 ${c * t}>${o}@${h}${i ? " +res" : ""}`, h, c * t, o, 1, 1, { relu6: false, residual }),
      );
      c = o;
    }
  layers.push(conv("1x1 320>1280@7", 7, 320, 1280, 1, 1));
  return [...layers, ["dense 1280>1001", { h: 1, w: 1, c: 1280, o: 1001 }]];
}
function squeezenet() {
  const layers = [
    ["first 3>96", { h: 224, w: 224, c: 3, o: 96, kernel: [7, 7], stride: [2, 2], relu6: true }],
  ];
  const fire = (h, c, s, e) => {
    layers.push(conv(`1x1 ${c}>${s}@${h}`, h, c, s, 1, 1));
    layers.push(conv(`1x1 ${s}>${e}@${h}`, h, s, e, 1, 1, { outPitch: 2 * e }));
    layers.push(conv(`3x3 ${s}>${e}@${h}`, h, s, e, 3, 1, { outPitch: 2 * e }));
  };
  fire(54, 96, 16, 64);
  fire(54, 128, 16, 64);
  fire(54, 128, 32, 128);
  fire(27, 256, 32, 128);
  fire(27, 256, 48, 192);
  fire(27, 384, 48, 192);
  fire(27, 384, 64, 256);
  fire(13, 512, 64, 256);
  return [...layers, conv("1x1 512>1000@13", 13, 512, 1000, 1, 1)];
}
const nets = { mobilenet_v1: mobilenetV1, mobilenet_v2: mobilenetV2, squeezenet };

/** Independent multiply-adds in registers: what the core can do. */
function peak() {
  const m = new ModuleBuilder();
  const n = 12;
  m.func(
    ["i32"],
    ["f32"],
    (f) => {
      const acc = f.someLocals(n, "v128");
      const x = f.local("v128");
      f.f32x4(0.5).set(x);
      f.repeat(0, () => {
        for (const a of acc)
          if (probed.fma) f.get(x).get(x).get(a).op("f32x4.relaxed_madd").set(a);
          else f.get(a).get(x).get(x).op("f32x4.mul", "f32x4.add").set(a);
      });
      for (let i = 1; i < n; i++) f.get(acc[0]).get(acc[i]).op("f32x4.add").set(acc[0]);
      f.get(acc[0]).lane("f32x4.extract_lane", 0);
    },
    "peak",
  );
  const memory = new WebAssembly.Memory({ initial: 1 });
  const run = new WebAssembly.Instance(new WebAssembly.Module(m.build()), moduleImports(memory)).exports.peak;
  const ms = fastest(() => run(100000), 300);
  return (100000 * n * 8) / ms / 1e6;
}

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

const top = peak();
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
      for (const k of tunedKernels)
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
