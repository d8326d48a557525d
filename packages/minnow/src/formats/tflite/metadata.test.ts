// Normalisation, labels and signatures of files made here, and damage to them, which must not stop a model.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Builder } from "flatbuffers";
import { mutate, seededRng } from "../mutate.js";
import { buildTflite, type Fields, table } from "./build.test.helper.js";
import { readTflite } from "./reader.js";

/** ModelMetadata with one input (mean, std) and one output (a label file); slots as in metadata.ts. */
function metadata(): Uint8Array {
  const normalization: Fields = { 0: { i8: 1 }, 1: { table: { 0: { f32s: [127.5] }, 1: { f32s: [0.5] } } } };
  const labels: Fields = { 0: { text: "labels.txt" }, 2: { i8: 2 } };
  const subgraph: Fields = {
    2: { tables: [{ 4: { tables: [normalization] } }] },
    3: { tables: [{ 6: { tables: [labels] } }] },
  };
  const b = new Builder(256);
  b.finish(table(b, { 0: { text: "name" }, 1: { text: "sees cats" }, 3: { tables: [subgraph] } }), "M001");
  return b.asUint8Array().slice();
}

const signature: Fields = {
  0: { tables: [{ 0: { text: "image" }, 1: { i32: 0 } }] },
  1: { tables: [{ 0: { text: "scores" }, 1: { i32: 1 } }] },
  2: { text: "serve" },
};

/** One stored file, offsets counted from the archive's start. */
function zip(name: string, content: string): Uint8Array {
  const [n, data] = [new TextEncoder().encode(name), new TextEncoder().encode(content)];
  const out = new Uint8Array(30 + n.length + data.length + 46 + n.length + 22);
  const view = new DataView(out.buffer);
  const directory = 30 + n.length + data.length;
  const entry = (at: number, mark: number, shift: number) => {
    view.setUint32(at, mark, true);
    view.setUint32(at + 18 + shift, data.length, true);
    view.setUint32(at + 22 + shift, data.length, true);
    view.setUint16(at + 26 + shift, n.length, true);
  };
  entry(0, 0x04034b50, 0);
  out.set(n, 30);
  out.set(data, 30 + n.length);
  entry(directory, 0x02014b50, 2);
  out.set(n, directory + 46);
  const end = directory + 46 + n.length;
  view.setUint32(end, 0x06054b50, true);
  view.setUint16(end + 10, 1, true);
  view.setUint32(end + 12, end - directory, true);
  view.setUint32(end + 16, directory, true);
  return out;
}

function file(meta: Uint8Array, archive: Uint8Array): Uint8Array {
  const model = buildTflite({
    tensors: [
      { name: "x", type: "FLOAT32", shape: [2] },
      { name: "y", type: "FLOAT32", shape: [2] },
    ],
    ops: [{ op: "ABS", inputs: [0], outputs: [1] }],
    inputs: [0],
    outputs: [1],
    metadata: meta,
    signatures: [signature],
  });
  const out = new Uint8Array(model.length + archive.length);
  out.set(model);
  out.set(archive, model.length);
  return out;
}

test("all of it", () => {
  assert.deepEqual(readTflite(file(metadata(), zip("labels.txt", "cat\r\ndog\n"))).meta, {
    format: "tflite",
    layout: "NHWC",
    producer: "built by a test",
    description: "sees cats",
    normalization: { x: { mean: [127.5], std: [0.5] } },
    labels: { y: ["cat", "dog"] },
    signatures: { serve: { inputs: { image: "x" }, outputs: { scores: "y" } } },
  });
});

test("damaged metadata or archives leave the model readable", () => {
  for (let i = 0; i < 500; i++) {
    const meta = mutate(metadata(), seededRng(i));
    assert.equal(readTflite(file(meta, zip("labels.txt", "cat"))).nodes.length, 1);
    assert.equal(
      readTflite(file(metadata(), mutate(zip("labels.txt", "cat"), seededRng(i)))).nodes.length,
      1,
    );
  }
});
