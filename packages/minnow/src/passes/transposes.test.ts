import assert from "node:assert/strict";
import { test } from "node:test";
import { checkPass, checkUnchanged, read } from "./check.test.helper.js";
import { Editor } from "./pass.js";
import { transposes } from "./transposes.js";

test("a pair around an element-wise operator cancels", () => {
  checkPass(
    transposes,
    `graph g(%x: float32[N, 4, 6, 3]) -> (%y) {
      const %c: float32[3, 1, 1] = [1, 2, 3]
      %a = Transpose(%x) {perm: [0, 3, 1, 2]}
      %b = Mul(%a, %c)
      %y = Transpose(%b) {perm: [0, 2, 3, 1]}
    }`,
    `graph g(%x: float32[N, 4, 6, 3]) -> (%y) {
      const %c: float32[1, 1, 1, 3] = [1, 2, 3]
      %y = Mul(%x, %c)
    }`,
  );
});

test("residual blocks lose every transpose between their image operators", () => {
  checkPass(
    transposes,
    `graph g(%x: float32[1, 3, 8, 8]) -> (%y) {
      const %w: float32[4, 1, 1, 3] = random(1)
      const %v: float32[4, 1, 1, 4] = random(2)
      %x1 = Transpose(%x) {perm: [0, 2, 3, 1]}
      %c1 = Conv2D(%x1, %w)
      %a = Transpose(%c1) {perm: [0, 3, 1, 2]}
      %r = Relu(%a)
      %r1 = Transpose(%r) {perm: [0, 2, 3, 1]}
      %c2 = Conv2D(%r1, %v)
      %b = Transpose(%c2) {perm: [0, 3, 1, 2]}
      %s = Add(%r, %b)
      %m = ReduceMean(%s) {axes: [2, 3], keepDims: false}
      %y = Softmax(%m) {axis: 1}
    }`,
    `graph g(%x: float32[1, 3, 8, 8]) -> (%y) {
      const %w: float32[4, 1, 1, 3] = random(1)
      const %v: float32[4, 1, 1, 4] = random(2)
      %x1 = Transpose(%x) {perm: [0, 2, 3, 1]}
      %c1 = Conv2D(%x1, %w)
      %r = Relu(%c1)
      %c2 = Conv2D(%r, %v)
      %s = Add(%r, %c2)
      %m = ReduceMean(%s) {axes: [1, 2], keepDims: false}
      %y = Softmax(%m) {axis: 1}
    }`,
  );
});

test("channel shuffle stays NHWC", () => {
  checkPass(
    transposes,
    `graph g(%x: float32[1, 2, 3, 4]) -> (%y) {
      const %w: float32[6, 1, 1, 4] = random(1)
      const %v: float32[2, 1, 1, 6] = random(2)
      %c = Conv2D(%x, %w)
      %a = Transpose(%c) {perm: [0, 3, 1, 2]}
      %b = Reshape(%a) {shape: [1, 2, 3, 2, 3]}
      %d = Transpose(%b) {perm: [0, 2, 1, 3, 4]}
      %e = Reshape(%d) {shape: [1, 6, 2, 3]}
      %f = Transpose(%e) {perm: [0, 2, 3, 1]}
      %y = Conv2D(%f, %v)
    }`,
    `graph g(%x: float32[1, 2, 3, 4]) -> (%y) {
      const %w: float32[6, 1, 1, 4] = random(1)
      const %v: float32[2, 1, 1, 6] = random(2)
      %c = Conv2D(%x, %w)
      %b = Reshape(%c) {shape: [1, 2, 3, 2, 3]}
      %d = Transpose(%b) {perm: [0, 1, 2, 4, 3]}
      %e = Reshape(%d) {shape: [1, 2, 3, 6]}
      %y = Conv2D(%e, %v)
    }`,
  );
});

test("detection heads: permute, reshape, concat", () => {
  checkPass(
    transposes,
    `graph g(%x: float32[1, 4, 4, 8]) -> (%y) {
      %p = MaxPool2D(%x) {kernel: [2, 2], strides: [2, 2]}
      %a = Transpose(%x) {perm: [0, 3, 1, 2]}
      %b = Transpose(%p) {perm: [0, 3, 1, 2]}
      %a1 = Transpose(%a) {perm: [0, 2, 3, 1]}
      %b1 = Transpose(%b) {perm: [0, 2, 3, 1]}
      %a2 = Reshape(%a1) {shape: [1, -1, 4]}
      %b2 = Reshape(%b1) {shape: [1, -1, 4]}
      %y = Concat(%a2, %b2) {axis: 1}
    }`,
    `graph g(%x: float32[1, 4, 4, 8]) -> (%y) {
      %p = MaxPool2D(%x) {kernel: [2, 2], strides: [2, 2]}
      %a2 = Reshape(%x) {shape: [1, -1, 4]}
      %b2 = Reshape(%p) {shape: [1, -1, 4]}
      %y = Concat(%a2, %b2) {axis: 1}
    }`,
  );
});

test("axes of concat, split, slice, pad and softmax follow", () => {
  checkPass(
    transposes,
    `graph g(%x: float32[1, 4, 4, 6]) -> (%y) {
      const %pads: int64[8] = [0, 0, 1, 2, 0, 0, 3, 4]
      %p = AvgPool2D(%x) {kernel: [1, 1]}
      %a = Transpose(%p) {perm: [0, 3, 1, 2]}
      %s, %t = Split(%a) {axis: 1, sizes: [2, 4]}
      %c = Slice(%t) {starts: [1], ends: [3], axes: [1]}
      %d = Concat(%c, %s) {axis: 1}
      %e = Pad(%d, %pads)
      %f = Softmax(%e) {axis: 1}
      %y = Transpose(%f) {perm: [0, 2, 3, 1]}
    }`,
    `graph g(%x: float32[1, 4, 4, 6]) -> (%y) {
      %p = AvgPool2D(%x) {kernel: [1, 1]}
      %s, %t = Split(%p) {axis: 3, sizes: [2, 4]}
      %c = Slice(%t) {starts: [1], ends: [3], axes: [3], steps: []}
      %d = Concat(%c, %s) {axis: 3}
      %e = Pad(%d) {pads: [0, 1, 2, 0, 0, 3, 4, 0]}
      %y = Softmax(%e) {axis: 3}
    }`,
  );
});

test("moving only axes of size 1 is a reshape; a channel gate needs none at all", () => {
  checkPass(
    transposes,
    `graph g(%x: float32[1, 4, 4, 6]) -> (%y) {
      const %w: float32[6, 1, 1, 6] = random(1)
      %p = MaxPool2D(%x) {kernel: [1, 1]}
      %a = Transpose(%p) {perm: [0, 3, 1, 2]}
      %m = ReduceMean(%a) {axes: [2, 3]}
      %m1 = Transpose(%m) {perm: [0, 2, 3, 1]}
      %g = Conv2D(%m1, %w)
      %g1 = Transpose(%g) {perm: [0, 3, 1, 2]}
      %h = Sigmoid(%g1)
      %k = Mul(%a, %h)
      %k1 = Transpose(%k) {perm: [0, 2, 3, 1]}
      %y = MaxPool2D(%k1) {kernel: [1, 1]}
    }`,
    `graph g(%x: float32[1, 4, 4, 6]) -> (%y) {
      const %w: float32[6, 1, 1, 6] = random(1)
      %p = MaxPool2D(%x) {kernel: [1, 1]}
      %m = ReduceMean(%p) {axes: [1, 2]}
      %g = Conv2D(%m, %w)
      %h = Sigmoid(%g)
      %k = Mul(%p, %h)
      %y = MaxPool2D(%k) {kernel: [1, 1]}
    }`,
  );
  checkPass(
    transposes,
    `graph g(%x: float32[1, 1, 4, 6]) -> (%y) {
      %y = Transpose(%x) {perm: [0, 2, 3, 1]}
    }`,
    `graph g(%x: float32[1, 1, 4, 6]) -> (%y) {
      %y = Reshape(%x) {shape: [1, 4, 6, 1]}
    }`,
  );
});

test("squeeze and sequence order (text recognisers)", () => {
  checkPass(
    transposes,
    `graph g(%x: float32[N, 1, W, 6]) -> (%y) {
      %p = MaxPool2D(%x) {kernel: [1, 1]}
      %a = Transpose(%p) {perm: [0, 3, 1, 2]}
      %b = Squeeze(%a) {axes: [2]}
      %y = Transpose(%b) {perm: [0, 2, 1]}
    }`,
    `graph g(%x: float32[N, 1, W, 6]) -> (%y) {
      %p = MaxPool2D(%x) {kernel: [1, 1]}
      %y = Reshape(%p) {shape: [0, -1, 6]}
    }`,
  );
});

test("graph outputs keep their names, layout and number", () => {
  const g = read(`graph g(%x: float32[1, 2, 3, 4]) -> (%a, %b, %y) {
    %a = Transpose(%x) {perm: [0, 3, 1, 2]}
    %b = Transpose(%a) {perm: [0, 2, 3, 1]}
    %r = Relu(%a)
    %y = Transpose(%r) {perm: [0, 2, 3, 1]}
  }`);
  transposes.run(new Editor(g));
  assert.deepEqual(
    g.outputs.map((t) => t.name),
    ["a", "b", "y"],
  );
  assert.equal(g.nodes.filter((n) => n.op === "Transpose").length, 1);
});

test("work is never added", () => {
  checkUnchanged(
    transposes,
    `graph g(%x: float32[8, 4], %b: float32[4, 8]) -> (%y, %z) {
      %t = Transpose(%x) {perm: [1, 0]}
      %r = Relu(%t)
      %y = MatMul(%x, %r)
      %z = MatMul(%r, %x)
    }`,
  );
});
