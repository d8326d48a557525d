// What report() says of integer products.
import assert from "node:assert/strict";
import { test } from "node:test";
import { integerNotes } from "./integer_notes.js";

test("integer products say why they run as they do", () => {
  assert.deepEqual(integerNotes(["f32_igemm_4x8", "f32_winograd_4x4_3x3_6x8", "nest"], "relaxed"), []);
  assert.deepEqual(integerNotes(["u8_gemm_4x8", "s8_dw_3x3s1x1_1x4"], "relaxed"), []);
  const labels = ["i16_gemm_4x8", "i16_igemm_4x8", "u8_gemm_4x8"];
  const [products, windows] = integerNotes(labels, "relaxed");
  assert.match(products ?? "", /^2 of 3 integer products by 16 bits: sums of two .* may overflow$/);
  assert.match(windows ?? "", /^1 integer convolutions larger than a point: .*Winograd/);
  assert.match(integerNotes(["i16_gemm_4x8"], "sdot")[0] ?? "", /groups, or weights/);
  assert.match(integerNotes(["i16_gemm_4x8"], "i16")[0] ?? "", /no 8-bit dot product that is exact/);
});
