// Some thousand damaged TFLite and .minnow files: each ends in a Graph or a ModelError, quickly. Longer
// runs of the same are the fuzz command's.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ModelError } from "../../error.js";
import { parse } from "../../graph/text.js";
import { readMinnow } from "../minnow/reader.js";
import { writeMinnow } from "../minnow/writer.js";
import { mutate, seededRng } from "../mutate.js";
import { readBytes, shared } from "../testdata.test.helper.js";
import { buildTflite } from "./build.test.helper.js";
import { readTflite } from "./reader.js";

const limit = 3000; // ms a mutant, on a machine that is busy with other tests too

function survive(
  read: (b: Uint8Array) => unknown,
  source: Uint8Array,
  seeds: number,
): { read: number; refused: number } {
  const count = { read: 0, refused: 0 };
  for (let seed = 0; seed < seeds; seed++) {
    const mutant = mutate(source, seededRng(seed));
    const start = process.cpuUsage(); // not the clock: other processes share the machine
    try {
      read(mutant);
      count.read++;
    } catch (e) {
      if (!(e instanceof ModelError)) throw new Error(`seed ${seed}: ${e}`, { cause: e });
      count.refused++;
    }
    const ms = process.cpuUsage(start).user / 1000;
    assert.ok(ms < limit, `seed ${seed} took ${ms} ms`);
  }
  return count;
}

/** Convolution, fused activation, pads, reshape and a custom operator in one small file. */
function model(): Uint8Array {
  const q = { scale: [0.5], zeroPoint: [3] };
  return buildTflite({
    tensors: [
      { name: "x", type: "INT8", shape: [1, 4, 4, 2], signature: [-1, 4, 4, 2], quant: q },
      {
        name: "w",
        type: "INT8",
        shape: [1, 3, 3, 2],
        data: new Int8Array(18),
        quant: { scale: [0.1, 0.2], axis: 3 },
      },
      { name: "b", type: "INT32", shape: [2], data: new Int32Array(2), quant: { scale: [0.05, 0.1] } },
      { name: "c", type: "INT8", shape: [1, 4, 4, 2], quant: q },
      { name: "pads", type: "INT32", shape: [4, 2], data: Int32Array.of(0, 0, 1, 1, 1, 1, 0, 0) },
      { name: "p", type: "INT8", shape: [1, 6, 6, 2], quant: q },
      { name: "r", type: "INT8", shape: [1, 72], quant: q },
      { name: "y", type: "FLOAT32", shape: [1, 72] },
    ],
    ops: [
      {
        op: "DEPTHWISE_CONV_2D",
        inputs: [0, 1, 2],
        outputs: [3],
        options: { 1: { i32: 1 }, 2: { i32: 1 }, 3: { i32: 1 }, 4: { i8: 1 } },
      },
      { op: "PAD", inputs: [3, 4], outputs: [5] },
      { op: "RESHAPE", inputs: [5], outputs: [6], options: { 0: { i32s: [-1, 72] } } },
      { op: "DEQUANTIZE", inputs: [6], outputs: [7] },
    ],
    inputs: [0],
    outputs: [7],
  });
}

test("the model itself reads", () => assert.equal(readTflite(model()).nodes.length, 5));

test("damaged TFLite files", () => {
  const { read, refused } = survive(readTflite, model(), 4000);
  assert.ok(read > 200 && refused > 1000, `${read} read, ${refused} refused`);
});

test("damaged .minnow files", () => {
  const source = writeMinnow(readTflite(model()));
  const { read, refused } = survive(readMinnow, source, 3000);
  assert.ok(read > 200 && refused > 1000, `${read} read, ${refused} refused`);
});

test("damaged .minnow files with graphs in graphs", () => {
  const g = parse(`graph g(%x: float32[N]) -> (%y) {
    %y: float32[N] = If(%x)
      graph a(%q: float32[N]) -> (%s) {
        %s: float32[N] = If(%q)
          graph b() -> (%x) { }
      }
  }`);
  survive(readMinnow, writeMinnow(g), 3000);
});

for (const path of [
  "tflite/hello_world_int8.tflite",
  "tflite-features/models/mlp_sparse_random_f32.tflite",
  "tflite-features/models/ssd_detection_postprocess_custom.tflite",
]) {
  const file = shared(path);
  test(`damaged ${path}`, { skip: file ? false : "shared test data is not here" }, () => {
    survive(readTflite, readBytes(file as string), 1000);
  });
}
