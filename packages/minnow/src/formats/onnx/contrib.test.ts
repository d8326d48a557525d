// Quantised operators of com.microsoft against what ONNX Runtime gives.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  byte,
  bytes,
  type Case,
  checkCases,
  floats,
  list,
  run,
  scalar,
  type Value,
} from "./contrib.test.helper.js";

const scales = list("float", 0.01, 0.011, 0.012);
const [m, k, n] = [2, 9, 3];
const x: Value = ["uint8", [m, k], bytes(m * k, 37)];
const reals: Value = ["float", [m, k], floats(m * k, 29)];
const unsigned: Value = ["uint8", [k, n], bytes(k * n, 61)];
const signed = (dims: number[]): Value => ["int8", dims, bytes(k * n, 61, -128)];

const cases: Case[] = [
  {
    op: "QGemm",
    attrs: { transB: 1, alpha: { float: 1 } },
    inputs: [
      ["x", x],
      ["sx:", scalar(0.02)],
      ["zx:", byte(128)],
      ["w:", signed([n, k])],
      ["sw:", scales],
      ["zw:", list("int8", 0, 0, 0)],
      ["b:", list("int32", 300, -200, 100)],
      ["sy:", scalar(0.05)],
      ["zy:", byte(120)],
    ],
    want: [135, 157, 124, 241, 129, 31],
    type: "uint8",
    off: 0,
  },
  {
    op: "QGemm",
    attrs: { alpha: { float: 0.5 } },
    inputs: [
      ["x", x],
      ["sx:", scalar(0.02)],
      ["zx:", byte(128)],
      ["w:", signed([k, n])],
      ["sw:", scales],
      ["zw:", list("int8", 0, 0, 0)],
      ["b:", list("int32", 300, -200, 100)],
    ],
    want: [2.2992, -0.3168, 1.008, 1.686, -1.94513, 1.32456],
  },
  {
    op: "QLinearWhere",
    inputs: [
      ["k", list("bool", 1, 0, 0, 1, 1, 0)],
      ["a", ["uint8", [6], bytes(6, 37)]],
      ["sa:", scalar(0.02)],
      ["za:", byte(128)],
      ["b", ["uint8", [6], bytes(6, 91)]],
      ["sb:", scalar(0.03)],
      ["zb:", byte(100)],
      ["sy:", scalar(0.04)],
      ["zy:", byte(110)],
    ],
    want: [46, 103, 172, 102, 120, 184],
    type: "uint8",
    off: 1,
  },
  {
    op: "MatMulIntegerToFloat",
    inputs: [
      ["a", x],
      ["w:", unsigned],
      ["sa:", scalar(0.02)],
      ["sw:", scales],
      ["za:", byte(131)],
      ["zw:", list("uint8", 128, 127, 130)],
      ["b:", list("float", 0.5, -0.25, 1)],
    ],
    want: [5.156, -0.9826, 3.25216, 3.9296, -4.19944, 3.7984],
  },
  {
    op: "DynamicQuantizeMatMul",
    inputs: [
      ["a", reals],
      ["w:", unsigned],
      ["sw:", scales],
      ["zw:", list("uint8", 128, 127, 130)],
      ["b:", list("float", 0.5, -0.25, 1)],
    ],
    want: [0.4333647, 5.972946, 9.658975, -4.166729, -9.895629, -1.622042],
  },
  {
    op: "DynamicQuantizeMatMul",
    inputs: [
      ["a", reals],
      ["w:", signed([k, n])],
      ["sw:", scalar(0.01)],
    ],
    want: [-0.0666353, 5.651953, 7.226353, -4.666729, -8.892236, -1.938071],
  },
  {
    op: "QuantizeLinear",
    inputs: [
      ["x", ["float", [6], floats(6, 29)]],
      ["s:", scalar(0.05)],
      ["z:", ["int8", [], [3]]],
    ],
    want: [-77, -19, 39, 97, -39, 19],
    type: "int8",
    off: 0,
  },
  {
    op: "DequantizeLinear",
    inputs: [
      ["x", ["uint8", [6], bytes(6, 37)]],
      ["s:", scalar(0.05)],
      ["z:", byte(3)],
    ],
    want: [-0.15, 1.7, 3.55, 5.4, 7.25, 9.1],
  },
];

interface Lstm {
  type: "int8" | "uint8";
  direction: string;
  /** Steps, batch, inputs, hidden. */
  sizes: [number, number, number, number];
  perRow: boolean;
  states: boolean;
  want: number[];
  more: number[][];
}

function lstm({ type, direction, sizes, perRow, states, want, more }: Lstm): Case {
  const [steps, batch, size, hidden] = sizes;
  const d = direction === "bidirectional" ? 2 : 1;
  const rows = 4 * hidden;
  const low = type === "int8" ? -128 : 0;
  const dims = perRow ? [d, rows] : [d];
  const many = (f: (i: number) => number): number[] =>
    Array.from({ length: perRow ? d * rows : d }, (_, i) => f(i));
  const state = (step: number, by: number): Value => [
    "float",
    [d, batch, hidden],
    floats(d * batch * hidden, step).map((v) => v / by),
  ];
  const zeros: Value = [type, dims, many(() => low + 128)];
  return {
    op: "DynamicQuantizeLSTM",
    attrs: { direction, hidden_size: hidden },
    inputs: [
      ["x", ["float", [steps, batch, size], floats(steps * batch * size, 29).map((v) => v / 4)]],
      ["w:", [type, [d, size, rows], bytes(d * size * rows, 61, low)]],
      ["r:", [type, [d, hidden, rows], bytes(d * hidden * rows, 91, low)]],
      [
        "b:",
        ["float", [d, 2 * rows], Array.from({ length: 2 * d * rows }, (_, i) => ((i * 13) % 17) / 10 - 0.8)],
      ],
      null,
      states ? ["h", state(31, 8)] : null,
      states ? ["c", state(17, 4)] : null,
      null,
      ["ws:", ["float", dims, many((i) => 0.004 + (i % 7) / 1000)]],
      ["wz:", zeros],
      ["rs:", ["float", dims, many((i) => 0.005 + (i % 5) / 1000)]],
      ["rz:", zeros],
    ],
    want,
    more,
    off: 2e-6,
  };
}

cases.push(
  lstm({
    type: "int8",
    direction: "forward",
    sizes: [3, 1, 4, 3],
    perRow: false,
    states: false,
    want: [
      0.07331129, 0.1192968, -0.1352136, 0.08583423, 0.131894, 0.01019333, 0.05807308, 0.1183963, -0.014412,
    ],
    more: [
      [0.05807308, 0.1183963, -0.014412],
      [0.1426955, 0.3570927, -0.02942358],
    ],
  }),
  lstm({
    type: "int8",
    direction: "bidirectional",
    sizes: [2, 2, 3, 2],
    perRow: true,
    states: true,
    want: [
      ...[0.05826567, -0.2475098, 0.01914311, 0.02730841, 0.382185, 0.04263781, 0.2270444, 0.02282353],
      ...[0.04917317, -0.2182213, 0.02147978, 0.01970009, 0.4682517, 0.2791468, -0.008779945, -0.1358619],
    ],
    more: [
      [0.04917317, -0.2182213, 0.02147978, 0.01970009, 0.382185, 0.04263781, 0.2270444, 0.02282353],
      [0.07859945, -0.6458865, 0.03855304, 0.03656124, 0.519841, 0.06578061, 0.3411559, 0.03998877],
    ],
  }),
  lstm({
    type: "uint8",
    direction: "reverse",
    sizes: [3, 1, 5, 2],
    perRow: true,
    states: false,
    want: [0.01427141, -0.1365745, -0.009113616, -0.07331023, -0.01405461, -0.002979695],
    more: [
      [0.01427141, -0.1365745],
      [0.02719164, -0.4978173],
    ],
  }),
);

test("DynamicQuantizeLSTM of two directions with weights of one is refused", async () => {
  const { op, attrs, inputs } = lstm({
    type: "int8",
    direction: "forward",
    sizes: [3, 1, 4, 3],
    perRow: false,
    states: false,
    want: [],
    more: [],
  });
  const both = { op, attrs: { ...attrs, direction: "bidirectional" }, inputs, want: [] };
  await assert.rejects(run(both, 3), { code: "bad_graph", op });
});

checkCases(cases);
