// What an app pays in JavaScript, measured with esbuild and brotli, room by room.
//   start    an app whose .minnow files bring plans and code: ≤ 24 KB
//   run      an app that only runs .minnow files on the CPU: ≤ 80 KB, the planner counted, which loads on demand
//   full     with the TFLite and ONNX readers: ≤ 150 KB, likewise
// Fails above a limit, or when a run-only app carries a reader, a pass, a reference or a gradient.
import { build } from "esbuild";
import { brotliCompressSync, constants } from "node:zlib";

const run = `import { load } from "minnow/run"; globalThis.load = load;`;
const apps = {
  start: { limit: 24, code: run, planner: false },
  run: { limit: 80, code: run, planner: true },
  full: {
    limit: 150,
    code: `import { load, convert } from "minnow"; globalThis.minnow = { load, convert };`,
    planner: true,
  },
};
const forbidden = /\/dist\/(formats\/(tflite|onnx)|passes|targets\/reference|train)\/|references\.js/;
const compiler = /\/dist\/(compiler|ops)\/|assembler\.js|formats\/minnow\/reader\.js/;

/** What loads on demand when a model brings no plan. */
const planning = /\/(planner|read_changed)\b[^/]*$/;

/** The single modules, to tell what is in a bundle. */
const single = { "minnow/run": "./packages/minnow/dist/run.js", minnow: "./packages/minnow/dist/index.js" };

/** `entry` bundled, what is imported on demand (the worker's side of a model) apart; the files that load at once. */
async function bundled(entry, planner, alias = {}) {
  const result = await build({
    ...entry,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    external: ["node:*"],
    splitting: true,
    outdir: "out",
    alias,
    metafile: true,
    write: false,
    logLevel: "error",
  });
  const startup = new Set();
  const follow = (name) => {
    if (startup.has(name)) return;
    startup.add(name);
    for (const i of result.metafile.outputs[name].imports)
      if (!i.external && (i.kind === "import-statement" || (planner && planning.test(i.path))))
        follow(i.path);
  };
  follow(
    Object.entries(result.metafile.outputs).find(
      ([, o]) => o.entryPoint === (entry.entryPoints?.[0] ?? "<stdin>"),
    )[0],
  );
  return { result, startup };
}

const stdin = (contents) => ({ stdin: { contents, resolveDir: process.cwd(), loader: "js" } });

/** Modules that load at once with `path`, how many, and those that it would load later. */
export async function onDemand(path) {
  const { result, startup } = await bundled({ entryPoints: [path] }, false);
  const modules = Object.entries(result.metafile.outputs).flatMap(([name, { inputs }]) =>
    Object.entries(inputs).flatMap(([path, { bytesInOutput }]) =>
      bytesInOutput ? [{ path, later: !startup.has(name) }] : [],
    ),
  );
  const missing = modules.filter((m) => m.later).map((m) => m.path);
  return { carried: modules.length - missing.length, missing };
}

async function measure({ code, planner }, alias = {}) {
  const { result, startup } = await bundled(stdin(code), planner, alias);
  const contents = result.outputFiles.filter((f) => [...startup].some((n) => f.path.endsWith(n)));
  const text = Buffer.concat(contents.map((f) => f.contents));
  const size = brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }).length;
  const rooms = new Map();
  const files = [];
  for (const [, output] of Object.entries(result.metafile.outputs).filter(([n]) => startup.has(n)))
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      const m =
        /packages\/minnow\/dist\/(?:([^/]+\/(?:tflite|onnx|minnow|wasm|reference|host))\/|([^/]+)\/)?/.exec(
          path,
        );
      const room = m
        ? (m[1] ?? m[2] ?? "entry")
        : path.includes("node_modules")
          ? path.split("node_modules/")[1].split("/").slice(0, 2).join("/")
          : "app";
      rooms.set(room, (rooms.get(room) ?? 0) + bytesInOutput);
      if (bytesInOutput > 0) files.push(path);
    }
  return { minified: text.length, brotli: size, rooms, files };
}

export async function check(name) {
  const { limit } = apps[name];
  const { minified, brotli } = await measure(apps[name]);
  const { rooms, files } = await measure(apps[name], single);
  const not = name === "full" ? null : name === "run" ? [forbidden] : [forbidden, compiler];
  const carried = files.filter((f) => not?.some((pattern) => pattern.test(f)));
  return { minified, brotli, rooms, limit, ok: brotli <= limit * 1000 && carried.length === 0, carried };
}

if (import.meta.url === `file://${process.argv[1]}`) {
  let bad = false;
  for (const name of Object.keys(apps)) {
    const m = await check(name);
    console.log(
      `${name}: ${(m.brotli / 1000).toFixed(1)} KB brotli of ${m.limit}, ${(m.minified / 1000).toFixed(1)} KB minified`,
    );
    for (const [room, bytes] of [...m.rooms].sort((a, b) => b[1] - a[1]))
      if (bytes) console.log(`  ${room.padEnd(28)} ${(bytes / 1000).toFixed(1).padStart(7)} KB minified`);
    if (m.carried.length) console.log(`  must not be here: ${m.carried.join(", ")}`);
    if (!m.ok) bad = true;
  }
  process.exit(bad ? 1 : 0);
}
