// Each peer's adapter and its package as a page gets them: bundled and minified by esbuild, with the wasm
// files apart. The same bundles are what the download table weighs.
import { build } from "esbuild";
import { basename, join } from "node:path";
import { benchDir, peers } from "../peers/index.mjs";

const minnow = join(benchDir, "../packages/minnow/dist/bundle");
const workers = ["worker_run"];

/** @returns {Promise<Map<string, Uint8Array>>} file name → contents; the entry is `<peer>.js` */
export async function bundle(peer) {
  const entryPoints = { [peer]: join(benchDir, "peers", peers[peer].adapter) };
  // A worker is an entry of its own, beside the bundle: what Vite and webpack do with `new URL`.
  if (peers[peer].format === "minnow")
    for (const name of workers) entryPoints[name] = join(minnow, `${name}.js`);
  const { outputFiles } = await build({
    entryPoints,
    absWorkingDir: benchDir,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    mainFields: ["module", "browser", "main"],
    target: "es2022",
    external: [
      "node:*",
      "fs",
      "path",
      "crypto",
      "util",
      "string_decoder",
      "worker_threads",
      "perf_hooks",
      "os",
    ],
    splitting: true,
    outdir: "out/bundle",
    write: false,
    logLevel: "error",
  });
  const files = new Map(outputFiles.map((f) => [basename(f.path), f.contents]));
  for (const { text } of outputFiles)
    for (const [, name] of text.matchAll(/new URL\("\.\/(\w+\.js)", ?import\.meta\.url\)/g))
      if (!files.has(name))
        throw new Error(`the bundle of ${peer} wants a worker ${name}: name it in bundle.mjs`);
  return files;
}
