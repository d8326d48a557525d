// The files of a network for each peer. Networks are written from one description (../networks), so every
// peer computes with the same weights; Minnow's file is converted from one of the others, each time anew.
// A model is named NETWORK or NETWORK:int8.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { convert, load } from "../../packages/minnow/dist/index.js";
import { forms } from "../networks/index.mjs";
import { modelFiles } from "../networks/models.mjs";
import { benchDir } from "../peers/index.mjs";

/** TFLite models take and give integers, ONNX ones of the same numbers real ones. */
const quantised = new Map();

/**
 * @param {string} model
 * @param {{ format: string, float?: boolean }} peer
 * @returns {Promise<{ paths: string[], type: "float32" | "int8", input?: object, outputs?: object[] } | null>}
 *   null where the network does not exist in this format
 */
export async function filesFor(model, { format, float }) {
  const [name, kind] = model.split(":");
  const type = kind === "int8" && !float ? "int8" : "float32";
  const prefix = type === "int8" ? "int8." : "";
  const source = format === "minnow" ? `${prefix}tflite` : prefix + format;
  if (!forms[source]) return null;
  const { files } = modelFiles(name, source);
  const scales = source === "int8.tflite" ? await quantisation(model, files[0]) : {};
  if (format !== "minnow") return { paths: files, type, ...scales };
  const path = join(benchDir, "out", `${name}.${prefix}minnow`);
  mkdirSync(join(benchDir, "out"), { recursive: true });
  writeFileSync(path, await convert(new Uint8Array(readFileSync(files[0]))));
  return { paths: [path], type, ...scales };
}

/** Scale and zero point of a quantised model's input and outputs, as Minnow reads them. */
async function quantisation(model, path) {
  if (!quantised.has(model)) {
    const m = await load(new Uint8Array(readFileSync(path)));
    const of = ({ quantization: q }) => q && { scale: q.scale[0], zero: q.zeroPoint[0] };
    quantised.set(model, { input: { quantization: of(m.inputs[0]) }, outputs: m.outputs.map(of) });
    await m.dispose();
  }
  return quantised.get(model);
}
