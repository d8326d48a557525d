// Small models that the fuzzer damages, by reader: from npm packages, made here, and, where it is there,
// from ../shared.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { convert } from "minnow";
import { digits } from "../browser/digits.mjs";

const shared = "../shared/testdata";
function sharedFiles(folder, pattern, most) {
  const dir = join(shared, folder);
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((f) => pattern.test(f))
    .map((f) => join(dir, f))
    .map((f) => new Uint8Array(readFileSync(f)))
    .filter((b) => b.length <= most);
}

export async function corpus(reader) {
  if (reader === "tflite")
    return [
      new Uint8Array(
        readFileSync("node_modules/@mediapipe/face_detection/face_detection_short_range.tflite"),
      ),
      ...sharedFiles("tflite", /\.tflite$/, 60000),
      ...sharedFiles("tflite/mlperf-tiny", /\.tflite$/, 60000),
      ...sharedFiles("tflite-features/models", /\.tflite$/, 20000),
    ];
  if (reader === "onnx")
    return [
      digits(),
      ...sharedFiles("onnx", /mnist\.onnx$/, 60000),
      ...sharedFiles("op-level/onnx-light", /\.onnx$/, 60000),
    ];
  const sources = [...(await corpus("tflite")), ...(await corpus("onnx"))];
  const precompile = reader === "precompiled" && ["baseline"];
  const made = [];
  for (const s of sources) {
    try {
      let brought = 0;
      const onEvent = (e) => {
        if (e.type === "precompile") brought = e.bytes;
      };
      const file = await convert(s, { precompile, onEvent });
      if (!precompile || brought) made.push(file);
    } catch {
      // a model this version cannot read
    }
  }
  return made.filter((b) => b.length <= 60000 || made.length === 1);
}
