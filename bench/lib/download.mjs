// What a page fetched before a peer answered, as a server would send it: brotli at its best quality.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { brotliCompressSync, constants } from "node:zlib";
import { benchDir } from "../peers/index.mjs";

/** @param {Map<string, Uint8Array>} fetched path → contents; @returns {{ js, wasm }} bytes, each { raw, brotli } */
export function weigh(fetched) {
  const total = { js: { raw: 0, brotli: 0 }, wasm: { raw: 0, brotli: 0 } };
  for (const [path, contents] of fetched) {
    const sum = total[path.endsWith(".wasm") ? "wasm" : "js"];
    sum.raw += contents.length;
    sum.brotli += compressed(contents);
  }
  return total;
}

/** Sizes by content, kept: the largest files take half a minute each. */
const kept = join(benchDir, "out/brotli.json");
let sizes;

function compressed(contents) {
  sizes ??= existsSync(kept) ? JSON.parse(readFileSync(kept, "utf8")) : {};
  const key = createHash("sha256").update(contents).digest("hex");
  if (!sizes[key]) {
    const params = {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_SIZE_HINT]: contents.length,
    };
    sizes[key] = brotliCompressSync(contents, { params }).length;
    mkdirSync(dirname(kept), { recursive: true });
    writeFileSync(kept, JSON.stringify(sizes));
  }
  return sizes[key];
}
