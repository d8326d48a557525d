// Matrix–vector products beside a plain read of the same bytes: GB/s of weights, cold from outer caches (several
// layers in turns, more than the second-level cache holds) as in a network. Build first, then
//   node [--experimental-wasm-revectorize] bench/dense.mjs [--ms 300] [--old DIST]
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { ModuleBuilder } from "../packages/minnow/dist/targets/wasm/assembler.js";
import { moduleImports } from "../packages/minnow/dist/targets/wasm/imports.js";

const { values: flags } = parseArgs({
  options: { ms: { type: "string", default: "300" }, old: { type: "string" } },
});
const here = resolve(import.meta.dirname, "../packages/minnow/dist");
const builds = await Promise.all([...(flags.old ? [resolve(flags.old)] : []), here].map(open));

async function open(dist) {
  const { Bench, CaseBuilder, noise } = await import(`${dist}/targets/wasm/kernels/harness.js`);
  const { probeEngine } = await import(`${dist}/targets/wasm/probe.js`);
  const { dense } = await import(`${dist}/targets/wasm/kernels/dense.js`);
  const e = await import(`${dist}/compiler/expr.js`);
  const { at } = await import(`${dist}/compiler/nest.js`);
  const engine = probeEngine();
  /** y = x·w for one row. */
  const make = (k, n) => {
    const b = new CaseBuilder();
    const x = b.add(noise(k + 64, 2), "float32", [1, k]);
    const w = b.add(noise(k * n, 3), "float32", [n, k], true);
    const out = { value: b.add(noise(n, 4), "float32", [1, n]), index: [at(0), at(1)] };
    const operands = [
      { value: x, index: [at(0), at(2)] },
      { value: w, index: [at(1), at(2)] },
    ];
    const body = e.mul(e.input(0, "f32"), e.input(1, "f32"));
    const nest = {
      loops: [1, n],
      reduce: [k],
      operands,
      body,
      combine: "sum",
      result: e.accumulator("f32"),
      out,
    };
    const c = b.finish("dense", {}, nest);
    const planned = dense.plan(c.step, engine, c);
    return { planned, bench: () => new Bench(c, planned) };
  };
  return make;
}

/** Sums 128 bytes a turn in eight sums. */
function reader(bytes) {
  const m = new ModuleBuilder();
  m.func(
    ["i32", "i32"],
    [],
    (f) => {
      const sums = f.someLocals(8, "v128");
      f.repeat(1, () => {
        sums.forEach((s, i) =>
          f
            .get(s)
            .get(0)
            .vload(16 * i)
            .op("f32x4.add")
            .set(s),
        );
        f.inc(0, 128);
      });
      for (let i = 7; i >= 0; i--)
        f.i32(1024)
          .get(sums[i])
          .vstore(16 * i);
    },
    "read",
  );
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) + 1 });
  new Float32Array(memory.buffer).fill(1); // pages of its own
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.build()), moduleImports(memory));
  return () => exports.read(4096, Math.floor(bytes / 128));
}

/** Eight copies of a run, in turns: best of one. */
function best(make) {
  const runs = Array.from({ length: 8 }, make);
  let least = Number.POSITIVE_INFINITY;
  for (const end = performance.now() + Number(flags.ms); performance.now() < end; )
    for (const run of runs) {
      const t = performance.now();
      run();
      least = Math.min(least, performance.now() - t);
    }
  return least;
}

console.log(`V8 ${process.versions.v8} ${process.execArgv.join(" ")}`);
for (const [k, n] of [
  [1024, 1001],
  [1280, 1000],
  [2048, 1001],
  [512, 128],
  [256, 1024],
]) {
  const bytes = 4 * k * n;
  const gbs = (ms) => `${(bytes / ms / 1e6).toFixed(1)} GB/s`;
  const figures = builds.map((make) => {
    const { planned, bench } = make(k, n);
    const ms = best(() => {
      const b = bench();
      return () => b.run(0, planned.extent);
    });
    return `${planned.label} ${gbs(ms)} ${((2 * k * n) / ms / 1e6).toFixed(1)} GFLOPS`;
  });
  console.log(
    `${k} → ${n}, ${(bytes / 1e6).toFixed(1)} MB: ${figures.join(" → ")}; plain read ${gbs(best(() => reader(bytes)))}`,
  );
}
