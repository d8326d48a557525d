// The page's side of a measurement: fetches the model's files before the clock starts (or hands their
// address on, for memory), then measures.
import { measure, watchMemories } from "./measure.mjs";

const wasmBytes = watchMemories();

self.bench = async ({ adapter, urls, byName, ...config }) => {
  const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
  const given = byName
    ? { name: new URL(urls[0], location.href).href }
    : { files: await Promise.all(urls.map(bytes)) };
  const open = async () => (await import(adapter)).load({ ...config, ...given });
  const result = await measure(open, config, self.cpuTime);
  return { ...result, wasm: wasmBytes(), isolated: crossOriginIsolated };
};
