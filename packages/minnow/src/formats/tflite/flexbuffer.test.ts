// FlexBuffer maps against Google's encoder, and against damage.
import assert from "node:assert/strict";
import { test } from "node:test";
import { encode } from "flatbuffers/mjs/flexbuffers.js";
import { ModelError } from "../../error.js";
import { mutate, seededRng } from "../mutate.js";
import { readFlexMap } from "./flexbuffer.js";

const options = {
  max_detections: 10,
  use_regular_nms: true,
  nms_iou_threshold: 0.6000000238418579,
  y_scale: 10.5,
  large: 70000,
  minus: -3,
};

test("scalars of a map", () => {
  assert.deepEqual(Object.fromEntries(readFlexMap(encode(options))), { ...options, use_regular_nms: 1 });
  for (const other of [
    { a: 1, b: -1 },
    { a: 300, b: -300 },
    { a: 0.1, b: -5_000_000_000, c: 1e-300 },
  ])
    assert.deepEqual(Object.fromEntries(readFlexMap(encode(other))), other);
});

test("texts, lists and maps inside are left out", () => {
  const map = readFlexMap(encode({ a: 1, text: "x", list: [1, 2], inner: { b: 2 }, nothing: null }));
  assert.deepEqual([...map], [["a", 1]]);
});

test("damage is an error or another map, never anything else", () => {
  const bytes = encode(options);
  const read = (b: Uint8Array) => {
    try {
      readFlexMap(b);
    } catch (e) {
      assert.ok(e instanceof ModelError && e.code === "bad_file", String(e));
    }
  };
  for (let n = 0; n < bytes.length; n++) read(bytes.slice(n));
  for (let i = 0; i < 5000; i++) read(mutate(bytes, seededRng(i)));
  assert.throws(() => readFlexMap(encode([1, 2, 3])), ModelError);
});
