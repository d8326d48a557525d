// The golden models of ../shared through the built library, by the acceptance script that lies there.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";

const script = "../shared/tools/accept.mjs";
const only = ["--only", "five-networks/,/onnx/,/tflite/"];
const run = (...args) =>
  spawnSync(process.execPath, [script, "../shared/testdata", ...args, "--json"], { encoding: "utf8" });
const skip = existsSync(script) ? false : "../shared is absent";

test("every golden model within this version's reach agrees", { skip }, () => {
  const { status, stdout, stderr } = run(...only, "--skip", "caffemodel,lstm,int16x8,dynamic");
  const rows = JSON.parse(stdout || "[]");
  assert.deepEqual(
    rows.filter((r) => !r.ok).map((r) => `${r.file}: ${r.said}`),
    [],
    stderr,
  );
  assert.ok(rows.length >= 42, `${rows.length} models`);
  assert.equal(status, 0);
});

test("what is out of reach says which operator or type is missing", { skip }, () => {
  const rows = JSON.parse(
    run("--only", "tflite/trained_lstm,tflite/keras_lstm,224_int16x8,224_dynamic").stdout,
  );
  assert.ok(rows.length >= 4, `${rows.length} models`);
  for (const r of rows) {
    if (r.ok) continue;
    assert.match(r.said, /^unsupported: /, r.file);
    assert.match(r.said, /LSTM|int16|int8 weights|dynamic/i, r.file);
  }
});
