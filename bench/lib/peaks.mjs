// The core's own multiply-add peaks, as generated WebAssembly: independent sums in registers. With 256-bit
// vectors the sums are pairs of v128 that V8 joins; where it does not, there is no such peak.
import { ModuleBuilder } from "../../packages/minnow/dist/targets/wasm/assembler.js";
import { moduleImports } from "../../packages/minnow/dist/targets/wasm/imports.js";
import { fusesMultiplyAdd } from "../../packages/minnow/dist/targets/wasm/probe.js";

/** @returns {{ fused: boolean, narrow: number, wide?: number }} GFLOPS, best of `ms` milliseconds each */
export function peaks(ms = 250) {
  const fused = fusesMultiplyAdd();
  const narrow = run(12, 1, fused, ms);
  const wide = run(12, 2, fused, ms);
  return { fused, narrow, ...(wide > 1.3 * narrow && { wide }) };
}

/** `sums` accumulators of `vectors` adjacent v128, loaded and stored as pairs are. */
function run(sums, vectors, fused, ms) {
  const m = new ModuleBuilder();
  m.func(
    ["i32"],
    [],
    (f) => {
      const acc = Array.from({ length: sums }, () => f.someLocals(vectors, "v128"));
      const x = f.someLocals(vectors, "v128");
      const at = f.local();
      f.i32(0).set(at);
      x.forEach((l, v) =>
        f
          .get(at)
          .vload(16 * v)
          .set(l),
      );
      acc.forEach((a, i) =>
        a.forEach((l, v) =>
          f
            .get(at)
            .vload(64 + 32 * i + 16 * v)
            .set(l),
        ),
      );
      f.repeat(0, () => {
        for (const a of acc)
          a.forEach((l, v) => {
            if (fused) f.get(x[v]).get(x[v]).get(l).op("f32x4.relaxed_madd").set(l);
            else f.get(l).get(x[v]).get(x[v]).op("f32x4.mul", "f32x4.add").set(l);
          });
      });
      acc.forEach((a, i) => {
        for (let v = vectors - 1; v >= 0; v--)
          f.get(at)
            .get(a[v])
            .vstore(1024 + 32 * i + 16 * v);
      });
    },
    "peak",
  );
  const memory = new WebAssembly.Memory({ initial: 1 });
  new Float32Array(memory.buffer).fill(0.5);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.build()), moduleImports(memory));
  const turns = 50_000;
  let best = Number.POSITIVE_INFINITY;
  for (const end = performance.now() + ms; performance.now() < end; ) {
    const t = performance.now();
    exports.peak(turns);
    best = Math.min(best, performance.now() - t);
  }
  return (turns * sums * vectors * 8) / best / 1e6;
}
