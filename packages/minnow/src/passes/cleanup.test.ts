// Dead nodes, common sub-expressions, identities, constants, reshapes, powers, MatMul → Dense.
import assert from "node:assert/strict";
import { test } from "node:test";
import { print } from "../graph/text.js";
import { checkPass, checkUnchanged, read } from "./check.test.helper.js";
import { commonSubexpressions } from "./common_subexpressions.js";
import { deadNodes } from "./dead_nodes.js";
import { flattenWeights } from "./flatten_weights.js";
import { foldConstants } from "./fold_constants.js";
import { identities } from "./identities.js";
import { matmulDense } from "./matmul_dense.js";
import { Editor } from "./pass.js";
import { powers } from "./powers.js";
import { reshapes } from "./reshapes.js";

test("dead nodes go, whole branches at once", () => {
  checkPass(
    deadNodes,
    `graph g(%x: float32[2]) -> (%y) {
      %a = Relu(%x)
      %b = Exp(%a)
      %y = Neg(%x)
      %c, %d = Split(%b) {axis: 0}
    }`,
    `graph g(%x: float32[2]) -> (%y) {
      %y = Neg(%x)
    }`,
  );
});

test("equal nodes and equal constants become one", () => {
  checkPass(
    commonSubexpressions,
    `graph g(%x: float32[2]) -> (%y) {
      const %c: float32[2] = [1, 2]
      const %d: float32[2] = [1, 2]
      %a = Mul(%x, %c)
      %b = Mul(%x, %d)
      %p = Clip(%a) {min: 0}
      %q = Clip(%b) {min: -0}
      %r = Add(%p, %q)
      %y = Add(%r, %b)
    }`,
    `graph g(%x: float32[2]) -> (%y) {
      const %c: float32[2] = [1, 2]
      %a = Mul(%x, %c)
      %p = Clip(%a) {min: 0}
      %q = Clip(%a) {min: -0}
      %r = Add(%p, %q)
      %y = Add(%r, %a)
    }`,
  );
});

test("two outputs with equal values both keep their names", () => {
  const g = read(`graph g(%x: float32[2]) -> (%y, %z) {
    %a = Relu(%x)
    %y = Neg(%a)
    %b = Relu(%x)
    %z = Neg(%b)
  }`);
  commonSubexpressions.run(new Editor(g));
  assert.deepEqual(
    g.outputs.map((t) => t.name),
    ["y", "z"],
  );
  assert.equal(g.nodes.length, 3);
});

test("what changes nothing goes", () => {
  checkPass(
    identities,
    `graph g(%x: float32[N, 3, 4, 4]) -> (%y) {
      const %zero: float32[] = [0]
      const %one: float32[3, 1, 1] = [1, 1, 1]
      const %pads: int64[8] = [0, 0, 0, 0, 0, 0, 0, 0]
      const %big: int64[1] = [9223372036854775000]
      const %from: int64[1] = [0]
      const %axis: int64[1] = [2]
      %a = Identity(%x)
      %b = Add(%a, %zero)
      %c = Mul(%one, %b)
      %d = Pad(%c, %pads)
      %e = Slice(%d, %from, %big, %axis)
      %f = Reshape(%e) {shape: [0, 3, 4, 4]}
      %g = Concat(%f) {axis: 1}
      %h = Transpose(%g) {perm: [0, 1, 2, 3]}
      %i = Cast(%h) {to: "float32"}
      %j = Clip(%i)
      %k = Div(%j, %one)
      %l = Sub(%k, %zero)
      %m = Relu(%l)
      %y = Identity(%m)
    }`,
    `graph g(%x: float32[N, 3, 4, 4]) -> (%y) {
      %y = Relu(%x)
    }`,
  );
});

test("what looks like it changes nothing, but does, stays", () => {
  checkUnchanged(
    identities,
    `graph g(%x: float32[3], %z: float32[1], %q: int8[3] q(1, 0)) -> (%y, %w) {
      const %one: float32[3] = [1, 1, 1]
      const %back: int64[1] = [-1]
      const %end: int64[1] = [-99]
      const %axis: int64[1] = [0]
      %a = Mul(%z, %one)
      %b = Slice(%x, %back, %end, %axis, %back)
      %c = Sub(%one, %b)
      %y = Add(%a, %c)
      %w: int8[3] q(2, 0) = Reshape(%q) {shape: [3]}
    }`,
  );
});

test("names of outputs win over names of what they merge with", () => {
  const g = read(`graph g(%x: float32[2]) -> (%y) {
    %a = Relu(%x)
    %y = Identity(%a)
  }`);
  identities.run(new Editor(g));
  assert.equal(
    print(g, { names: false }),
    "graph g(%x: float32[2]) -> (%y) {\n  %y: float32[2] aka (%a) = Relu(%x)\n}\n",
  );
});

test("an output that is an input stays a node", () => {
  checkUnchanged(identities, "graph g(%x: float32[2]) -> (%y) {\n %y = Identity(%x)\n}");
});

test("arithmetic with constants, and with known shapes, is done", () => {
  checkPass(
    foldConstants,
    `graph g(%x: float32[2, 12]) -> (%y) {
      const %a: float32[2] = [1, 2]
      const %b: float32[2] = [3, 5]
      const %i: int64[] = [0]
      const %four: int64[1] = [4]
      const %three: int64[1] = [3]
      const %w: float32[2, 3] = range
      %s = Shape(%x)
      %n = Gather(%s, %i) {axis: 0}
      %n1 = Unsqueeze(%n) {axes: [0]}
      %t = Concat(%n1, %four, %three) {axis: 0}
      %r = Reshape(%x, %t)
      %wt = Transpose(%w) {perm: [1, 0]}
      %c = Mul(%a, %b)
      %d = MatMul(%r, %wt)
      %y = Add(%d, %c)
    }`,
    `graph g(%x: float32[2, 12]) -> (%y) {
      const %t: int64[3] = [2, 4, 3]
      const %wt: float32[3, 2] = [0, 3, 1, 4, 2, 5]
      const %c: float32[2] = [3, 10]
      %r = Reshape(%x, %t)
      %d = MatMul(%r, %wt)
      %y = Add(%d, %c)
    }`,
  );
});

test("stored float16 and stored integers are not blown up", () => {
  checkUnchanged(
    foldConstants,
    `graph g(%x: float32[1, 4]) -> (%y) {
      const %w: float16[300, 4] = random(1)
      const %q: int8[4, 300] q(0.1, 3) = random(2)
      %w32 = Cast(%w) {to: "float32"}
      %q32: float32[4, 300] = Dequantize(%q)
      %a = Dense(%x, %w32)
      %y = MatMul(%x, %q32)
    }`.replace("%y = MatMul(%x, %q32)", "%b = MatMul(%x, %q32)\n %y = Add(%a, %b)"),
  );
  checkPass(
    foldConstants,
    `graph g(%x: float32[1, 4]) -> (%y) {
      const %w: float16[4, 3] = random(1)
      %w32 = Cast(%w) {to: "float32"}
      %t = Transpose(%w32) {perm: [1, 0]}
      %y = Dense(%x, %t)
    }`,
    `graph g(%x: float32[1, 4]) -> (%y) {
      const %w: float16[4, 3] = random(1)
      const %m: float16[3, 4] = ${floats(16)}
      %w32 = Cast(%w) {to: "float32"}
      %t = Cast(%m) {to: "float32"}
      %y = Dense(%x, %t)
    }`,
  );
});

/** The transpose of random(1) as float16 [4, 3]. */
function floats(_bits: 16): string {
  const g = read(`graph g() -> (%y) { const %w: float16[4, 3] = random(1)\n %y = Cast(%w) {to: "float32"} }`);
  const text =
    print(g)
      .match(/= \[([^\]]*)\]/)?.[1]
      ?.split(", ") ?? [];
  return `[${[0, 1, 2].flatMap((c) => [0, 1, 2, 3].map((r) => text[r * 3 + c])).join(", ")}]`;
}

test("a large result is not written into the file", () => {
  checkUnchanged(
    foldConstants,
    `graph g(%x: float32[1, 600, 600]) -> (%y) {
      const %s: int64[3] = [1, 600, 600]
      const %v: float32[1] = [2]
      %a = Expand(%v, %s)
      %y = Add(%x, %a)
    }`,
  );
});

test("chains of reshapes become one, symbolic sizes too", () => {
  checkPass(
    reshapes,
    `graph g(%x: float32[N, 4, 6]) -> (%y, %z) {
      %a = Unsqueeze(%x) {axes: [1]}
      %b = Reshape(%a) {shape: [0, 24]}
      %c = Squeeze(%a) {axes: [1]}
      %y = Relu(%b)
      %z = Flatten(%c) {axis: 2}
    }`,
    `graph g(%x: float32[N, 4, 6]) -> (%y, %z) {
      %a = Unsqueeze(%x) {axes: [1]}
      %b = Reshape(%x) {shape: [0, 24]}
      %c = Reshape(%x) {shape: [0, 4, 6]}
      %y = Relu(%b)
      %z = Reshape(%x) {shape: [-1, 6]}
    }`,
  );
});

test("powers and divisions by powers of two", () => {
  checkPass(
    powers,
    `graph g(%x: float32[5]) -> (%y) {
      const %two: float32[] = [2]
      const %half: float32[] = [0.5]
      const %eight: float32[5] = [8, 8, 8, 8, 8]
      const %three: float32[] = [3]
      %a = Pow(%x, %two)
      %b = Pow(%a, %half)
      %c = Div(%b, %eight)
      %y = Div(%c, %three)
    }`,
    `graph g(%x: float32[5]) -> (%y) {
      const %eighth: float32[] = [0.125]
      const %three: float32[] = [3]
      %a = Square(%x)
      %b = Sqrt(%a)
      %c = Mul(%b, %eighth)
      %y = Div(%c, %three)
    }`,
    { tolerance: 0 },
  );
});

test("powers that a few products make", () => {
  checkPass(
    powers,
    `graph g(%x: float32[5]) -> (%p, %q, %r, %s, %t) {
      const %c: float32[] = [3]
      const %d: float32[] = [4]
      const %e: float32[] = [1.5]
      const %f: float32[] = [-2]
      const %g: float32[] = [5]
      %a = Abs(%x)
      %p = Pow(%x, %c)
      %q = Pow(%x, %d)
      %r = Pow(%a, %e)
      %s = Pow(%x, %f)
      %t = Pow(%x, %g)
    }`,
    `graph g(%x: float32[5]) -> (%p, %q, %r, %s, %t) {
      const %g: float32[] = [5]
      %a = Abs(%x)
      %p1 = Square(%x)
      %p = Mul(%p1, %x)
      %q1 = Square(%x)
      %q = Square(%q1)
      %r1 = Sqrt(%a)
      %r = Mul(%r1, %a)
      %s1 = Square(%x)
      %s = Reciprocal(%s1)
      %t = Pow(%x, %g)
    }`,
    { tolerance: 1e-6 },
  );
});

test("a product with stored weights is dense", () => {
  checkPass(
    matmulDense,
    `graph g(%x: float32[2, 3, 2]) -> (%y) {
      const %w: float32[2, 3] = [1, 2, 3, 4, 5, 6]
      %y = MatMul(%x, %w)
    }`,
    `graph g(%x: float32[2, 3, 2]) -> (%y) {
      const %w: float32[3, 2] = [1, 4, 2, 5, 3, 6]
      %y = Dense(%x, %w) {keepDims: true}
    }`,
  );
  checkUnchanged(
    matmulDense,
    "graph g(%x: float32[2], %a: float32[2, 2]) -> (%y) {\n const %w: float32[2, 3] = random(1)\n %y = MatMul(%x, %w)\n}",
  );
});

test("a transpose before the classifier moves into its weights", () => {
  checkPass(
    flattenWeights,
    `graph g(%x: float32[N, 1, 2, 2]) -> (%y) {
      const %w: float32[2, 4] = [1, 2, 3, 4, 5, 6, 7, 8]
      %t = Transpose(%x) {perm: [0, 3, 1, 2]}
      %f = Flatten(%t)
      %y = Dense(%f, %w)
    }`,
    `graph g(%x: float32[N, 1, 2, 2]) -> (%y) {
      const %w: float32[2, 4] = [1, 3, 2, 4, 5, 7, 6, 8]
      %f = Reshape(%x) {shape: [0, 4]}
      %y = Dense(%f, %w)
    }`,
  );
});

test("a squeeze that waits for its sizes is left alone", () => {
  const text = `graph g(%x: float32[N, 4]) -> (%y) {
    %s = Squeeze(%x)
    %y = Reshape(%s) {shape: [-1]}
  }`;
  checkUnchanged(identities, text);
  checkUnchanged(reshapes, text);
});

test("a product reads its right side transposed", () => {
  checkPass(
    matmulDense,
    `graph g(%x: float32[2, 3, 1, 4], %k: float32[2, 3, 5, 4]) -> (%y) {
      %t = Transpose(%k) {perm: [0, 1, 3, 2]}
      %y = MatMul(%x, %t)
    }`,
    `graph g(%x: float32[2, 3, 1, 4], %k: float32[2, 3, 5, 4]) -> (%y) {
      %t = Transpose(%k) {perm: [0, 1, 3, 2]}
      %y = MatMul(%x, %k) {transposeB: true}
    }`,
  );
  checkUnchanged(
    matmulDense,
    `graph g(%x: float32[2, 3, 1, 4], %k: float32[2, 5, 3, 4]) -> (%y) {
      %t = Transpose(%k) {perm: [0, 2, 3, 1]}
      %y = MatMul(%x, %t)
    }`,
  );
});
