// The page's side of a measurement: asks what to do, fetches the model's files before the clock starts (or
// hands their address on, for memory), measures, and sends what it found.
import { measure, watchMemories } from "./measure.mjs";

const wasmBytes = watchMemories();

const ask = async (what, body) => (await fetch(what, { method: "POST", body })).json();

async function bench({ adapter, urls, byName, ...config }) {
  const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
  const given = byName
    ? { name: new URL(urls[0], location.href).href }
    : { files: await Promise.all(urls.map(bytes)) };
  const open = async () => (await import(adapter)).load({ ...config, ...given });
  const result = await measure(open, config, () => ask("/cpu"));
  return { ...result, wasm: wasmBytes(), isolated: crossOriginIsolated };
}

const result = await ask("/job")
  .then(bench)
  .catch((e) => ({ error: String(e?.message ?? e).split("\n")[0] }));
await ask("/result", JSON.stringify(result));
