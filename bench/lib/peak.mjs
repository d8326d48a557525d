// The core's own multiply-add peak with 128-bit vectors, as generated WebAssembly: twelve independent
// accumulators in registers. As a script: writes { gflops, fused } to descriptor 3.
import { writeSync } from "node:fs";
import { ModuleBuilder, moduleImports } from "../../packages/minnow/dist/targets/wasm/assembler.js";
import { probeEngine } from "../../packages/minnow/dist/targets/wasm/probe.js";

/** @returns {{ gflops: number, fused: boolean }} best of `ms` milliseconds */
export function peak(ms = 300) {
  const { fma } = probeEngine({ deterministic: false });
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
          if (fma) f.get(x).get(x).get(a).op("f32x4.relaxed_madd").set(a);
          else f.get(a).get(x).get(x).op("f32x4.mul", "f32x4.add").set(a);
      });
      for (let i = 1; i < n; i++) f.get(acc[0]).get(acc[i]).op("f32x4.add").set(acc[0]);
      f.get(acc[0]).lane("f32x4.extract_lane", 0);
    },
    "peak",
  );
  const memory = new WebAssembly.Memory({ initial: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.build()), moduleImports(memory));
  const turns = 100_000;
  let best = Number.POSITIVE_INFINITY;
  for (const end = performance.now() + ms; performance.now() < end; ) {
    const t = performance.now();
    exports.peak(turns);
    best = Math.min(best, performance.now() - t);
  }
  return { gflops: (turns * n * 8) / best / 1e6, fused: fma };
}

if (process.argv[1] === new URL(import.meta.url).pathname) writeSync(3, JSON.stringify(peak()));
