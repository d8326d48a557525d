// The golden models of ../shared that this version runs; none where that folder is absent.
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";

export const testdata = resolve("../shared/testdata");

function walk(dir) {
  return readdirSync(dir).flatMap((f) => {
    const p = join(dir, f);
    return statSync(p).isDirectory() ? walk(p) : [p];
  });
}

/** [{ name, path, folder, meta }], paths relative to testdata. */
export function goldens() {
  if (!existsSync(testdata)) return [];
  const files = ["five-networks", "onnx", "tflite"].flatMap((d) => walk(join(testdata, d)));
  const models = files.filter((p) => /\.(tflite|onnx)$/.test(p) && !/lstm|int16x8|dynamic/.test(p));
  return models.flatMap((path) => {
    const folder = join(testdata, "golden", basename(path));
    if (!existsSync(join(folder, "meta.json"))) return [];
    const meta = JSON.parse(readFileSync(join(folder, "meta.json"), "utf8"));
    return [
      {
        name: basename(path),
        path: relative(testdata, path),
        folder: relative(testdata, folder),
        meta,
        dir: dirname(path),
      },
    ];
  });
}
