// The entry points as bundles, in packages/minnow/dist/bundle: what Node, Bun and Deno get (the condition
// "node" of the package's exports). Three files to start with instead of 130: MobileNet v2's cold start in Node
// 24 falls from 330 to 240 ms. Whatever minnow/run needs at once is one chunk, which the other entries share:
// there is one state, and one ModelError. Names are kept, for stack traces. Bundlers for the web are
// better off with the single modules.
import { resolve } from "node:path";
import { build } from "vite";

const dist = resolve("packages/minnow/dist");
const entries = ["index", "run", "convert", "image/index", "node", "thread", "worker", "worker_run"];
const input = Object.fromEntries(entries.map((name) => [name.replace("/index", ""), `${dist}/${name}.js`]));

let core;
/** Everything that an entry imports statically, without itself. */
function withAll(entry, getModuleInfo) {
  const found = new Set();
  const visit = (id) => {
    for (const next of getModuleInfo(id).importedIds) if (!found.has(next)) visit(found.add(next) && next);
  };
  visit(entry);
  return found;
}

await build({
  configFile: false,
  logLevel: "warn",
  root: dist,
  publicDir: false,
  ssr: { noExternal: true },
  esbuild: { minifyIdentifiers: false, minifySyntax: true, minifyWhitespace: true, charset: "ascii" },
  build: {
    ssr: true,
    target: "es2022",
    minify: "esbuild",
    sourcemap: true,
    outDir: "bundle",
    emptyOutDir: true,
    rollupOptions: {
      input,
      preserveEntrySignatures: "strict",
      output: {
        sourcemapExcludeSources: true, // they lie beside the bundle
        entryFileNames: "[name].js",
        // One folder down, like the modules that look for thread.js and the workers in the folder above.
        chunkFileNames: "chunks/[name].js",
        manualChunks(id, { getModuleInfo }) {
          core ??= withAll(input.run, getModuleInfo);
          return core.has(id) ? "core" : undefined;
        },
      },
    },
  },
});
