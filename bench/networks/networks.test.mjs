// What is written, read by others: ONNX by ONNX Runtime Web, graph models by TensorFlow.js, TFLite by Minnow;
// and the same answers from all.
//   node --test bench/networks/       (after npm run build, and npm ci in bench/)
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { loadGraphModel } from "@tensorflow/tfjs-converter";
import * as tf from "@tensorflow/tfjs-core";
import { fileURLToPath } from "node:url";
import * as ort from "onnxruntime-web";
import { load } from "../../packages/minnow/dist/index.js";
import { agreement, demand } from "./compare.mjs";
import { channelsFirst, image } from "./images.mjs";
import { describe, network, smallNames } from "./index.mjs";
import { toOnnx } from "./onnx.mjs";
import { Quantisation } from "./quantise.mjs";
import { measure } from "./ranges.mjs";
import { toTfjs } from "./tfjs.mjs";
import { toTflite } from "./tflite.mjs";

ort.env.wasm.numThreads = 1;
setWasmPaths(fileURLToPath(new URL("../node_modules/@tensorflow/tfjs-backend-wasm/dist/", import.meta.url)));
await tf.setBackend("wasm");

/** The answers of ONNX Runtime to `data` (NHWC). */
async function runOnnx(bytes, n, data) {
  const session = await ort.InferenceSession.create(bytes);
  const { shape } = n.input;
  const dims = shape.length === 4 ? [0, 3, 1, 2].map((i) => shape[i]) : shape;
  const results = await session.run({ input: new ort.Tensor("float32", channelsFirst(data, shape), dims) });
  await session.release();
  return n.outputs.map((v) => results[v.name].data);
}

/** The answers of TensorFlow.js. */
async function runTfjs({ "model.json": json, ...shards }, n, data) {
  const { modelTopology, weightsManifest } = JSON.parse(new TextDecoder().decode(json));
  const [{ paths, weights: weightSpecs }] = weightsManifest;
  const weightData = paths.map((p) => shards[p].slice().buffer);
  const model = await loadGraphModel(tf.io.fromMemory({ modelTopology, weightSpecs, weightData }));
  const input = tf.tensor(data, n.input.shape);
  const results = [
    model.execute(
      { input },
      n.outputs.map((v) => v.name),
    ),
  ].flat();
  const answers = results.map((t) => t.dataSync());
  tf.dispose([input, ...results]);
  model.dispose();
  return answers;
}

/** The answers of Minnow. */
async function runTflite(bytes, n, data) {
  const model = await load(bytes);
  const results = await model.run({ input: data });
  await model.dispose();
  return n.outputs.map((v) => results[v.name].data);
}

for (const name of [...smallNames, "mobilenet_v2"])
  test(`${name}: ONNX, TFLite and graph model answer the same`, async () => {
    const n = describe(name);
    const data = image(n.input.shape, 1);
    const answers = await runTflite(toTflite(n), n, data);
    demand(`${name}.onnx`, "float32", await runOnnx(toOnnx(n), n, data), answers);
    demand(`${name}.tfjs`, "float32", await runTfjs(toTfjs(n), n, data), answers);
  });

for (const name of [...smallNames, "mobilenet_v2"])
  test(`${name}: int8 as ONNX and as TFLite answer the same, and nearly as float32`, async () => {
    const n = describe(name);
    const q = new Quantisation(n);
    const data = image(n.input.shape, 100);
    const answers = await runTflite(toTflite(n, q), n, data);
    demand(`${name} QDQ`, "int8", await runOnnx(toOnnx(n, q), n, data), answers);
    demand(`${name} float32`, "int8", await runTflite(toTflite(n), n, data), answers);
  });

test("ranges.json holds what a network's values reach", async () => {
  const name = "resnet8";
  const found = await measure(name);
  const stored = JSON.parse(readFileSync(new URL("ranges.json", import.meta.url), "utf8"))[name];
  assert.deepEqual(Object.keys(stored), Object.keys(found));
  for (const [value, range] of Object.entries(found))
    range.forEach((v, i) =>
      assert.ok(Math.abs(v - stored[value][i]) <= 1e-4 * Math.abs(v), `${value}: ${range}`),
    );
});

test("int8 weights reach 127 in every channel and are within half a step", () => {
  const n = describe("ds_cnn");
  const q = new Quantisation(n);
  for (const layer of n.layers.filter((l) => l.weights)) {
    const { data, scales } = q.weights(layer);
    const channel = {
      conv: (i) => Math.floor(i / (data.length / 64)),
      depthwise: (i) => i % 64,
      dense: () => 0,
    };
    const peaks = new Array(scales.length).fill(0);
    data.forEach((v, i) => {
      const c = channel[layer.op](i);
      peaks[c] = Math.max(peaks[c], Math.abs(v));
      assert.ok(Math.abs(v * scales[c] - layer.weights[i]) <= 0.5001 * scales[c]);
    });
    assert.ok(peaks.every((p) => p === 127));
  }
});

test("a network is the same bytes every time", () => {
  assert.deepEqual(network("ds_cnn").bytes, network("ds_cnn").bytes);
  assert.deepEqual(toTflite(describe("blazeface")), toTflite(describe("blazeface")));
});

test("multiply-adds are those published for MobileNet v1 and v2", () => {
  assert.equal(Math.round(describe("mobilenet_v1").macs / 1e6), 569);
  assert.equal(Math.round(describe("mobilenet_v2").macs / 1e6), 301);
});

test("agreement sees a wrong number, a missing one and another winner", () => {
  assert.deepEqual(agreement([1, 2, 4], [1, 2, 4]), { error: 0, cosine: 1, top1: true, top5: 3 });
  assert.equal(agreement([1, 3, 4], [1, 2, 4]).error, 0.25);
  assert.equal(agreement([5, 2, 4], [1, 2, 4]).top1, false);
  assert.ok(Number.isNaN(agreement([1, Number.NaN, 4], [1, 2, 4]).error));
  assert.throws(() => demand("x", "float32", [[1, Number.NaN]], [[1, 2]]), /answers differ/);
  assert.throws(() => agreement([1], [1, 2]), /not of one network/);
});
