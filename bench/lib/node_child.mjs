// A fresh process that measures one peer once and writes the result, as JSON, to file descriptor 3.
import { readFileSync, writeSync } from "node:fs";
import { idleShare, resident } from "./machine.mjs";
import { measure, watchMemories } from "./measure.mjs";

const { adapter, paths, byName, ...config } = JSON.parse(process.argv[2]);
const send = (result) => {
  const bytes = Buffer.from(JSON.stringify(result));
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(3, bytes, at);
    } catch (e) {
      if (e.code !== "EAGAIN") throw e;
    }
  }
};

/** The bytes in a buffer of their own, without a second copy. */
function bytesOf(path) {
  const b = readFileSync(path);
  const own = b.byteLength === b.buffer.byteLength;
  return own ? new Uint8Array(b.buffer) : new Uint8Array(b);
}

try {
  const idle = await idleShare();
  const wasmBytes = watchMemories();
  const before = resident().now;
  const given = byName ? { name: paths[0] } : { files: paths.map(bytesOf) };
  const cpuTime = async () => process.cpuUsage().user / 1000 + process.cpuUsage().system / 1000;
  const open = async () => (await import(adapter)).load({ ...config, ...given });
  const result = await measure(open, config, cpuTime);
  send({
    ...result,
    idle,
    rss: resident().peak - before,
    wasm: wasmBytes(),
  });
} catch (e) {
  send({ error: String(e?.message ?? e).split("\n")[0] });
}
process.exit();
