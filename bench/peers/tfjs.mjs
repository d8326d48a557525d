// TensorFlow.js, a graph model on the wasm backend. The backend takes at most half of the machine's
// processors: it is told of twice as many, so that it gets the threads that are asked for.
import { getThreadsCount, setThreadsCount, setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import * as converter from "@tensorflow/tfjs-converter";
import * as tf from "@tensorflow/tfjs-core";

export async function load({ files, threads, assets }) {
  const [json, ...shards] = files.splice(0);
  setWasmPaths(assets);
  if (typeof window !== "undefined" && navigator.hardwareConcurrency < threads * 2)
    Object.defineProperty(navigator, "hardwareConcurrency", { value: threads * 2, configurable: true });
  setThreadsCount(threads);
  if (threads === 1) tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  if (!(await tf.setBackend("wasm"))) throw new Error("no wasm backend");
  await tf.ready();
  const { modelTopology, weightsManifest } = JSON.parse(new TextDecoder().decode(json));
  const model = await converter.loadGraphModel(
    tf.io.fromMemory({
      modelTopology,
      weightSpecs: weightsManifest.flatMap((m) => m.weights),
      weightData: shards.map((s) => s.buffer),
      format: "graph-model",
    }),
  );
  const inputs = model.inputs.map(({ dtype, shape }) => ({ dtype, shape: shape.map((d) => Math.max(1, d)) }));
  return {
    info: `${getThreadsCount()} threads, simd ${await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT")}`,
    inputs,
    run(x) {
      const given = x.map((a, i) => tf.tensor(a, inputs[i].shape, inputs[i].dtype));
      const result = model.predict(given.length === 1 ? given[0] : given);
      const out = Array.isArray(result) ? result : [result];
      const arrays = out.map((t) => t.dataSync());
      for (const t of [...given, ...out]) t.dispose();
      return arrays;
    },
  };
}
