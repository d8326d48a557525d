// The files of a network in the format of each peer, in out/models. Each network is written from one
// description (../networks), so every peer computes with the same weights; Minnow's file is converted.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { convert } from "../../packages/minnow/dist/index.js";
import { describe, forms } from "../networks/index.mjs";
import { benchDir } from "../peers/index.mjs";

const dir = join(benchDir, "out/models");
const made = new Map();

/** @returns {Promise<{ paths: string[], type: "float32" | "int8" } | null>} null where the network does not exist in this format */
export function modelFiles(name, format) {
  const key = `${name}.${format}`;
  if (!made.has(key)) made.set(key, make(name, format));
  return made.get(key);
}

async function make(name, format) {
  if (format === "minnow") {
    const source = await modelFiles(name, "onnx");
    const bytes = await convert(new Uint8Array(readFileSync(source.paths[0])));
    return { ...source, paths: [write(`${name}.minnow`, bytes)] };
  }
  if (!forms[format]) return null;
  const files = Object.entries(forms[format](describe(name)));
  return { type: "float32", paths: files.map(([path, bytes]) => write(path, bytes)) };
}

function write(name, bytes) {
  const path = join(dir, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
  return path;
}
