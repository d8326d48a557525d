// Convolutions and matrix products: strides, dilations, paddings, groups, batches and quantisation against
// the references; the references against values of other programs (ONNX Runtime 1.30, TFLite) and by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { value } from "../graph/graph.js";
import type { Attrs, Quantization } from "../graph/graph.js";
import { checkOp, type OpCase, q8 } from "./harness.js";
import { inferNode } from "./infer.js";

const count = (n: number, from = 0): number[] => Array.from({ length: n }, (_, i) => i + from);
type S = readonly number[];

function conv(x: S, w: S, attrs: Attrs = {}, bias = true): OpCase {
  return {
    op: "Conv2D",
    attrs,
    inputs: [
      { shape: x },
      { shape: w, constant: true },
      ...(bias ? [{ shape: [w[0] as number], constant: true }] : []),
    ],
    tolerance: 5e-6,
  };
}

// ONNX operator documentation, Conv: the 5×5 ramp under a 3×3 of ones.
const ramp = { shape: [1, 5, 5, 1], data: count(25) };
const ones = { shape: [1, 3, 3, 1], data: new Array<number>(9).fill(1), constant: true };
checkOp("Conv2D: the examples of the ONNX documentation", [
  {
    op: "Conv2D",
    attrs: { pads: [1, 1, 1, 1] },
    inputs: [ramp, ones],
    expect: [
      12, 21, 27, 33, 24, 33, 54, 63, 72, 51, 63, 99, 108, 117, 81, 93, 144, 153, 162, 111, 72, 111, 117, 123,
      84,
    ],
  },
  { op: "Conv2D", inputs: [ramp, ones], expect: [54, 63, 72, 99, 108, 117, 144, 153, 162] },
  {
    op: "Conv2D",
    attrs: { padding: "same_lower", strides: [2, 2] },
    inputs: [ramp, ones],
    expect: [12, 27, 24, 63, 108, 81, 72, 117, 84],
  },
  {
    op: "Conv2D",
    attrs: { strides: [2, 2], pads: [1, 0, 1, 0] },
    inputs: [{ shape: [1, 7, 5, 1], data: count(35) }, ones],
    expect: [21, 33, 99, 117, 189, 207, 171, 183],
  },
]);

checkOp("Conv2D: shapes, strides, dilations, paddings", [
  conv([1, 1, 1, 1], [1, 1, 1, 1]),
  conv([2, 5, 7, 3], [8, 3, 3, 3]),
  conv([1, 5, 7, 3], [4, 3, 3, 3], {}, false),
  conv([1, 8, 8, 4], [8, 1, 1, 4]),
  conv([1, 9, 8, 4], [8, 1, 1, 4], { strides: [2, 2] }),
  conv([1, 9, 8, 3], [5, 3, 2, 3], { strides: [2, 3], pads: [1, 0, 2, 1] }),
  conv([1, 9, 9, 3], [5, 3, 3, 3], { dilations: [2, 3], pads: [2, 3, 2, 3] }),
  conv([3, 6, 6, 8], [16, 3, 3, 8], { padding: "same_upper" }),
  conv([1, 7, 6, 8], [16, 3, 3, 8], { padding: "same_upper", strides: [2, 2] }),
  conv([1, 7, 6, 8], [17, 2, 4, 8], { padding: "same_lower", strides: [2, 2] }),
  conv([1, 7, 6, 8], [9, 5, 5, 8], { padding: "valid" }),
  conv([1, 12, 12, 3], [24, 7, 7, 3], { strides: [2, 2], pads: [3, 3, 3, 3] }),
  conv([1, 20, 1, 6], [7, 5, 1, 6], { pads: [2, 0, 2, 0] }),
  conv([0, 5, 5, 3], [4, 3, 3, 3]),
  conv([1, 3, 3, 2], [4, 3, 3, 2], { pads: [5, 5, 5, 5] }),
  conv([1, 10, 10, 32], [40, 3, 3, 32], { pads: [1, 1, 1, 1] }),
]);

checkOp("Conv2D: groups and depth-wise", [
  conv([1, 6, 6, 4], [4, 3, 3, 1], { group: 4, padding: "same_upper" }),
  conv([2, 9, 9, 16], [16, 3, 3, 1], { group: 16, strides: [2, 2], padding: "same_upper" }),
  conv([1, 9, 9, 19], [19, 5, 5, 1], { group: 19, pads: [2, 2, 2, 2] }),
  conv([1, 9, 9, 8], [8, 3, 3, 1], { group: 8, dilations: [2, 2], pads: [2, 2, 2, 2] }, false),
  conv([1, 6, 6, 3], [6, 3, 3, 1], { group: 3 }),
  conv([1, 6, 6, 4], [12, 3, 3, 1], { group: 4, pads: [1, 1, 1, 1] }),
  conv([2, 6, 6, 6], [4, 3, 3, 3], { group: 2, pads: [1, 1, 1, 1] }),
  conv([1, 5, 5, 8], [12, 1, 1, 2], { group: 4 }),
  conv([1, 8, 8, 64], [64, 3, 3, 1], { group: 64, pads: [1, 1, 1, 1] }),
]);

const inf = Number.POSITIVE_INFINITY;
checkOp("Conv2D: NaN and infinities spread only where the window sees them", [
  {
    op: "Conv2D",
    attrs: { pads: [1, 1, 1, 1] },
    inputs: [
      { shape: [1, 4, 4, 1], data: count(16).map((i) => (i === 5 ? Number.NaN : i === 15 ? inf : i)) },
      ones,
    ],
  },
]);

const perChannel = (n: number, axis = 0): Quantization =>
  q8(
    count(n, 1).map((i) => 0.004 * i),
    new Array<number>(n).fill(0),
    axis,
  );
function quantized(
  x: S,
  w: S,
  attrs: Attrs = {},
  wq: Quantization = perChannel(w[0] as number),
  type: "int8" | "uint8" = "int8",
): OpCase {
  const k = w.slice(1).reduce((a, b) => a * b, 1);
  return {
    op: "Conv2D",
    attrs,
    inputs: [
      { dtype: type, shape: x, quant: q8(0.03, type === "int8" ? -5 : 117) },
      { dtype: type, shape: w, quant: wq, constant: true },
      { dtype: "int32", shape: [w[0] as number], range: [-900, 900], constant: true },
    ],
    outputs: [{ dtype: type, quant: q8(0.05 * Math.sqrt(k), type === "int8" ? 4 : 130) }],
  };
}

checkOp("Conv2D: quantised, per tensor and per channel", [
  quantized([1, 5, 5, 3], [8, 3, 3, 3], { padding: "same_upper" }),
  quantized([2, 6, 7, 16], [24, 1, 1, 16]),
  quantized([1, 6, 7, 5], [7, 3, 3, 5], { strides: [2, 2], padding: "same_upper" }, q8(0.02)),
  quantized([1, 8, 8, 16], [16, 3, 3, 1], { group: 16, padding: "same_upper" }),
  quantized([1, 8, 8, 3], [6, 3, 3, 1], { group: 3, padding: "same_upper" }),
  quantized([1, 8, 8, 4], [6, 3, 3, 2], { group: 2, pads: [1, 1, 1, 1] }),
  quantized([1, 6, 7, 8], [16, 3, 3, 8], { pads: [1, 1, 1, 1] }, q8(0.01, 131), "uint8"),
  quantized(
    [1, 9, 9, 8],
    [8, 3, 3, 1],
    { group: 8, strides: [2, 2], padding: "same_upper" },
    q8(0.01, 120),
    "uint8",
  ),
  quantized([1, 5, 5, 3], [4, 3, 3, 3], {}, q8([0.01, 0.02, 0.03, 0.04], [3, -2, 0, 9])),
]);

checkOp("Conv2D: other quantised forms", [
  // float activations, int8 weights
  {
    op: "Conv2D",
    inputs: [
      { shape: [1, 5, 5, 3] },
      { dtype: "int8", shape: [4, 3, 3, 3], quant: perChannel(4), constant: true },
      { shape: [4], constant: true },
    ],
    tolerance: 5e-6,
  },
  // 16-bit activations, int64 bias
  {
    op: "Conv2D",
    inputs: [
      { dtype: "int16", shape: [1, 5, 5, 3], quant: q8(0.001) },
      { dtype: "int8", shape: [4, 3, 3, 3], quant: perChannel(4), constant: true },
      { dtype: "int64", shape: [4], range: [-1000, 1000], constant: true },
    ],
    outputs: [{ dtype: "int16", quant: q8(0.002) }],
  },
  // the plain accumulator (ConvInteger): (q − zero point) sums
  {
    op: "Conv2D",
    inputs: [
      { dtype: "uint8", shape: [1, 3, 3, 1], data: count(9, 2), quant: q8(1, 1) },
      { dtype: "uint8", shape: [1, 2, 2, 1], data: [1, 1, 1, 1], quant: q8(1, 0), constant: true },
    ],
    outputs: [{ dtype: "int32" }],
    expect: [12, 16, 24, 28],
  },
  // quantised in, float out
  {
    op: "Conv2D",
    inputs: [
      { dtype: "int8", shape: [1, 4, 4, 3], quant: q8(0.1, 3) },
      { dtype: "int8", shape: [2, 1, 1, 3], quant: perChannel(2), constant: true },
    ],
    outputs: [{ dtype: "float32" }],
  },
]);

function transposed(x: S, w: S, attrs: Attrs = {}, bias = true): OpCase {
  const o = (w[3] as number) * ((attrs.group as number | undefined) ?? 1);
  return {
    op: "ConvTranspose2D",
    attrs,
    inputs: [{ shape: x }, { shape: w, constant: true }, ...(bias ? [{ shape: [o], constant: true }] : [])],
    tolerance: 5e-6,
  };
}

checkOp("ConvTranspose2D", [
  // ONNX documentation, ConvTranspose, one channel
  {
    op: "ConvTranspose2D",
    inputs: [
      { shape: [1, 3, 3, 1], data: count(9) },
      { shape: [1, 3, 3, 1], data: new Array<number>(9).fill(1), constant: true },
    ],
    expect: [0, 1, 3, 3, 2, 3, 8, 15, 12, 7, 9, 21, 36, 27, 15, 9, 20, 33, 24, 13, 6, 13, 21, 15, 8],
  },
  // …and its dilations example: out[1,5,5]
  {
    op: "ConvTranspose2D",
    attrs: { dilations: [2, 2] },
    inputs: [
      { shape: [1, 3, 3, 1], data: [3, 8, 1, 9, 5, 7, 3, 2, 6] },
      { shape: [1, 2, 2, 1], data: [7, 2, 1, 9], constant: true },
    ],
    expect: [21, 56, 13, 16, 2, 63, 35, 67, 10, 14, 24, 22, 76, 76, 21, 9, 5, 88, 45, 63, 3, 2, 33, 18, 54],
  },
  transposed([1, 3, 3, 2], [2, 2, 2, 4], { strides: [2, 2] }),
  transposed([2, 3, 4, 3], [3, 3, 3, 5], { strides: [2, 2], pads: [1, 1, 1, 1] }),
  transposed([1, 3, 4, 3], [3, 3, 3, 5], { strides: [2, 2], pads: [1, 1, 1, 1], outputPadding: [1, 1] }),
  transposed([1, 3, 4, 3], [3, 4, 4, 2], { strides: [2, 2], padding: "same_upper" }, false),
  transposed([1, 3, 4, 3], [3, 3, 3, 2], { strides: [2, 2], padding: "same_lower" }),
  transposed([1, 3, 4, 3], [3, 3, 3, 2], { strides: [3, 2], outputShape: [10, 8] }),
  transposed([1, 3, 4, 3], [3, 3, 3, 2], { strides: [2, 2], padding: "valid", outputShape: [8, 10] }),
  transposed([1, 5, 4, 4], [4, 3, 3, 3], { group: 2, strides: [1, 2] }),
  transposed([1, 4, 4, 6], [6, 2, 2, 1], { group: 6, strides: [2, 2] }),
  transposed([1, 4, 4, 6], [6, 3, 3, 2], { dilations: [2, 2], pads: [1, 2, 0, 1] }),
  {
    op: "ConvTranspose2D",
    attrs: { strides: [2, 2], padding: "same_upper" },
    inputs: [
      { dtype: "int8", shape: [1, 3, 3, 4], quant: q8(0.02, 7) },
      { dtype: "int8", shape: [4, 3, 3, 5], quant: perChannel(5, 3), constant: true },
      { dtype: "int32", shape: [5], range: [-500, 500], constant: true },
    ],
    outputs: [{ dtype: "int8", quant: q8(0.3, -3) }],
  },
]);

function dense(x: S, w: S, attrs: Attrs = {}, bias = true): OpCase {
  return {
    op: "Dense",
    attrs,
    inputs: [
      { shape: x },
      { shape: w, constant: true },
      ...(bias ? [{ shape: [w[0] as number], constant: true }] : []),
    ],
    tolerance: 5e-6,
  };
}

checkOp("Dense", [
  {
    op: "Dense",
    inputs: [
      { shape: [2, 2], data: [1, 2, 3, 4] },
      { shape: [3, 2], data: [1, 0, 0, 1, 1, 1] },
      { shape: [3], data: [10, 20, 30] },
    ],
    expect: [11, 22, 33, 13, 24, 37],
  },
  dense([1, 16], [8, 16]),
  dense([5, 17], [9, 17]),
  dense([7], [3, 7]),
  dense([2, 3, 17], [9, 17], {}, false),
  dense([2, 3, 4, 5], [6, 5]),
  dense([2, 3, 4, 5], [6, 60], { keepDims: false }),
  dense([2, 3, 4], [6, 4], { keepDims: false }),
  dense([1, 1, 1, 64], [10, 64], { keepDims: false }),
  dense([8], [3, 8], { keepDims: false }),
  dense([0, 4], [3, 4]),
  dense([64, 128], [40, 128]),
  {
    op: "Dense",
    inputs: [
      { dtype: "int8", shape: [3, 20], quant: q8(0.05, -9) },
      { dtype: "int8", shape: [7, 20], quant: q8(0.01), constant: true },
      { dtype: "int32", shape: [7], range: [-2000, 2000], constant: true },
    ],
    outputs: [{ dtype: "int8", quant: q8(0.2, 11) }],
  },
  {
    op: "Dense",
    inputs: [
      { dtype: "int8", shape: [1, 2, 2, 20], quant: q8(0.05, -9) },
      { dtype: "int8", shape: [7, 80], quant: perChannel(7), constant: true },
      { dtype: "int32", shape: [7], range: [-2000, 2000], constant: true },
    ],
    attrs: { keepDims: false },
    outputs: [{ dtype: "int8", quant: q8(0.4, 11) }],
  },
  {
    op: "Dense",
    inputs: [{ shape: [2, 9] }, { dtype: "int8", shape: [4, 9], quant: perChannel(4), constant: true }],
    tolerance: 5e-6,
  },
]);

const mm = (a: S, b: S, attrs: Attrs = {}, dtype: "float32" | "int32" = "float32"): OpCase => ({
  op: "MatMul",
  attrs,
  inputs: [
    { shape: a, dtype },
    { shape: b, dtype },
  ],
  tolerance: 5e-6,
});

checkOp("MatMul", [
  {
    op: "MatMul",
    inputs: [
      { shape: [2, 2], data: [1, 2, 3, 4] },
      { shape: [2, 2], data: [5, 6, 7, 8] },
    ],
    expect: [19, 22, 43, 50],
  },
  mm([3, 4], [4, 5]),
  mm([4, 3], [4, 5], { transposeA: true }),
  mm([3, 4], [5, 4], { transposeB: true }),
  mm([4, 3], [5, 4], { transposeA: true, transposeB: true }),
  mm([2, 3, 4], [4, 5]),
  mm([2, 3, 4], [2, 4, 5]),
  mm([2, 1, 3, 4], [3, 4, 5]),
  mm([1, 2, 3, 4], [1, 1, 4, 5]),
  mm([2, 2, 6, 8], [2, 2, 6, 8], { transposeB: true }),
  { ...mm([4], [4]), expectShape: [] },
  { ...mm([4], [4, 5]), expectShape: [5] },
  { ...mm([3, 4], [4]), expectShape: [3] },
  { ...mm([2, 3, 4], [4]), expectShape: [2, 3] },
  { ...mm([4], [2, 4, 5]), expectShape: [2, 5] },
  mm([0, 4], [4, 5]),
  mm([3, 0], [0, 5]),
  mm([3, 4], [4, 5], {}, "int32"),
  mm([33, 64], [64, 50]),
  {
    op: "MatMul",
    inputs: [
      { dtype: "int8", shape: [2, 3, 8], quant: q8(0.1, 5) },
      { dtype: "int8", shape: [2, 8, 4], quant: q8(0.07, -6) },
    ],
    outputs: [{ dtype: "int8", quant: q8(1.3, 2) }],
  },
  {
    op: "MatMul",
    inputs: [
      { dtype: "uint8", shape: [2, 3, 300], quant: q8(0.1, 5) },
      { dtype: "int8", shape: [2, 4, 300], quant: q8(0.07, -6) },
    ],
    attrs: { transposeB: true },
    outputs: [{ dtype: "uint8", quant: q8(9.7, 101) }],
  },
  {
    op: "MatMul",
    inputs: [
      { dtype: "uint8", shape: [3, 8], quant: q8(0.1, 5) },
      { dtype: "int8", shape: [8, 4], quant: perChannel(4, 1) },
    ],
    outputs: [{ dtype: "uint8", quant: q8(1.3, 100) }],
  },
  // ONNX documentation, MatMulInteger
  {
    op: "MatMul",
    inputs: [
      { dtype: "uint8", shape: [4, 3], data: [11, 7, 3, 10, 6, 2, 9, 5, 1, 8, 4, 0], quant: q8(1, 12) },
      { dtype: "uint8", shape: [3, 2], data: [1, 4, 2, 5, 3, 6], quant: q8(1, 0) },
    ],
    outputs: [{ dtype: "int32" }],
    expect: [-38, -83, -44, -98, -50, -113, -56, -128],
  },
]);

// Weights that are computed cannot be rearranged: each phase is a nest of its own.
const computed = (c: OpCase): OpCase => ({
  ...c,
  inputs: c.inputs.map((t) => t && { ...t, constant: false }),
});
checkOp(
  "ConvTranspose2D with computed weights",
  [
    transposed([1, 3, 3, 2], [2, 2, 2, 4], { strides: [2, 2] }),
    transposed([2, 3, 4, 3], [3, 3, 3, 5], { strides: [2, 2], pads: [1, 1, 1, 1] }),
    transposed([1, 3, 4, 3], [3, 4, 4, 2], { strides: [2, 2], padding: "same_upper" }, false),
    transposed([1, 3, 4, 3], [3, 2, 2, 2], { strides: [3, 3] }),
    transposed([1, 3, 4, 3], [3, 3, 3, 2], { strides: [3, 2], outputShape: [10, 8] }),
    transposed([1, 5, 4, 4], [4, 3, 3, 3], { group: 2, strides: [1, 2], dilations: [1, 2] }),
    transposed([1, 5, 4, 4], [4, 3, 3, 3], { strides: [2, 2], dilations: [2, 3] }),
    transposed([1, 5, 4, 4], [4, 3, 3, 3], { strides: [4, 6], dilations: [2, 3] }),
  ].map(computed),
);
checkOp("ConvTranspose2D: more phases and cuts", [
  transposed([1, 3, 4, 3], [3, 2, 2, 2], { strides: [3, 3] }),
  transposed([1, 4, 4, 8], [8, 4, 4, 16], { strides: [2, 2], pads: [1, 1, 1, 1] }),
  transposed([1, 4, 4, 8], [8, 4, 4, 1], { strides: [2, 2], pads: [1, 0, 1, 2] }),
  transposed([1, 4, 4, 8], [8, 3, 5, 3], { strides: [1, 1], pads: [1, 2, 1, 2] }),
  transposed([1, 4, 4, 8], [8, 3, 3, 3], { strides: [1, 1], pads: [4, 4, 0, 0] }),
  transposed([1, 1, 1, 4], [4, 5, 5, 3], { strides: [4, 4] }),
  transposed([0, 4, 4, 4], [4, 2, 2, 3], { strides: [2, 2] }),
  transposed([1, 5, 4, 4], [4, 3, 3, 3], { strides: [2, 2], dilations: [2, 3] }),
]);

const half = (c: OpCase): OpCase => ({
  ...c,
  inputs: c.inputs.map((t) => t && { ...t, dtype: "float16" as const }),
  tolerance: 2e-3,
});
checkOp(
  "float16 tensors: stored halves, float32 sums",
  [
    conv([1, 8, 8, 4], [8, 1, 1, 4]),
    conv([1, 7, 6, 8], [16, 3, 3, 8], { padding: "same_upper", strides: [2, 2] }),
    conv([1, 6, 6, 16], [16, 3, 3, 1], { group: 16, padding: "same_upper" }),
    transposed([2, 3, 4, 3], [3, 3, 3, 5], { strides: [2, 2], pads: [1, 1, 1, 1] }),
    dense([5, 17], [9, 17]),
    mm([2, 3, 4], [2, 4, 5]),
  ].map(half),
);

test("symbolic sizes", () => {
  const infer = (attrs: Attrs) => {
    const node = {
      op: "Conv2D",
      name: "c",
      attrs,
      outputs: [value("y", "float32")],
      inputs: [value("x", "float32", ["N", "H", "W", 3]), value("w", "float32", [8, 3, 3, 3])],
    };
    return inferNode(node, new Map())[0]?.shape;
  };
  assert.deepEqual(infer({}), ["N", "H + -2", "W + -2", 8]);
  assert.deepEqual(infer({ pads: [1, 1, 1, 1] }), ["N", "H", "W", 8]);
  assert.deepEqual(infer({ padding: "same_upper" }), ["N", "H", "W", 8]);
  assert.deepEqual(infer({ padding: "same_upper", strides: [2, 2] }), [
    "N",
    "floordiv(H + 1, 2)",
    "floordiv(W + 1, 2)",
    8,
  ]);
});

test("what cannot be convolved is named", () => {
  const node =
    (x: S, w: S, attrs: Attrs = {}) =>
    () =>
      inferNode(
        {
          op: "Conv2D",
          name: "c",
          attrs,
          inputs: [value("x", "float32", x), value("w", "float32", w)],
          outputs: [value("y", "float32")],
        },
        new Map(),
      );
  assert.throws(node([1, 5, 5, 3], [8, 3, 3, 4]), /3 input channels do not fit 1 groups of 4/);
  assert.throws(node([1, 2, 2, 3], [8, 3, 3, 3]), /a window of 3 does not fit 2/);
  assert.throws(node([5, 5, 3], [8, 3, 3, 3]), /must have 4 axes/);
  assert.throws(node([1, 5, 5, 4], [7, 3, 3, 2], { group: 2 }), /do not divide/);
  assert.throws(node([1, 5, 5, 3], [8, 3, 3, 3], { strides: [0, 1] }), /strides/);
  assert.throws(node([1, 5, 5, 3], [8, 3, 3, 3], { padding: "full" }), /padding "full"/);
});
