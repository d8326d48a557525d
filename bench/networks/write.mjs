// Writes networks as files, with the start of their SHA-256:
//   node bench/networks/write.mjs [squeezenet mobilenet_v1 …] [--formats onnx,tflite,tfjs,int8] --out DIR
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

/** "int8" is both forms of it. */
const wanted = values.formats.split(",").flatMap((f) => (f === "int8" ? ["int8.tflite", "int8.onnx"] : [f]));

for (const name of positionals.length ? positionals : [...names, ...smallNames]) {
  const n = describe(name);
  console.log(`${name}: ${(n.macs / 1e6).toFixed(1)} million multiply-adds`);
  for (const format of wanted) {
    const files = Object.entries(forms[format](n));
    const hash = createHash("sha256");
    for (const [path, bytes] of files) {
      const to = join(values.out, path);
      mkdirSync(dirname(to), { recursive: true });
      writeFileSync(to, bytes);
      hash.update(bytes);
    }
    const size = files.reduce((sum, [, bytes]) => sum + bytes.length, 0);
    const what = files.length > 1 ? `${files[0][0]} and ${files.length - 1} more` : files[0][0];
    console.log(
      `  ${what.padEnd(48)} ${(size / 1e6).toFixed(2).padStart(7)} MB  ${hash.digest("hex").slice(0, 16)}`,
    );
  }
}
