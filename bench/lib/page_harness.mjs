// The page's side of a measurement: fetches the model's files before the clock starts, then measures.
import { measure, watchMemories } from "./measure.mjs";

const wasmBytes = watchMemories();

self.bench = async ({ adapter, urls, ...config }) => {
  const fetched = urls.map(async (u) => new Uint8Array(await (await fetch(u)).arrayBuffer()));
  const files = await Promise.all(fetched);
  fetched.length = 0;
  const open = async () => (await import(adapter)).load({ ...config, files });
  const result = await measure(open, config, self.cpuTime);
  return { ...result, wasm: wasmBytes(), isolated: crossOriginIsolated };
};
