import assert from "node:assert/strict";
import { test } from "node:test";
import { difference } from "./difference.js";

const tolerance = { relative: 1e-4, absolute: 1e-5 };
const int8 = (data: number[], scale?: number) => ({
  data,
  shape: [data.length],
  dtype: "int8" as const,
  ...(scale && { quantization: { scale: [scale], zeroPoint: [-128], axis: 0 } }),
});

test("stored numbers compare as they are where one side has no scale", () => {
  assert.equal(difference(int8([-128, 5], 1 / 256), int8([-128, 5]), tolerance).ok, true);
  assert.equal(difference(int8([-128, 5]), int8([-128, 9], 1 / 256), tolerance).ok, false);
});

test("numbers of different scales compare by what they mean", () => {
  assert.equal(difference(int8([-128, -126], 0.5), int8([-128, -127], 1), tolerance).ok, true);
  assert.equal(difference(int8([-128, -126], 0.5), int8([-128, -126], 1), tolerance).ok, false);
});
