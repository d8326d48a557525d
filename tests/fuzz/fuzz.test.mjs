// A few thousand mutants a reader, the same on every machine; `npm run fuzz` runs more.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzz } from "../../scripts/fuzz.mjs";

for (const reader of ["tflite", "onnx", "minnow", "precompiled"])
  test(`${reader}: 2000 mutants end in an answer or a ModelError within a second`, async () => {
    const r = await fuzz(reader, 2000, 0, 1);
    assert.deepEqual(r.failures, []);
    assert.equal(
      Object.values(r.outcomes).reduce((a, b) => a + b, 0),
      2000,
    );
    assert.ok(r.outcomes.answered > 20, "some mutants must still run");
  });
