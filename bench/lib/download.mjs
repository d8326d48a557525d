// What a page fetched before a peer answered, as a server would send it: brotli at its best quality.
import { brotliCompressSync, constants } from "node:zlib";

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

const known = new Map();

function compressed(contents) {
  if (!known.has(contents)) {
    const params = {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_SIZE_HINT]: contents.length,
    };
    known.set(contents, brotliCompressSync(contents, { params }).length);
  }
  return known.get(contents);
}
