// LiteRT.js: TensorFlow Lite with XNNPACK. The threaded build only where threads are asked for (it is
// slower on one). The public API refuses int8, int16 and int64 tensors in its JavaScript layer alone, so
// such models run by the bindings underneath it.
import * as litert from "@litertjs/core";

export async function load({ name, files, threads, assets }) {
  const runtime = await litert.loadLiteRt(assets, { threads: threads > 1 });
  const cpuOptions = { numThreads: threads };
  const model = await litert.loadAndCompile(name ?? files.pop(), { accelerator: "wasm", cpuOptions });
  const inputs = model.getInputDetails().map(({ dtype, shape }) => ({
    dtype,
    shape: [...shape].map((d) => (d > 0 ? d : 1)),
  }));
  return {
    info: `${runtime.liteRtWasm.getThreadCount()} threads, ${model.isFullyAccelerated ? "all" : "not all"} on XNNPACK`,
    inputs,
    async run(x) {
      const tensors = x.map((a, i) => new litert.Tensor(a, inputs[i].shape));
      const out = await model.run(tensors);
      const arrays = out.map((t) => t.toTypedArray().slice());
      for (const t of [...tensors, ...out]) t.delete();
      return arrays;
    },
  };
}
