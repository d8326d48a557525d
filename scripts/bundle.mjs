// The entry points as bundles, in packages/minnow/dist/bundle: what the package exports. Two files to start with
// instead of 130: MobileNet v2's cold start in Node 24 falls from 330 to 240 ms. A bundler for the web makes few
// files of them too: of the single modules esbuild makes 33, fifteen of which a page waits for. Whatever minnow/run
// needs at once is one chunk, which the other entries share: there is one state, and one ModelError; what plans and
// emits is another. Names are kept, for stack traces.
import { resolve } from "node:path";
import { build } from "vite";

const dist = resolve("packages/minnow/dist");
const entries = ["index", "run", "convert", "image/index", "node", "thread", "worker", "worker_run"];
const input = Object.fromEntries(entries.map((name) => [name.replace("/index", ""), `${dist}/${name}.js`]));

/**
 * What plans and emits: not needed where a model brings plan and code. These two, which are imported on demand, are a
 * small chunk before that of all they need: bundlers keep every name of a chunk that is imported so (0.7 KB of brotli).
 */
const planning = ["runtime/planner", "runtime/read_changed"].map((name) => `${dist}/${name}.js`);

let core;
let planner;
/** Everything that an entry imports statically, without itself. */
function withAll(entry, getModuleInfo) {
  const found = new Set();
  const visit = (id) => {
    for (const next of getModuleInfo(id).importedIds) if (!found.has(next)) visit(found.add(next) && next);
  };
  visit(entry);
  return found;
}

/** The minifier drops what tells bundlers for the web to leave Node's modules alone. */
const nodeModules = {
  name: "node-modules",
  generateBundle(_, files) {
    let found = 0;
    for (const chunk of Object.values(files))
      chunk.code = chunk.code?.replace(/import\((`node:\$\{\w+\}`)\)/g, (_, name) => {
        found++;
        return `import(/* @vite-ignore */ /* webpackIgnore: true */ ${name})`;
      });
    if (found !== 1) throw new Error(`${found} imports of Node's modules, not 1`);
  },
};

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
      plugins: [nodeModules],
      input,
      preserveEntrySignatures: "strict",
      output: {
        entryFileNames: "[name].js",
        // One folder down, like the modules that look for thread.js and the workers in the folder above.
        chunkFileNames: "chunks/[name].js",
        manualChunks(id, { getModuleInfo }) {
          core ??= withAll(input.run, getModuleInfo);
          planner ??= new Set(planning.flatMap((p) => [p, ...withAll(p, getModuleInfo)]));
          if (core.has(id)) return "core";
          return planning.includes(id) ? "planner" : planner.has(id) ? "compiler" : undefined;
        },
      },
    },
  },
});
