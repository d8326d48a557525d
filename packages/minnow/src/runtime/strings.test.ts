// Text goes in and comes out; what a model does with it in between is moving and comparing.
import assert from "node:assert/strict";
import { test } from "node:test";
import { modelBytes } from "../formats/onnx/model.test.helper.js";
import { convert, load, ModelError } from "../index.js";

/** label = labels[index]; same = text == label; answer = same ? text : "other". */
const labels = modelBytes({
  nodes: [
    { op: "Gather", inputs: ["labels", "index"], outputs: ["label"] },
    { op: "Equal", inputs: ["text", "label"], outputs: ["same"] },
    { op: "Where", inputs: ["same", "text", "other"], outputs: ["answer"] },
  ],
  inputs: [
    { name: "index", type: 7, shape: ["n"] },
    { name: "text", type: 8, shape: ["n"] },
  ],
  outputs: [
    { name: "label", type: 8, shape: ["n"] },
    { name: "same", type: 9, shape: ["n"] },
    { name: "answer", type: 8, shape: ["n"] },
  ],
  initializers: [
    { name: "labels", type: 8, dims: [3], strings: ["cat", "dog", "Wal"] },
    { name: "other", type: 8, dims: [], strings: ["other"] },
  ],
  opset: 19,
});

for (const device of ["cpu", "reference"] as const)
  test(`text in and out on ${device}`, async () => {
    for (const file of [labels, await convert(labels)]) {
      await using model = await load(file, { device });
      assert.deepEqual(
        model.inputs.map((t) => t.dtype),
        ["int64", "string"],
      );
      for (let round = 0; round < 3; round++) {
        const own = `a text of round ${round}`;
        const { label, same, answer } = await model.run({
          index: [2, 0, 1, 0],
          text: ["Wal", own, "", "cat"],
        });
        assert.deepEqual(label?.data, ["Wal", "cat", "dog", "cat"]);
        assert.deepEqual(Array.from(same?.data as Uint8Array), [1, 0, 0, 1]);
        assert.deepEqual(answer?.data, ["Wal", "other", "other", "cat"]);
        assert.equal(answer?.dtype, "string");
      }
      const into = ["", ""];
      await model.run({ index: [1, 1], text: ["dog", "x"] }, { into: { answer: into } });
      assert.deepEqual(into, ["dog", "other"]);
      await assert.rejects(model.run({ index: [0], text: [1] as never }), /a number among strings/);
    }
  });

const skip = import.meta.url.endsWith(".js") ? false : "runs on the build, not on the sources";

test("text in a worker", { skip }, async () => {
  await using model = await load(labels, { worker: true });
  const { answer } = await model.run({ index: [0], text: ["cat"] });
  assert.deepEqual(answer?.data, ["cat"]);
});

test("operators that read text are named", async () => {
  const less = modelBytes({
    nodes: [{ op: "Less", name: "first", inputs: ["a", "a"], outputs: ["y"] }],
    inputs: [{ name: "a", type: 8, shape: [2] }],
    outputs: [{ name: "y", type: 9, shape: [2] }],
  });
  await assert.rejects(load(less), (e: unknown) => {
    assert.ok(e instanceof ModelError);
    assert.equal(e.code, "unsupported");
    assert.match(e.message, /Less "first" works on text/);
    return true;
  });
});
