// The five networks of the headline table as ONNX, for the scripts beside this file; see networks/.
//   node bench/networks.mjs DIR [name…]      (all formats and the small networks: networks/write.mjs)
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { names, network } from "./networks/index.mjs";

export { names, network };

if (import.meta.url === `file://${process.argv[1]}`) {
  const [dir = ".", ...only] = process.argv.slice(2);
  mkdirSync(dir, { recursive: true });
  for (const name of only.length ? only : names) {
    const { bytes, macs } = network(name);
    writeFileSync(join(dir, `${name}.onnx`), bytes);
    console.log(name, `${(macs / 1e6).toFixed(0)} MMAC, ${(bytes.length / 1e6).toFixed(1)} MB`);
  }
}
