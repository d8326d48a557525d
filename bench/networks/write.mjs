// Writes networks as files, with the start of their SHA-256:
//   node bench/networks/write.mjs [squeezenet mobilenet_v1 …] [--formats onnx,tflite,tfjs] --out DIR
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { describe, forms, names, smallNames } from "./index.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    formats: { type: "string", default: Object.keys(forms).join(",") },
    out: { type: "string", default: "." },
  },
});

for (const name of positionals.length ? positionals : [...names, ...smallNames]) {
  const n = describe(name);
  console.log(`${name}: ${(n.macs / 1e6).toFixed(1)} million multiply-adds`);
  for (const format of values.formats.split(","))
    for (const [path, bytes] of Object.entries(forms[format](n))) {
      const to = join(values.out, path);
      mkdirSync(dirname(to), { recursive: true });
      writeFileSync(to, bytes);
      const sha = createHash("sha256").update(bytes).digest("hex").slice(0, 16);
      console.log(`  ${to.padEnd(48)} ${(bytes.length / 1e6).toFixed(2).padStart(7)} MB  ${sha}`);
    }
}
