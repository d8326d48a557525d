// Pooling, reductions, softmax, normalisation, running sums: axes, windows, empty and hostile input, integers
// and quantisation against the references; the references against documentation and numpy.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checkOp, type OpCase, q8 } from "./harness.js";
import type { Attrs } from "../graph/graph.js";
import type { DType } from "../graph/dtype.js";

type S = readonly number[];
const count = (n: number, from = 0): number[] => Array.from({ length: n }, (_, i) => i + from);
const pool = (op: string, x: S, attrs: Attrs): OpCase => ({ op, attrs, inputs: [{ shape: x }] });
const ramp5 = { shape: [1, 5, 5, 1], data: count(25, 1) };

const windowsToTry: [S, Attrs][] = [
  [[1, 4, 4, 3], { kernel: [2, 2], strides: [2, 2] }],
  [[2, 7, 6, 5], { kernel: [3, 3], strides: [2, 2], padding: "same_upper" }],
  [[1, 7, 6, 5], { kernel: [3, 2], strides: [1, 2], padding: "same_lower" }],
  [[1, 7, 6, 5], { kernel: [3, 2], padding: "valid" }],
  [[1, 7, 7, 8], { kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }],
  [[1, 7, 7, 8], { kernel: [3, 3], strides: [2, 2], pads: [0, 1, 1, 0], ceilMode: true }],
  [[1, 8, 8, 16], { kernel: [3, 3], strides: [3, 2], ceilMode: true }],
  [[1, 2, 2, 1], { kernel: [1, 1], strides: [2, 2], ceilMode: true }],
  [[1, 9, 9, 3], { kernel: [2, 3], dilations: [3, 2] }],
  [[1, 7, 7, 33], { kernel: [7, 7] }],
  [[0, 4, 4, 3], { kernel: [2, 2] }],
];

checkOp(
  "pooling: windows",
  windowsToTry.flatMap(([x, attrs]) => [
    pool("MaxPool2D", x, attrs),
    pool("AvgPool2D", x, attrs),
    pool("AvgPool2D", x, { ...attrs, countPads: true }),
  ]),
);

checkOp("pooling: the examples of the ONNX documentation", [
  {
    op: "MaxPool2D",
    attrs: { kernel: [5, 5], pads: [2, 2, 2, 2] },
    inputs: [ramp5],
    expect: [
      13, 14, 15, 15, 15, 18, 19, 20, 20, 20, 23, 24, 25, 25, 25, 23, 24, 25, 25, 25, 23, 24, 25, 25, 25,
    ],
  },
  {
    op: "MaxPool2D",
    attrs: { kernel: [3, 3], strides: [2, 2], padding: "same_upper" },
    inputs: [ramp5],
    expect: [7, 9, 10, 17, 19, 20, 22, 24, 25],
  },
  {
    op: "MaxPool2D",
    attrs: { kernel: [3, 3], strides: [2, 2], ceilMode: true },
    inputs: [{ shape: [1, 4, 4, 1], data: count(16, 1) }],
    expect: [11, 12, 15, 16],
  },
  {
    op: "MaxPool2D",
    attrs: { kernel: [2, 2], dilations: [2, 2] },
    inputs: [{ shape: [1, 4, 4, 1], data: count(16, 1) }],
    expect: [11, 12, 15, 16],
  },
  {
    op: "AvgPool2D",
    attrs: { kernel: [3, 3], strides: [2, 2], padding: "same_upper" },
    inputs: [ramp5],
    expect: [4, 5.5, 7, 11.5, 13, 14.5, 19, 20.5, 22],
  },
  {
    op: "AvgPool2D",
    attrs: { kernel: [5, 5], pads: [2, 2, 2, 2] },
    inputs: [ramp5],
    expect: [
      7, 7.5, 8, 8.5, 9, 9.5, 10, 10.5, 11, 11.5, 12, 12.5, 13, 13.5, 14, 14.5, 15, 15.5, 16, 16.5, 17, 17.5,
      18, 18.5, 19,
    ],
  },
  {
    op: "AvgPool2D",
    attrs: { kernel: [3, 3], strides: [2, 2], ceilMode: true },
    inputs: [{ shape: [1, 4, 4, 1], data: count(16, 1) }],
    expect: [6, 7.5, 12, 13.5],
  },
  {
    op: "AvgPool2D",
    attrs: { kernel: [5, 5], pads: [2, 2, 2, 2], countPads: true },
    inputs: [ramp5],
    expect: [
      2.52, 3.6, 4.8, 4.08, 3.24, 4.56, 6.4, 8.4, 7.04, 5.52, 7.2, 10, 13, 10.8, 8.4, 6.96, 9.6, 12.4, 10.24,
      7.92, 6.12, 8.4, 10.8, 8.88, 6.84,
    ],
  },
]);

const a8 = q8(0.04, 9);
checkOp("pooling: NaN, infinities, integers", [
  {
    op: "MaxPool2D",
    attrs: { kernel: [2, 2], pads: [1, 1, 0, 0] },
    inputs: [{ shape: [1, 2, 2, 1], data: [Number.NaN, -Infinity, 3, -1] }],
  },
  {
    op: "AvgPool2D",
    attrs: { kernel: [2, 2], pads: [1, 1, 0, 0] },
    inputs: [{ shape: [1, 2, 2, 1], data: [Infinity, -Infinity, 3, -1] }],
  },
  {
    op: "MaxPool2D",
    attrs: { kernel: [3, 3], padding: "same_upper" },
    inputs: [{ dtype: "int8", shape: [1, 5, 5, 17], quant: a8 }],
    outputs: [{ dtype: "int8", quant: a8 }],
    tolerance: 0,
  },
  {
    op: "MaxPool2D",
    attrs: { kernel: [2, 2] },
    inputs: [{ dtype: "uint8", shape: [1, 5, 5, 4] }],
    outputs: [{ dtype: "uint8" }],
  },
  {
    op: "AvgPool2D",
    attrs: { kernel: [3, 3], padding: "same_upper" },
    inputs: [{ dtype: "int8", shape: [1, 5, 5, 17], quant: a8 }],
    outputs: [{ dtype: "int8", quant: a8 }],
  },
  {
    op: "AvgPool2D",
    attrs: { kernel: [7, 7] },
    inputs: [{ dtype: "uint8", shape: [1, 7, 7, 20], quant: q8(0.1, 128) }],
    outputs: [{ dtype: "uint8", quant: q8(0.1, 128) }],
  },
  {
    op: "AvgPool2D",
    attrs: { kernel: [3, 3], pads: [1, 1, 1, 1], countPads: true },
    inputs: [{ dtype: "int8", shape: [1, 5, 5, 3], quant: a8 }],
    outputs: [{ dtype: "int8", quant: q8(0.03, -2) }],
  },
  {
    op: "AvgPool2D",
    attrs: { kernel: [3, 3], pads: [1, 1, 1, 1] },
    inputs: [{ dtype: "int8", shape: [1, 5, 5, 3], quant: a8 }],
    outputs: [{ dtype: "int8", quant: q8(0.03, -2) }],
  },
  {
    op: "AvgPool2D",
    attrs: { kernel: [1, 2] },
    inputs: [{ dtype: "int8", shape: [1, 1, 4, 1], data: [1, 2, -3, -4], quant: q8(1) }],
    outputs: [{ dtype: "int8", quant: q8(1) }],
    expect: [2, -1, -4],
    tolerance: 0,
  },
]);

const sums = [
  "ReduceSum",
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
  "ReduceProd",
  "ReduceL1",
  "ReduceL2",
  "ReduceSumSquare",
  "ReduceLogSumExp",
];
const axesToTry: [S, Attrs][] = [
  [[7], { axes: [0] }],
  [[3, 4, 5], { axes: [1] }],
  [[3, 4, 5], { axes: [0, -1], keepDims: false }],
  [[3, 4, 5], {}],
  [[3, 4, 5], { noopWithEmptyAxes: true }],
  [[2, 5, 5, 9], { axes: [1, 2] }],
  [[2, 5, 5, 9], { axes: [1, 2], keepDims: false }],
  [[], {}],
  [[2, 1, 3, 1, 2, 2], { axes: [2, 4, 5] }],
  [[0, 3], { axes: [1] }],
  [[6, 40], { axes: [1] }],
  [[40, 6], { axes: [0] }],
];

checkOp(
  "reductions: axes",
  sums.flatMap((op) => axesToTry.map(([shape, attrs]): OpCase => ({ op, attrs, inputs: [{ shape }] }))),
);

checkOp("reductions: integers, edge values, empty sets", [
  ...[
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceSumSquare",
  ].flatMap((op) =>
    (["int32", "int64"] as DType[]).map(
      (dtype): OpCase => ({ op, attrs: { axes: [1] }, inputs: [{ dtype, shape: [3, 5] }] }),
    ),
  ),
  ...["ReduceSum", "ReduceMax", "ReduceMin", "ReduceMean"].map(
    (op): OpCase => ({
      op,
      attrs: { axes: [1] },
      inputs: [{ shape: [3, 2], data: [Number.NaN, 1, Infinity, -Infinity, -Infinity, 2] }],
    }),
  ),
  {
    op: "ReduceLogSumExp",
    inputs: [{ shape: [4], data: [-Infinity, 1000, 999, 3] }],
    expect: [1000.3133],
    tolerance: 1e-6,
  },
  { op: "ReduceLogSumExp", inputs: [{ shape: [2], data: [-Infinity, -Infinity] }], expect: [-Infinity] },
  { op: "ReduceSum", attrs: { axes: [1] }, inputs: [{ shape: [2, 0] }], expect: [0, 0] },
  { op: "ReduceProd", attrs: { axes: [1] }, inputs: [{ shape: [2, 0] }], expect: [1, 1] },
  { op: "ReduceMax", attrs: { axes: [1] }, inputs: [{ shape: [2, 0] }], expect: [-Infinity, -Infinity] },
  {
    op: "ReduceSum",
    inputs: [
      { shape: [2, 3], data: count(6) },
      { dtype: "int64", shape: [1], data: [-1], constant: true },
    ],
    expect: [3, 12],
  },
  ...["ReduceAll", "ReduceAny"].flatMap((op): OpCase[] => [
    {
      op,
      attrs: { axes: [1] },
      inputs: [{ dtype: "bool", shape: [3, 2], data: [1, 1, 0, 1, 0, 0] }],
      outputs: [{ dtype: "bool" }],
    },
    {
      op,
      attrs: { axes: [1] },
      inputs: [{ dtype: "bool", shape: [2, 0] }],
      outputs: [{ dtype: "bool" }],
      expect: op === "ReduceAll" ? [1, 1] : [0, 0],
    },
  ]),
]);

checkOp(
  "reductions: quantised",
  ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"].flatMap((op): OpCase[] => {
    const out = q8(op === "ReduceSum" ? 0.6 : 0.05, -4);
    const x = { dtype: "int8" as const, shape: [2, 6, 7], quant: a8 };
    return [
      { op, attrs: { axes: [1] }, inputs: [x], outputs: [{ dtype: "int8", quant: out }] },
      {
        op,
        attrs: { axes: [1, 2], keepDims: false },
        inputs: [x],
        outputs: [{ dtype: "int8", quant: op === "ReduceSum" ? q8(2) : a8 }],
      },
    ];
  }),
);

checkOp(
  "ArgMax and ArgMin",
  ["ArgMax", "ArgMin"].flatMap((op): OpCase[] => [
    ...[0, 1, -1].map(
      (axis): OpCase => ({
        op,
        attrs: { axis, keepDims: axis !== 1 },
        inputs: [{ shape: [3, 4, 5] }],
        outputs: [{ dtype: "int64" }],
      }),
    ),
    {
      op,
      attrs: { axis: 0, to: "int32" },
      inputs: [{ dtype: "int32", shape: [6], data: [2, 9, 9, -1, -1, 9] }],
      outputs: [{ dtype: "int32" }],
      expect: op === "ArgMax" ? [1] : [3],
    },
    {
      op,
      attrs: { axis: 0, selectLast: true },
      inputs: [{ dtype: "int32", shape: [6], data: [2, 9, 9, -1, -1, 9] }],
      outputs: [{ dtype: "int64" }],
      expect: op === "ArgMax" ? [5] : [4],
    },
    {
      op,
      attrs: { axis: 1 },
      inputs: [{ dtype: "int8", shape: [3, 9], quant: a8 }],
      outputs: [{ dtype: "int64" }],
    },
    {
      op,
      attrs: { axis: 1 },
      inputs: [{ shape: [2, 3], data: [-Infinity, -Infinity, -Infinity, Infinity, 1, 2] }],
      outputs: [{ dtype: "int64" }],
    },
    { op, attrs: { axis: 3 }, inputs: [{ shape: [1, 5, 5, 21] }], outputs: [{ dtype: "int64" }] },
  ]),
);

checkOp(
  "Softmax and LogSoftmax",
  ["Softmax", "LogSoftmax"].flatMap((op): OpCase[] => [
    ...[0, 1, 2, -1].map((axis): OpCase => ({ op, attrs: { axis }, inputs: [{ shape: [3, 4, 5] }] })),
    { op, inputs: [{ shape: [2, 1001], range: [-9, 9] }] },
    { op, attrs: { beta: 0.5 }, inputs: [{ shape: [2, 7] }] },
    {
      op,
      inputs: [{ shape: [1, 3], data: [1000, 1001, 1002] }],
      expect: op === "Softmax" ? [0.09003057, 0.24472848, 0.66524094] : [-2.407606, -1.407606, -0.407606],
    },
    { op, inputs: [{ shape: [1, 3], data: [-Infinity, 0, 0] }] },
    { op, inputs: [{ shape: [0, 3] }] },
    { op, attrs: { axis: 0 }, inputs: [{ shape: [5] }] },
    {
      op,
      inputs: [{ dtype: "int8", shape: [3, 11], quant: q8(0.05, 3) }],
      outputs: [{ dtype: "int8", quant: op === "Softmax" ? q8(1 / 256, -128) : q8(16 / 256, 127) }],
    },
    {
      op,
      inputs: [{ dtype: "uint8", shape: [3, 11], quant: q8(0.05, 3) }],
      outputs: [{ dtype: "uint8", quant: op === "Softmax" ? q8(1 / 256, 0) : q8(16 / 256, 255) }],
    },
  ]),
);

const vec = (n: number, range: readonly [number, number] = [-2, 2], constant = true) => ({
  shape: [n],
  range,
  constant,
});
checkOp("normalisation", [
  ...[true, false].flatMap((constant): OpCase[] => [
    {
      op: "BatchNorm",
      attrs: { axis: 3 },
      inputs: [
        { shape: [2, 3, 4, 5] },
        vec(5, [-2, 2], constant),
        vec(5, [-1, 1], constant),
        vec(5, [-1, 1], constant),
        vec(5, [0.1, 2], constant),
      ],
    },
    {
      op: "BatchNorm",
      attrs: { axis: 1, epsilon: 0.01 },
      inputs: [
        { shape: [2, 5] },
        vec(5, [-2, 2], constant),
        vec(5, [-1, 1], constant),
        vec(5, [-1, 1], constant),
        vec(5, [0.1, 2], constant),
      ],
    },
  ]),
  {
    op: "BatchNorm",
    attrs: { axis: 1, epsilon: 0 },
    inputs: [
      { shape: [1, 2], data: [3, 5] },
      { shape: [2], data: [2, 1] },
      { shape: [2], data: [1, -1] },
      { shape: [2], data: [1, 1] },
      { shape: [2], data: [4, 16] },
    ],
    expect: [3, 0],
  },
  { op: "InstanceNorm", attrs: { axis: 3 }, inputs: [{ shape: [2, 3, 4, 5] }, vec(5), vec(5)] },
  { op: "InstanceNorm", attrs: { axis: 1 }, inputs: [{ shape: [2, 5, 6] }, vec(5), vec(5)] },
  { op: "LayerNorm", inputs: [{ shape: [2, 3, 8] }, vec(8), vec(8)] },
  {
    op: "LayerNorm",
    attrs: { axis: 1, epsilon: 0.1 },
    inputs: [{ shape: [2, 3, 8] }, { shape: [3, 8] }, { shape: [3, 8] }],
  },
  { op: "LayerNorm", attrs: { axis: 0 }, inputs: [{ shape: [2, 3] }] },
  { op: "LayerNorm", inputs: [{ shape: [2, 3, 8] }, vec(8), null] },
  { op: "LayerNorm", inputs: [{ shape: [4, 5], range: [1000, 1001] }, vec(5), vec(5)], tolerance: 1e-3 },
]);

const axis = (v: number) => ({ dtype: "int32" as const, shape: [], data: [v], constant: true });
checkOp("CumSum", [
  { op: "CumSum", inputs: [{ shape: [5], data: [1, 2, 3, 4, 5] }, axis(0)], expect: [1, 3, 6, 10, 15] },
  {
    op: "CumSum",
    attrs: { exclusive: true },
    inputs: [{ shape: [5], data: [1, 2, 3, 4, 5] }, axis(0)],
    expect: [0, 1, 3, 6, 10],
  },
  {
    op: "CumSum",
    attrs: { reverse: true },
    inputs: [{ shape: [5], data: [1, 2, 3, 4, 5] }, axis(0)],
    expect: [15, 14, 12, 9, 5],
  },
  {
    op: "CumSum",
    attrs: { exclusive: true, reverse: true },
    inputs: [{ shape: [5], data: [1, 2, 3, 4, 5] }, axis(0)],
    expect: [14, 12, 9, 5, 0],
  },
  { op: "CumSum", inputs: [{ shape: [3, 4, 5] }, axis(1)] },
  { op: "CumSum", attrs: { reverse: true }, inputs: [{ shape: [3, 4, 5] }, axis(-1)] },
  { op: "CumSum", inputs: [{ dtype: "int64", shape: [3, 4] }, axis(0)] },
  { op: "CumSum", inputs: [{ shape: [0, 4] }, axis(1)] },
]);

const f16 = (shape: S, range: readonly [number, number] = [-2, 2], constant = false) => ({
  dtype: "float16" as const,
  shape,
  range,
  constant,
});
checkOp(
  "float16 tensors",
  (
    [
      { op: "MaxPool2D", attrs: { kernel: [2, 2] }, inputs: [f16([1, 5, 5, 9])] },
      { op: "AvgPool2D", attrs: { kernel: [3, 3], padding: "same_upper" }, inputs: [f16([1, 5, 5, 9])] },
      { op: "ReduceMean", attrs: { axes: [1] }, inputs: [f16([3, 8, 5])] },
      { op: "ReduceMax", attrs: { axes: [-1] }, inputs: [f16([3, 8, 5])] },
      { op: "ReduceLogSumExp", attrs: { axes: [-1] }, inputs: [f16([3, 8, 5])] },
      { op: "ArgMax", attrs: { axis: 1 }, inputs: [f16([3, 8])], outputs: [{ dtype: "int64" }] },
      { op: "Softmax", inputs: [f16([3, 9])] },
      { op: "LogSoftmax", inputs: [f16([3, 9])] },
      { op: "CumSum", inputs: [f16([3, 9]), axis(1)] },
      { op: "LayerNorm", inputs: [f16([3, 9]), f16([9]), f16([9])] },
      {
        op: "BatchNorm",
        attrs: { axis: 1 },
        inputs: [f16([3, 4]), f16([4]), f16([4]), f16([4]), f16([4], [0.5, 2])],
      },
      {
        op: "BatchNorm",
        attrs: { axis: 1 },
        inputs: [f16([3, 4]), ...[-1, -1, -1, 0.5].map((lo) => f16([4], [lo, 2], true))],
      },
    ] as OpCase[]
  ).map((c) => ({ ...c, tolerance: 2e-3 })),
);

test("8-bit means by float32 division round as integer division does", () => {
  const f = Math.fround;
  for (let n = 1; n <= 4096; n++)
    for (let m = -128; m <= 127; m++)
      for (const near of [-1, 0, 1]) {
        const sum = Math.floor((m + 0.5) * n) + near;
        const exact = Math.trunc((sum + (sum < 0 ? -1 : 1) * Math.floor(n / 2)) / n);
        const float = Math.trunc(f(f(sum / n) + (sum < 0 ? -0.5 : 0.5)));
        if (float !== exact) assert.fail(`${sum} / ${n}: ${float}, wanted ${exact}`);
      }
});
