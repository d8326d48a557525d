// What moves before a reshape, what stays behind it, and that the answers are the reference's.
import { test } from "node:test";
import { check, weights } from "./compile.test.helper.js";

/** A dense layer of 6 × 8, seen as 2 × 3 × 8, and what follows. */
const dense = (body: string, outputs = "%y", inputs = ""): string =>
  `graph main(%x: float32[6, 5]${inputs}) -> (${outputs}) {
    ${weights("w", [8, 5])}
    ${weights("b", [8])}
    const %half: float32[] = [0.5]
    %d: float32[6, 8] = Dense(%x, %w, %b)
    %r: float32[2, 3, 8] = Reshape(%d) {shape: [2, 3, 8]}
    ${body}
  }`;

test("a chain with a value of two readers becomes the epilogue of the product before the reshape", () =>
  check(
    dense(`%t: float32[2, 3, 8] = Tanh(%r)
      %s: float32[2, 3, 8] = Mul(%r, %half)
      %y: float32[2, 3, 8] = Mul(%s, %t)`),
    ["dense+Tanh+Mul+Mul"],
    { epilogue: 1, "reshape without copy": 1 },
  ));

test("so do channels and a residual of the reshape's own shape; a product after another reshape reads the result", () =>
  check(
    dense(
      `${weights("c", [8])}
      ${weights("v", [4, 8])}
      %m: float32[2, 3, 8] = Mul(%r, %c)
      %y: float32[2, 3, 8] = Add(%z, %m)
      %f: float32[6, 8] = Reshape(%y) {shape: [6, 8]}
      %g: float32[6, 4] = Dense(%f, %v)`,
      "%y, %g",
      ", %z: float32[2, 3, 8]",
    ),
    ["dense+Mul+Add", "dense"],
    { epilogue: 1 },
  ));

test("through two reshapes, and from a product of computed tensors", () =>
  check(
    `graph main(%a: float32[2, 3, 4], %b: float32[2, 4, 8]) -> (%y) {
      %p: float32[2, 3, 8] = MatMul(%a, %b)
      %q: float32[6, 8] = Reshape(%p) {shape: [6, 8]}
      %s: float32[6, 8] = Relu(%q)
      %t: float32[1, 6, 8] = Reshape(%s) {shape: [1, 6, 8]}
      %y: float32[1, 6, 8] = Neg(%t)
    }`,
    ["matmul+Relu+Neg"],
    { epilogue: 2 },
  ));

test("a table of positions is added by the convolution that makes the patches", () =>
  check(
    `graph main(%x: float32[1, 6, 4, 3]) -> (%y) {
      ${weights("w", [8, 2, 2, 3])}
      ${weights("at", [1, 6, 8])}
      %c: float32[1, 3, 2, 8] = Conv2D(%x, %w) {strides: [2, 2]}
      %r: float32[1, 6, 8] = Reshape(%c) {shape: [1, 6, 8]}
      %y: float32[1, 6, 8] = Add(%r, %at)
    }`,
    ["conv2d+Add"],
    { epilogue: 1 },
  ));

test("element-wise kernels on both sides of a reshape are one", () =>
  check(
    `graph main(%x: float32[4, 6], %z: float32[2, 2, 6]) -> (%y) {
      %s: float32[4, 6] = Relu(%x)
      %r: float32[2, 2, 6] = Reshape(%s) {shape: [2, 2, 6]}
      %y: float32[2, 2, 6] = Sub(%z, %r)
    }`,
    ["Relu+Sub"],
    { chain: 1 },
  ));

test("a quantised product rounds to its own type before what follows", () =>
  check(
    `graph main(%x: int8[1, 4, 4, 8] q(0.05, 3)) -> (%y) {
      const %w: int8[8, 1, 1, 8] q(0.01, 0) = [${Array.from({ length: 64 }, (_, i) => ((i * 29) % 255) - 127).join(", ")}]
      %c: int8[1, 4, 4, 8] q(0.1, -4) = Conv2D(%x, %w)
      %r: int8[1, 16, 8] q(0.1, -4) = Reshape(%c) {shape: [1, 16, 8]}
      %y: int8[1, 16, 8] q(0.04, 5) = LeakyRelu(%r) {alpha: 0.1}
    }`,
    ["conv2d+LeakyRelu"],
    { epilogue: 1 },
  ));

test("what another reads, an output, and operands along other axes stay behind", async () => {
  const relu = "%y: float32[2, 3, 8] = Relu(%r)";
  await check(dense(relu, "%y, %d"), ["dense", "Relu"], {});
  await check(dense(relu, "%y, %r"), ["dense", "Relu"], {});
  await check(dense(`${relu}\n%n: float32[2, 3, 8] = Neg(%r)`, "%y, %n"), ["dense", "Relu", "Neg"], {});
  const rows = `${weights("c", [3, 1])}\n%y: float32[2, 3, 8] = Mul(%r, %c)`;
  await check(dense(rows), ["dense", "Mul"], {});
  await check(
    `graph main(%x: float32[6, 5]) -> (%y) {
      ${weights("w", [8, 5])}
      ${weights("c", [4])}
      %d: float32[6, 8] = Dense(%x, %w)
      %r: float32[6, 2, 4] = Reshape(%d) {shape: [6, 2, 4]}
      %y: float32[6, 2, 4] = Mul(%r, %c)
    }`,
    ["dense", "Mul"],
    {},
  );
});
