// What fusion, placement and planning do, on graphs in the text form; and that the fused program still
// computes what the reference does.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "../graph/text.js";
import { compile } from "./compile.js";
import { check, weights } from "./compile.test.helper.js";

test("bias, activation and a residual add become a convolution's epilogue", () =>
  check(
    `graph main(%x: float32[1, 6, 6, 8]) -> (%y) {
      ${weights("w", [8, 3, 3, 8])}
      ${weights("b", [8])}
      ${weights("v", [8, 1, 1, 8])}
      %r: float32[1, 6, 6, 8] = Conv2D(%x, %v)
      %c: float32[1, 6, 6, 8] = Conv2D(%x, %w, %b) {padding: "same_upper"}
      %s: float32[1, 6, 6, 8] = Add(%c, %r)
      %y: float32[1, 6, 6, 8] = Clip(%s) {max: 6, min: 0}
    }`,
    ["conv2d", "conv2d+Add+Clip"],
    { chain: 1, epilogue: 1, "in place": 1 },
  ));

test("an element-wise chain is one loop nest, a shared value too", () =>
  check(
    `graph main(%x: float32[2, 5], %b: float32[5]) -> (%y) {
      const %three: float32[] = [3]
      %a: float32[2, 5] = Add(%x, %b)
      %s: float32[2, 5] = Add(%a, %three)
      %h: float32[2, 5] = Clip(%s) {max: 6, min: 0}
      %y: float32[2, 5] = Mul(%a, %h)
    }`,
    // %a has two readers, both in the nest in the end.
    ["Add+Add+Clip+Mul"],
    { chain: 3 },
  ));

test("a value that is an output, or has another reader, is not fused over", () =>
  check(
    `graph main(%x: float32[4]) -> (%a, %y) {
      %a: float32[4] = Relu(%x)
      %y: float32[4] = Neg(%a)
    }`,
    ["Relu", "Neg"],
    {},
  ));

test("concat writes its parts in place, channel-wise and through a reshape", async () => {
  await check(
    `graph main(%x: float32[1, 4, 4, 8]) -> (%y) {
      ${weights("w", [8, 1, 1, 8])}
      ${weights("v", [4, 3, 3, 8])}
      %a: float32[1, 4, 4, 8] = Conv2D(%x, %w)
      %b: float32[1, 4, 4, 4] = Conv2D(%x, %v) {padding: "same_upper"}
      %y: float32[1, 4, 4, 12] = Concat(%a, %b) {axis: 3}
    }`,
    ["conv2d", "conv2d"],
    { "concat without copy": 2 },
  );
  await check(
    `graph main(%x: float32[1, 4, 4, 8], %z: float32[1, 10, 4]) -> (%y) {
      ${weights("w", [8, 1, 1, 8])}
      %a: float32[1, 4, 4, 8] = Conv2D(%x, %w)
      %r: float32[1, 32, 4] = Reshape(%a) {shape: [1, 32, 4]}
      %n: float32[1, 10, 4] = Neg(%z)
      %y: float32[1, 42, 4] = Concat(%r, %n) {axis: 1}
    }`,
    ["conv2d", "Neg"],
    { "concat without copy": 2, "reshape without copy": 1 },
  );
});

test("padding channels or the outermost axis is a concat with constants, others copy what they pad", async () => {
  const padded = (pads: string, shape: string): string => `graph main(%x: float32[1, 4, 4, 8]) -> (%y, %z) {
      ${weights("w", [8, 1, 1, 8])}
      ${weights("v", [8, 3, 3, 8])}
      %a: float32[1, 4, 4, 8] = Conv2D(%x, %w)
      %z: float32[1, 4, 4, 8] = Conv2D(%a, %v) {padding: "same_upper"}
      %p: float32[${shape}] = Pad(%a) {pads: [${pads}], value: 3}
      %y: float32[${shape}] = MaxPool2D(%p) {kernel: [1, 1]}
    }`;
  const inPlace = { "concat without copy": 1 };
  const one = ["conv2d", "conv2d", "Pad", "max_pool2d"];
  const two = ["conv2d", "conv2d", "Pad", "Pad", "max_pool2d"];
  await check(padded("0, 0, 0, 0, 0, 0, 0, 4", "1, 4, 4, 12"), one, inPlace);
  await check(padded("0, 0, 0, 3, 0, 0, 0, 4", "1, 4, 4, 15"), two, inPlace);
  await check(padded("0, 1, 0, 0, 0, 0, 0, 0", "1, 5, 4, 8"), one, inPlace);
  await check(padded("0, 0, 1, 0, 0, 0, 0, 0", "1, 4, 5, 8"), two, {});
});

test("pixels of 1 KiB that a depth-wise convolution reads lie a cache line further apart", async () => {
  const text = `graph main(%x: float32[1, 5, 6, 8]) -> (%b) {
      ${weights("u", [256, 1, 1, 8])}
      ${weights("w", [256, 3, 3, 1])}
      %a: float32[1, 5, 6, 256] = Conv2D(%x, %u)
      %b: float32[1, 5, 6, 256] = Conv2D(%a, %w) {padding: "same_upper", group: 256}
    }`;
  await check(text, ["conv2d", "conv2d"], {});
  const { steps, buffers } = compile(parse(text));
  const views = steps.map((s) => s.values[s.nest?.out.value ?? 0]);
  assert.deepEqual(
    views.map((v) => v?.strides[2]),
    [272, 256],
  );
  assert.equal(buffers[views[0]?.buffer ?? 0]?.bytes, 4 * 30 * 272);
});

test("a long function of one byte is looked up, a short one is an epilogue", async () => {
  const conv = (after: string, size: number): string =>
    `graph main(%x: uint8[1, ${size}, 16, 8] q(0.05, 3)) -> (%y) {
      const %w: int8[8, 1, 1, 8] q(0.01, 0) = [${Array.from({ length: 64 }, (_, i) => ((i * 29) % 255) - 127).join(", ")}]
      %c: uint8[1, ${size}, 16, 8] q(0.1, 4) = Conv2D(%x, %w)
      ${after}
    }`;
  const silu = (size: number): string =>
    conv(
      `%s: uint8[1, ${size}, 16, 8] q(0.004, 0) = Sigmoid(%c)
      %y: uint8[1, ${size}, 16, 8] q(0.1, 4) = Mul(%c, %s)`,
      size,
    );
  await check(silu(16), ["conv2d", "Sigmoid+Mul", "lookup"], { lookup: 1 });
  await check(silu(2), ["conv2d+Sigmoid+Mul"], { epilogue: 1 });
  await check(
    conv("%y: uint8[1, 16, 16, 8] q(0.1, 4) = LeakyRelu(%c) {alpha: 0.1}", 16),
    ["conv2d+LeakyRelu"],
    {},
  );
});

test("split and slice are views; an output is copied", () =>
  check(
    `graph main(%x: float32[1, 3, 3, 8]) -> (%y, %p) {
      %r: float32[1, 3, 3, 8] = Relu(%x)
      %a: float32[1, 3, 3, 4], %p: float32[1, 3, 3, 4] = Split(%r) {axis: 3}
      %y: float32[1, 3, 3, 4] = Neg(%a)
    }`,
    ["Relu", "split", "Neg"],
    { "split without copy": 1 },
  ));

test("a quantised residual add is an epilogue with requantisation", () =>
  check(
    `graph main(%x: int8[1, 4, 4, 8] q(0.05, 3)) -> (%y) {
      const %w: int8[8, 1, 1, 8] q(0.01, 0) = [${Array.from({ length: 64 }, (_, i) => ((i * 29) % 255) - 127).join(", ")}]
      %c: int8[1, 4, 4, 8] q(0.1, -4) = Conv2D(%x, %w)
      %y: int8[1, 4, 4, 8] q(0.12, 5) = Add(%c, %x)
    }`,
    ["conv2d+Add"],
    { epilogue: 1 },
  ));

test("gathers stay kernels of their own, with their tables", () =>
  check(
    `graph main(%x: float32[5, 3]) -> (%y) {
      const %i: int32[4] = [4, -1, 0, 2]
      %r: float32[5, 3] = Neg(%x)
      %g: float32[4, 3] = Gather(%r, %i) {axis: 0}
      %y: float32[4, 3] = Abs(%g)
    }`,
    ["Neg", "Gather", "Abs"],
    {},
  ));

test("unbound dimensions are named", () => {
  const graph = parse(
    `graph main(%x: float32[N, 3]) -> (%y) { %y: float32[N, 3] = Relu(%x) }`
      .replace("{ %y", "{\n%y")
      .replace("%x) }", "%x)\n}"),
  );
  assert.throws(() => compile(graph), { code: "bad_shape", message: /N, 3/ });
  assert.equal(compile(graph, { dims: { N: 2 } }).outputs[0]?.view.shape.join(), "2,3");
  assert.throws(() => compile(graph, { dims: { N: 1000 } }, { maxOperations: 100 }), {
    code: "too_much_work",
  });
});
