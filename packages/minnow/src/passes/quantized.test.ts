import { test } from "node:test";
import { checkPass, checkUnchanged } from "./check.test.helper.js";
import { quantizeOperators } from "./quantize_operators.js";
import { quantizePairs } from "./quantize_pairs.js";

test("quantise after dequantise", () => {
  checkPass(
    quantizePairs,
    `graph g(%x: int8[4] q(0.5, 3)) -> (%y, %z) {
      %a: float32[4] = Dequantize(%x)
      %b: int8[4] q(0.5, 3) = Quantize(%a) {to: "int8"}
      %y: int8[4] q(0.5, 3) = Neg(%b)
      %z: uint8[4] q(0.25, 0) = Quantize(%a) {to: "uint8"}
    }`,
    `graph g(%x: int8[4] q(0.5, 3)) -> (%y, %z) {
      %a: float32[4] = Dequantize(%x)
      %y: int8[4] q(0.5, 3) = Neg(%x)
      %z: uint8[4] q(0.25, 0) = Quantize(%x) {to: "uint8"}
    }`,
  );
});

test("bounds that the type implies go", () => {
  checkPass(
    quantizePairs,
    `graph g(%x: int8[4] q(0.0235294, -128)) -> (%y) {
      %a: int8[4] q(0.0235294, -128) = Clip(%x) {min: 0, max: 6}
      %b: int8[4] q(0.0235294, -128) = Relu(%a)
      %y: int8[4] q(0.0235294, -128) = Neg(%b)
    }`,
    `graph g(%x: int8[4] q(0.0235294, -128)) -> (%y) {
      %y: int8[4] q(0.0235294, -128) = Neg(%x)
    }`,
  );
  checkUnchanged(
    quantizePairs,
    `graph g(%x: int8[4] q(0.0235294, -127), %z: uint8[4] q(0.03, 0)) -> (%y, %w, %v) {
      %y: int8[4] q(0.0235294, -127) = Relu(%x)
      %w: uint8[4] q(0.03, 0) = Clip(%z) {min: 0, max: 6}
      %v: uint8[4] q(0.04, 0) = Relu(%z)
    }`,
  );
});

test("a convolution between conversions becomes quantised", () => {
  checkPass(
    quantizeOperators,
    `graph g(%x: uint8[1, 3, 3, 1] q(0.5, 3)) -> (%y) {
      const %w: int8[2, 1, 1, 1] q([0.1, 0.2], [0, 0], 0) = [5, -7]
      const %b: int32[2] q([0.05, 0.1], [0, 0], 0) = [10, -20]
      %x32: float32[1, 3, 3, 1] = Dequantize(%x)
      %w32: float32[2, 1, 1, 1] = Dequantize(%w)
      %b32: float32[2] = Dequantize(%b)
      %c: float32[1, 3, 3, 2] = Conv2D(%x32, %w32, %b32)
      %r: float32[1, 3, 3, 2] = Relu(%c)
      %y: uint8[1, 3, 3, 2] q(0.25, 10) = Quantize(%r) {to: "uint8"}
    }`,
    `graph g(%x: uint8[1, 3, 3, 1] q(0.5, 3)) -> (%y) {
      const %w: int8[2, 1, 1, 1] q([0.1, 0.2], [0, 0], 0) = [5, -7]
      const %b: int32[2] q([0.05, 0.1], [0, 0], 0) = [10, -20]
      %x32: float32[1, 3, 3, 1] = Dequantize(%x)
      %w32: float32[2, 1, 1, 1] = Dequantize(%w)
      %b32: float32[2] = Dequantize(%b)
      %c: uint8[1, 3, 3, 2] q(0.25, 10) = Conv2D(%x, %w, %b)
      %y: uint8[1, 3, 3, 2] q(0.25, 10) = Relu(%c)
    }`,
    { tolerance: 0.01 },
  );
});

test("additions, movements; a real operand keeps the real operator", () => {
  checkPass(
    quantizeOperators,
    `graph g(%x: int8[4] q(0.5, 3), %z: int8[4] q(0.25, 0)) -> (%y, %w) {
      %a: float32[4] = Dequantize(%x)
      %b: float32[4] = Dequantize(%z)
      %c: float32[4] = Add(%a, %b)
      %y: int8[4] q(1, 0) = Quantize(%c) {to: "int8"}
      %d: float32[2, 2] = Reshape(%a) {shape: [2, 2]}
      %w: int8[2, 2] q(0.5, 3) = Quantize(%d) {to: "int8"}
    }`,
    `graph g(%x: int8[4] q(0.5, 3), %z: int8[4] q(0.25, 0)) -> (%y, %w) {
      %a: float32[4] = Dequantize(%x)
      %b: float32[4] = Dequantize(%z)
      %y: int8[4] q(1, 0) = Add(%x, %z)
      %w: int8[2, 2] q(0.5, 3) = Reshape(%x) {shape: [2, 2]}
    }`,
  );
  checkUnchanged(
    quantizeOperators,
    `graph g(%x: int8[4] q(0.5, 3), %z: float32[4]) -> (%y, %w) {
      %a: float32[4] = Dequantize(%x)
      %c: float32[4] = Add(%a, %z)
      %y: int8[4] q(1, 0) = Quantize(%c) {to: "int8"}
      %d: float32[2, 2] = Reshape(%a) {shape: [2, 2]}
      %w: int8[2, 2] q(0.25, 3) = Quantize(%d) {to: "int8"}
    }`,
  );
});
