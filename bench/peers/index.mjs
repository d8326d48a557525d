// Who is measured, in which package, what each reads and where it runs. An adapter is a module with
//   load({ files, name, threads, assets, options }) → { info, inputs: [{ dtype, shape }], run(arrays) → arrays, memory?() }
// `name` instead of `files`: the path or URL of the one file, for those that read it themselves (byName).
// Each imports its runtime inside load (start-up counts), and works unchanged in Node and in a page where
// the package does. `assets` is where the package's own wasm files lie: a folder in Node, a URL in a page.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const benchDir = fileURLToPath(new URL("..", import.meta.url));
const T = "@tensorflow/";

export const peers = {
  minnow: { title: "Minnow", byName: true, adapter: "minnow.mjs", format: "minnow", hosts: ["node", "page"] },
  "minnow-ready": {
    title: "Minnow, precompiled",
    byName: true,
    adapter: "minnow.mjs",
    format: "minnow",
    precompile: true, // its file brings plan and code
    variant: true,
    hosts: ["node", "page"],
  },
  "minnow-f32": {
    title: "Minnow, float32",
    byName: true,
    adapter: "minnow.mjs",
    format: "minnow",
    float: true, // the float32 network, where others run the int8 one
    variant: true,
    hosts: ["node", "page"],
  },
  "minnow-into": {
    title: "Minnow, outputs given",
    byName: true,
    adapter: "minnow_into.mjs",
    format: "minnow",
    variant: true,
    hosts: ["node", "page"],
  },
  "ort-node": {
    title: "onnxruntime-node",
    byName: true,
    adapter: "ort_node.mjs",
    format: "onnx",
    hosts: ["node"],
    package: "onnxruntime-node",
    native: true, // no engine flag reaches it
  },
  "ort-web": {
    title: "ONNX Runtime Web",
    byName: true,
    adapter: "ort_web.mjs",
    nodeAdapter: "ort_web_node.mjs", // finds its own files
    format: "onnx",
    hosts: ["node", "page"],
    package: "onnxruntime-web",
    assets: "onnxruntime-web/dist/",
  },
  litert: {
    title: "LiteRT.js",
    byName: true,
    adapter: "litert.mjs",
    format: "tflite",
    hosts: ["page"],
    package: "@litertjs/core",
    assets: "@litertjs/core/wasm/",
  },
  tflite: {
    title: "tfjs-tflite",
    adapter: "tflite.mjs",
    format: "tflite",
    hosts: ["page"],
    package: `${T}tfjs-tflite`,
    assets: `${T}tfjs-tflite/wasm/`,
  },
  tfjs: {
    title: "TensorFlow.js",
    adapter: "tfjs.mjs",
    format: "tfjs",
    hosts: ["node", "page"],
    package: `${T}tfjs-backend-wasm`,
    assets: `${T}tfjs-backend-wasm/dist/`,
    nodeThreads: 1, // its wasm backend has no threads in Node
  },
};

/** Who is in a table unless it says otherwise. */
export const everyPeer = Object.keys(peers).filter((p) => !peers[p].variant);

/** The installed version. */
export function version(name) {
  const { package: id } = peers[name];
  const file = id
    ? join(benchDir, "node_modules", id, "package.json")
    : join(benchDir, "../packages/minnow/package.json");
  return JSON.parse(readFileSync(file, "utf8")).version;
}
