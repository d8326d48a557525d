// The files of a network for each peer. Networks are written from one description (../networks), so every
// peer computes with the same weights; Minnow's file is converted from one of the others, each time anew.
// A model is named NETWORK or NETWORK:int8.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { convert } from "../../packages/minnow/dist/index.js";
import { forms } from "../networks/index.mjs";
import { modelFiles } from "../networks/models.mjs";
import { benchDir } from "../peers/index.mjs";

/**
 * @param {string} model
 * @param {{ format: string, float?: boolean, precompile?: boolean }} peer
 * @returns {Promise<{ paths: string[], type: "float32" | "int8" } | null>}
 *   null where the network does not exist in this format
 */
export async function filesFor(model, { format, float, precompile = false }) {
  const [name, kind] = model.split(":");
  const type = kind === "int8" && !float ? "int8" : "float32";
  const prefix = type === "int8" ? "int8." : "";
  const source = format === "minnow" ? `${prefix}tflite` : prefix + format;
  if (!forms[source]) return null;
  const { files } = modelFiles(name, source);
  if (format !== "minnow") return { paths: files, type };
  const path = join(benchDir, "out", `${name}.${prefix}${precompile ? "ready." : ""}minnow`);
  mkdirSync(join(benchDir, "out"), { recursive: true });
  writeFileSync(path, await convert(new Uint8Array(readFileSync(files[0])), { precompile }));
  return { paths: [path], type };
}
