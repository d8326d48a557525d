// The files of the networks, written once into bench/models/ (which git ignores) and found there afterwards.
// The folder is named by what makes the files: when a description or a writer changes, they are written anew.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, forms } from "./index.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const models = join(here, "../models");
let folder;

/**
 * @typedef {{ path: string, files: string[], macs: number, layout: "nchw" | "nhwc",
 *   input: { name: string, shape: number[] }, outputs: { name: string, shape: number[] }[] }} ModelFiles
 *   `path`: the file to load (of tfjs, model.json; its shards are the other `files`); shapes as `layout` says
 */

/**
 * @param {string} name
 * @param {keyof typeof forms} format
 * @returns {ModelFiles}
 */
export function modelFiles(name, format) {
  folder ??= freshFolder();
  const facts = join(folder, `${name}.${format}.json`);
  if (!existsSync(facts)) write(name, format, facts);
  const { files, ...rest } = JSON.parse(readFileSync(facts, "utf8"));
  const paths = files.map((f) => join(folder, f));
  return { path: paths[0], files: paths, ...rest };
}

function write(name, format, facts) {
  const n = describe(name);
  const files = forms[format](n);
  for (const [file, bytes] of Object.entries(files)) put(join(folder, file), bytes);
  const layout = format.endsWith("onnx") ? "nchw" : "nhwc";
  const port = ({ name, shape }) => ({
    name,
    shape: layout === "nchw" && shape.length === 4 ? [0, 3, 1, 2].map((i) => shape[i]) : shape,
  });
  const about = { macs: n.macs, layout, input: port(n.input), outputs: n.outputs.map(port) };
  put(facts, JSON.stringify({ files: Object.keys(files), ...about }));
}

/** Whole or not at all, as another process may look for it. */
function put(path, data) {
  mkdirSync(dirname(path), { recursive: true });
  const part = `${path}.${process.pid}`;
  writeFileSync(part, data);
  renameSync(part, path);
}

function freshFolder() {
  const hash = createHash("sha256");
  for (const file of readdirSync(here).sort())
    if (!file.endsWith(".test.mjs")) hash.update(file).update(readFileSync(join(here, file)));
  const wanted = hash.digest("hex").slice(0, 12);
  const path = join(models, wanted);
  mkdirSync(path, { recursive: true });
  for (const other of readdirSync(models))
    if (other !== wanted) rmSync(join(models, other), { recursive: true, force: true });
  return path;
}
