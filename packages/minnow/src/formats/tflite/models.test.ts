// Published TFLite models: each reads into a graph whose outputs have the shapes and types that other
// runtimes gave (the goldens), or says why it cannot run. And back through a .minnow file.
import assert from "node:assert/strict";
import { basename } from "node:path";
import { test } from "node:test";
import { ModelError } from "../../error.js";
import type { Graph } from "../../graph/graph.js";
import { print } from "../../graph/text.js";
import { readMinnow } from "../minnow/reader.js";
import { writeMinnow } from "../minnow/writer.js";
import { needs, readBytes, shared, sharedFiles } from "../testdata.test.helper.js";
import { readTflite } from "./reader.js";

/** What must be named where a model cannot run. */
const refused: Record<string, [op: string, reason: RegExp]> = {
  "mobilenet_v2_1.0_224_dynamic.tflite": ["CONV_2D", /dynamic-range quantisation: int8 weights/],
  "squeezenet_1.0_224_dynamic.tflite": ["CONV_2D", /dynamic-range quantisation: int8 weights/],
  "mobilenet_v2_1.0_224_int16x8.tflite": ["CONV_2D", /int16/],
  "keras_lstm_mnist_ptq.tflite": ["UNIDIRECTIONAL_SEQUENCE_LSTM", /int8|int16/],
};

interface Golden {
  inputs: { name: string; shape: number[]; dtype?: string; dt?: string }[];
  outputs: { name: string; shape: number[]; dtype?: string; dt?: string }[];
}

function golden(path: string): Golden | undefined {
  const meta = shared(`golden/${basename(path)}/meta.json`);
  return meta ? (JSON.parse(new TextDecoder().decode(readBytes(meta))) as Golden) : undefined;
}

/** Inputs and outputs have the golden's names, types and shapes; an open dimension is 1 there. */
function checkPorts(g: Graph, want: Golden): void {
  for (const [have, list] of [
    [g.inputs, want.inputs],
    [g.outputs, want.outputs],
  ] as const)
    for (const p of list) {
      const t = have.find((x) => x.name === p.name) ?? assert.fail(`no tensor ${p.name}`);
      assert.equal(t.dtype, p.dtype ?? p.dt);
      assert.deepEqual(
        t.shape.map((d) => (typeof d === "string" ? 1 : d)),
        p.shape,
      );
    }
}

for (const folder of ["five-networks", "tflite"])
  test(`every model of ${folder}/`, needs(folder), () => {
    for (const path of sharedFiles(folder, ".tflite")) {
      const why = refused[basename(path)];
      if (why) {
        assert.throws(
          () => readTflite(readBytes(path)),
          (e) =>
            e instanceof ModelError &&
            e.code === "unsupported" &&
            e.problems?.some((p) => p.op === why[0] && why[1].test(p.reason)) === true,
          path,
        );
        continue;
      }
      const g = readTflite(readBytes(path));
      const want = golden(path);
      if (want) checkPorts(g, want);
      const again = readMinnow(writeMinnow(g));
      assert.equal(print(again), print(g), path);
      assert.deepEqual(again.meta, g.meta);
    }
  });

test("labels and normalisation from the file's metadata", needs("tflite"), () => {
  const find = (name: string): Graph => {
    const path = [...sharedFiles("five-networks", ".tflite"), ...sharedFiles("tflite", ".tflite")].find(
      (p) => basename(p) === name,
    );
    return readTflite(readBytes(path ?? assert.fail(name)));
  };
  const classifier = find("tf2_mobilenet_v2_1.0_224_ptq.tflite");
  assert.deepEqual(classifier.meta.normalization, { input: { mean: [127.5], std: [127.5] } });
  const labels = classifier.meta.labels?.Identity ?? [];
  assert.deepEqual(
    [labels.length, labels[0], labels[286], labels.at(-1)],
    [1001, "background", "Egyptian cat", "toilet tissue, toilet paper, bathroom tissue"],
  );
  assert.deepEqual(find("hello_world_float.tflite").meta.signatures, {
    serving_default: {
      inputs: { dense_input: "serving_default_dense_input:0" },
      outputs: { dense_2: "StatefulPartitionedCall:0" },
    },
  });
});

test("one-operator models of other projects read, or name their operator", needs("op-level"), () => {
  const unsupported = new Map<string, string>();
  for (const folder of ["op-level/mindspore-tflite-parser", "op-level/tflite2onnx", "tflite-features/models"])
    for (const path of sharedFiles(folder, ".tflite"))
      try {
        readTflite(readBytes(path));
      } catch (e) {
        assert.ok(e instanceof ModelError, `${path}: ${e}`);
        if (e.code !== "unsupported")
          assert.equal(basename(path), "deconv.tflite", e.message); // TFLite refuses it too
        else unsupported.set(basename(path), [...new Set(e.problems?.map((p) => p.op) ?? [e.op])].join());
      }
  for (const name of ["unique.tflite", "reverse_sequence.tflite", "sparse_to_dense.tflite"])
    assert.equal(`${unsupported.get(name)?.toLowerCase()}.tflite`, name);
  for (const [name, ops] of unsupported) assert.ok(ops.length > 1, name);
});
