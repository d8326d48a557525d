// Element-wise operators: every one on every type it takes, on ordinary and on hostile numbers, broadcast
// and quantised; values from the papers' formulas, numpy or C where the reference itself needs a judge.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DType } from "../graph/dtype.js";
import { checkOp, type OpCase, q8 } from "./harness.js";
import { inferGraph, inferNode } from "./infer.js";
import { type Attrs, constant, Graph, type Tensor, value } from "../graph/graph.js";
import { runGraph, type RunValue } from "../runtime/run_graph.js";
import { evaluate } from "../targets/reference/index.js";

const edge = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  2.5,
  -2.5,
  3,
  1e-30,
  88,
  -88,
  700,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
];
const vector = (data: readonly number[], dtype: DType = "float32") => ({ dtype, shape: [data.length], data });

const anyNumber = ["Neg", "Abs", "Sign", "Square", "Relu", "Clip", "Identity"];
const real = [
  "Floor",
  "Ceil",
  "Round",
  "Sqrt",
  "Rsqrt",
  "Reciprocal",
  "Exp",
  "Log",
  "Sin",
  "Cos",
  "Tanh",
  "Sigmoid",
  "Erf",
  "Softplus",
  "Softsign",
  "HardSwish",
  "Mish",
  "LeakyRelu",
  "Elu",
  "Celu",
  "Selu",
  "HardSigmoid",
  "Gelu",
  "ThresholdedRelu",
];

const clip = (op: string) => (op === "Clip" ? { attrs: { min: -1.5, max: 3 } } : {});

checkOp("unary operators on edge values", [
  ...anyNumber.map((op): OpCase => ({ op, ...clip(op), inputs: [vector(edge)] })),
  ...real.filter((op) => op !== "Sin" && op !== "Cos").map((op): OpCase => ({ op, inputs: [vector(edge)] })),
]);

checkOp(
  "unary operators on random floats of every rank",
  [...anyNumber, ...real].flatMap((op): OpCase[] => {
    const range: readonly [number, number] =
      op === "Sqrt" || op === "Rsqrt" || op === "Log" ? [0.01, 9] : [-9, 9];
    return [[], [7], [0], [3, 5], [2, 0, 3], [2, 3, 4, 5], [1, 2, 1, 3, 2, 2]].map((shape) => ({
      op,
      ...clip(op),
      inputs: [{ shape, range }],
    }));
  }),
);

checkOp(
  "unary operators on integers and halves",
  anyNumber.flatMap((op): OpCase[] => [
    ...(["int32", "int64", "int8", "int16"] as const).map((dtype) => ({
      op,
      ...clip(op),
      inputs: [vector([-9, -1, 0, 1, 7, 100], dtype)],
    })),
    { op, ...clip(op), inputs: [vector([0, 1, 7, 255], "uint8")] },
    { op, ...clip(op), inputs: [vector([-1.5, 0, 2, 3.25], "float16")] },
  ]),
);

checkOp("values from the definitions", [
  { op: "Round", inputs: [vector([0.5, 1.5, 2.5, -0.5, -1.5, 2.4999])], expect: [0, 2, 2, -0, -2, 2] },
  {
    op: "Atan",
    inputs: [vector([-1e9, -1, -0.2, 0, 0.5, 1, 3, Number.POSITIVE_INFINITY, Number.NaN])],
    expect: [-1.5707964, -0.7853982, -0.19739556, 0, 0.4636476, 0.7853982, 1.2490457, 1.5707964, Number.NaN],
  },
  { op: "Gelu", inputs: [vector([-1, 0, 1, 2])], expect: [-0.15865525, 0, 0.84134475, 1.9544997] },
  { op: "Gelu", attrs: { approximate: "tanh" }, inputs: [vector([-1, 1])], expect: [-0.15880801, 0.841192] },
  { op: "Mish", inputs: [vector([-1, 0, 1, 30])], expect: [-0.30340144, 0, 0.86509836, 30] },
  {
    op: "Softplus",
    inputs: [vector([-20, -1, 0, 1])],
    expect: [2.0611537e-9, 0.31326166, Math.LN2, 1.3132616],
  },
  { op: "Selu", inputs: [vector([-1, 1])], expect: [-1.1113307, 1.050701] },
  { op: "Celu", attrs: { alpha: 2 }, inputs: [vector([-1, 3])], expect: [-0.7869387, 3] },
  { op: "Elu", attrs: { alpha: 2 }, inputs: [vector([-1, 3])], expect: [-1.2642411, 3] },
  { op: "HardSigmoid", inputs: [vector([-3, 0, 1, 3])], expect: [0, 0.5, 0.7, 1] },
  { op: "HardSwish", inputs: [vector([-4, -1, 1, 4])], expect: [0, -0.33333334, 0.6666667, 4] },
  { op: "Erf", inputs: [vector([-0.5, 0.1, 2])], expect: [-0.5204999, 0.112462915, 0.9953223] },
  {
    op: "Clip",
    attrs: { min: 0.5, max: 2.5 },
    inputs: [vector([-1, 0, 1, 2, 3], "int32")],
    expect: [1, 1, 1, 2, 2],
  },
  { op: "Not", inputs: [vector([0, 1], "bool")], expect: [1, 0] },
  { op: "Not", inputs: [vector([0, 5], "int32")], expect: [-1, -6] },
  {
    op: "PRelu",
    inputs: [{ shape: [2, 2], data: [-1, -2, 3, -4] }, vector([0.5, 0.25])],
    expect: [-0.5, -0.5, 3, -1],
  },
]);

const arithmetic = [
  "Add",
  "Sub",
  "Mul",
  "Div",
  "Min",
  "Max",
  "SquaredDifference",
  "FloorDiv",
  "FloorMod",
  "Mod",
  "Pow",
];
const comparisons = ["Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual"];

checkOp(
  "binary operators, broadcast both ways",
  [...arithmetic, ...comparisons].flatMap((op): OpCase[] => {
    const shapes: [number[], number[]][] = [
      [[5], [5]],
      [[], [3]],
      [[2, 3], [3]],
      [
        [2, 1, 4],
        [3, 1],
      ],
      [
        [1, 6],
        [4, 1],
      ],
      [
        [2, 3, 4, 5],
        [2, 1, 1, 5],
      ],
      [
        [0, 3],
        [1, 3],
      ],
      [[2, 8, 8, 16], [16]],
      [
        [4, 7, 16],
        [4, 7, 1],
      ],
    ];
    return shapes.map(([a, b]) => ({
      op,
      inputs: [
        { shape: a, range: [0.5, 3] },
        { shape: b, range: [0.5, 3] },
      ],
      tolerance: op === "Pow" ? 1e-5 : 2e-6,
    }));
  }),
);

checkOp(
  "binary operators on integers",
  [...arithmetic, ...comparisons].flatMap((op): OpCase[] =>
    (["int32", "int64"] as const).map((dtype) => ({
      op,
      inputs: [vector([7, -7, 7, -7, 6, 0, 3, 2], dtype), vector([3, 3, -3, -3, 3, 5, 0, 1], dtype)],
    })),
  ),
);

const nan = Number.NaN;
const inf = Number.POSITIVE_INFINITY;
checkOp("binary operators on edge values", [
  ...["Add", "Sub", "Mul", "Div", "Min", "Max", ...comparisons].map(
    (op): OpCase => ({
      op,
      inputs: [vector([nan, 1, inf, -inf, 0, 0, 1, nan, inf]), vector([1, nan, inf, inf, 0, -1, 0, nan, 0])],
    }),
  ),
  {
    op: "Div",
    inputs: [vector([7, -7, 7, -7], "int32"), vector([2, 2, -2, 0], "int32")],
    expect: [3, -3, -3, 0],
  },
  {
    op: "FloorDiv",
    inputs: [vector([7, -7, 7, -7], "int32"), vector([2, 2, -2, -2], "int32")],
    expect: [3, -4, -4, 3],
  },
  {
    op: "Mod",
    inputs: [vector([7, -7, 7, -7], "int64"), vector([3, 3, -3, -3], "int64")],
    expect: [1, -1, 1, -1],
  },
  {
    op: "FloorMod",
    inputs: [vector([7, -7, 7, -7], "int64"), vector([3, 3, -3, -3], "int64")],
    expect: [1, 2, -2, -1],
  },
  {
    op: "Mod",
    inputs: [vector([-4.3, 7.2, 5, 4.3, 5, -1]), vector([2.1, -3.4, 8, -2.1, inf, 0.3])],
    expect: [-0.1, 0.4, 5, 0.1, 5, -0.1],
    tolerance: 1e-6,
  },
  { op: "FloorMod", inputs: [vector([-4.3, 7.2, 5]), vector([2.1, -3.4, -8])], expect: [2, -3, -3] },
  {
    op: "Pow",
    inputs: [vector([2, -3, 3, 2, -1, 5], "int32"), vector([10, 3, 0, -1, -3, 1], "int32")],
    expect: [1024, -27, 1, 0, -1, 5],
  },
  { op: "Pow", inputs: [vector([2, 9, 2.5]), vector([3, 0, 2], "int64")], expect: [8, 1, 6.25] },
  { op: "Pow", inputs: [vector([2, 4, -2, 0, 0]), vector([-1, 0.5, 3, 0, 2])], expect: [0.5, 2, -8, 1, 0] },
  { op: "Add", inputs: [vector([200, 100], "uint8"), vector([100, 100], "uint8")], expect: [44, 200] },
  { op: "Mul", inputs: [vector([2147483647], "int32"), vector([2], "int32")], expect: [-2] },
  ...["And", "Or", "Xor"].flatMap((op): OpCase[] => [
    { op, inputs: [vector([0, 0, 1, 1], "bool"), vector([0, 1, 0, 1], "bool")] },
    { op, inputs: [vector([12, -1], "int32"), vector([10, 6], "int32")] },
  ]),
]);

const types: DType[] = ["float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool"];
checkOp(
  "Cast between all types",
  types.flatMap((from) =>
    types.map(
      (to): OpCase => ({
        op: "Cast",
        attrs: { to },
        inputs: [vector(from === "bool" ? [0, 1, 1] : from.startsWith("u") ? [0, 1, 200] : [0, 1, -7], from)],
      }),
    ),
  ),
);

checkOp("Cast cuts, saturates and wraps", [
  {
    op: "Cast",
    attrs: { to: "int32" },
    inputs: [vector([1.9, -1.9, 3e9, -3e9, nan, inf])],
    expect: [1, -1, 2147483647, -2147483648, 0, 2147483647],
  },
  { op: "Cast", attrs: { to: "uint8" }, inputs: [vector([1.9, -1, 300])], expect: [1, 0, 255] },
  { op: "Cast", attrs: { to: "int8" }, inputs: [vector([300, -129], "int32")], expect: [44, 127] },
  { op: "Cast", attrs: { to: "bool" }, inputs: [vector([0, 0.1, -2, nan])], expect: [0, 1, 1, 1] },
  {
    op: "Cast",
    attrs: { to: "float16" },
    inputs: [vector([1.0001, 70000, 1e-8])],
    expect: [1, inf, 0],
    tolerance: 0,
  },
]);

checkOp("Where", [
  {
    op: "Where",
    inputs: [vector([1, 0], "bool"), vector([1, 2]), vector([3, 4])],
    outputs: [{ dtype: "float32" }],
    expect: [1, 4],
  },
  { op: "Where", inputs: [{ dtype: "bool", shape: [2, 1, 3] }, { shape: [4, 1] }, { shape: [1] }] },
  {
    op: "Where",
    inputs: [
      { dtype: "bool", shape: [3] },
      { dtype: "int64", shape: [2, 3] },
      { dtype: "int64", shape: [] },
    ],
  },
  {
    op: "Where",
    inputs: [
      { dtype: "bool", shape: [9] },
      { dtype: "bool", shape: [9] },
      { dtype: "bool", shape: [9] },
    ],
  },
]);

const i8 = q8(0.05, 3);
const u8 = q8(0.02, 120);
checkOp("quantised element-wise operators", [
  ...["Add", "Sub", "Mul", "Min", "Max", "SquaredDifference"].flatMap((op): OpCase[] => [
    {
      op,
      inputs: [
        { dtype: "int8", shape: [2, 9], quant: i8 },
        { dtype: "int8", shape: [9], quant: q8(0.03, -7) },
      ],
      outputs: [{ dtype: "int8", quant: q8(0.11, -3) }],
    },
    {
      op,
      inputs: [
        { dtype: "uint8", shape: [70], quant: u8 },
        { dtype: "uint8", shape: [70], quant: u8 },
      ],
      outputs: [{ dtype: "uint8", quant: q8(0.04, 100) }],
    },
  ]),
  ...["Relu", "HardSwish", "Tanh", "Sigmoid", "LeakyRelu", "Abs", "Neg"].map(
    (op): OpCase => ({
      op,
      inputs: [{ dtype: "int8", shape: [77], quant: i8 }],
      outputs: [{ dtype: "int8", quant: q8(0.06, 1) }],
    }),
  ),
  {
    op: "Clip",
    attrs: { min: 0, max: 6 },
    inputs: [{ dtype: "int8", shape: [33], quant: i8 }],
    outputs: [{ dtype: "int8", quant: i8 }],
    tolerance: 0,
  },
  {
    op: "Relu",
    inputs: [{ dtype: "uint8", shape: [33], quant: u8 }],
    outputs: [{ dtype: "uint8", quant: u8 }],
    tolerance: 0,
  },
  {
    op: "Quantize",
    attrs: { to: "int8" },
    inputs: [{ shape: [40], range: [-9, 9] }],
    outputs: [{ dtype: "int8", quant: i8 }],
  },
  {
    op: "Quantize",
    attrs: { to: "int8" },
    inputs: [{ dtype: "uint8", shape: [40], quant: u8 }],
    outputs: [{ dtype: "int8", quant: i8 }],
  },
  {
    op: "Quantize",
    attrs: { to: "int16" },
    inputs: [{ shape: [40], range: [-9, 9] }],
    outputs: [{ dtype: "int16", quant: q8(0.001) }],
  },
  { op: "Dequantize", inputs: [{ dtype: "int8", shape: [40], quant: i8 }], outputs: [{ dtype: "float32" }] },
  {
    op: "Dequantize",
    inputs: [{ dtype: "uint8", shape: [5], quant: q8(0.5, 10), data: [0, 9, 10, 11, 255] }],
    outputs: [{ dtype: "float32" }],
    expect: [-5, -0.5, 0, 0.5, 122.5],
  },
  {
    op: "Less",
    inputs: [
      { dtype: "int8", shape: [40], quant: i8 },
      { dtype: "int8", shape: [40], quant: i8 },
    ],
    outputs: [{ dtype: "bool" }],
  },
]);

/** The value that inference gives to `op` of known values. */
function known(op: string, ins: (number | string)[][], dtype: DType = "int64", attrs = {}): unknown {
  const inputs = ins.map((v, i): Tensor => value(`x${i}`, dtype, [v.length]));
  const table = new Map(
    inputs.map((t, i) => [t, { dtype, shape: t.shape, value: ins[i] as (number | string)[] }]),
  );
  const node = { op, name: "n", inputs, outputs: [value("y", dtype)], attrs };
  return inferNode(node, table)[0]?.value;
}

test("shape arithmetic on numbers and symbols", () => {
  assert.deepEqual(known("Add", [["H", 3], [1]]), ["H + 1", 4]);
  assert.deepEqual(
    known("Mul", [
      ["H", 3],
      [2, 2],
    ]),
    ["2*H", 6],
  );
  assert.deepEqual(
    known("Div", [
      ["2*H", -7],
      [2, 2],
    ]),
    ["H", -3],
  );
  assert.deepEqual(known("FloorDiv", [[-7], [2]]), [-4]);
  assert.deepEqual(
    known("Mod", [
      [-7, 7],
      [2, 4],
    ]),
    [-1, 3],
  );
  assert.deepEqual(known("Sub", [["H"], ["H"]]), [0]);
  assert.deepEqual(
    known("Max", [
      ["H", 5],
      [1, 2],
    ]),
    ["max(H, 1)", 5],
  );
  assert.deepEqual(known("Neg", [["H"]]), ["-1*H"]);
  assert.deepEqual(
    known("Equal", [
      ["H", 2, 3],
      ["H", 2, 4],
    ]),
    [1, 1, 0],
  );
  assert.equal(known("Equal", [["H"], [3]]), undefined);
  assert.deepEqual(known("Cast", [["H", 3]], "int64", { to: "int32" }), ["H", 3]);
  assert.deepEqual(known("Mul", [[3, 5], [0.5]], "float32"), [1.5, 2.5]);
  assert.deepEqual(known("Floor", [[1.5]], "float32"), [1]);
  assert.equal(known("Mul", [["H"], [0.5]], "float32"), undefined);
  assert.equal(known("Add", [[2147483647], [1]], "int32"), undefined);
});

test("types and shapes that do not fit are named", () => {
  const node =
    (op: string, ...t: Tensor[]) =>
    () =>
      inferNode({ op, name: "n", inputs: t, outputs: [value("y", "float32")], attrs: {} }, new Map());
  const f = value("a", "float32", [2]);
  assert.throws(node("Add", f, value("b", "int32", [2])), /Add "n": inputs are float32 and int32/);
  assert.throws(node("Add", f, value("b", "float32", [3])), /do not broadcast/);
  assert.throws(node("Exp", value("b", "int32", [3])), /takes no int32/);
  assert.throws(node("And", f, f), /takes no float32/);
  assert.throws(node("Add", constant("s", "string", [1], new Uint8Array(0)), f), /takes no string/);
});

test("a scale between casts is shape arithmetic once sizes are bound", () => {
  const graph = new Graph();
  const x = { ...value("x", "float32", ["H", 4]), kind: "input" as const };
  graph.inputs.push(x);
  let last: Tensor = x;
  const then = (op: string, attrs: Attrs = {}, ...more: Tensor[]): void => {
    const out = value(`${op}${graph.nodes.length}`, "float32");
    graph.nodes.push({ op, name: out.name, inputs: [last, ...more], outputs: [out], attrs });
    last = out;
  };
  then("Shape");
  then("Cast", { to: "float32" });
  then("Mul", {}, constant("scale", "float32", [2], Float32Array.of(1.5, 2)));
  then("Floor");
  then("Cast", { to: "int64" });
  assert.deepEqual(inferGraph(graph, { dims: { H: 5 } }).get(last)?.value, [7, 8]);
  assert.equal(inferGraph(graph).get(last)?.value, undefined);
});

test("narrow integers wrap between fused nodes", async () => {
  const graph = new Graph();
  const input = (name: string): Tensor => ({ ...value(name, "uint8", [2]), kind: "input" });
  const [a, b] = [input("a"), input("b")];
  const [sum, wide] = [value("sum", "uint8"), value("wide", "int32")];
  graph.inputs = [a, b];
  graph.outputs = [wide];
  graph.nodes = [
    { op: "Add", name: "add", inputs: [a, b], outputs: [sum], attrs: {} },
    { op: "Cast", name: "cast", inputs: [sum], outputs: [wide], attrs: { to: "int32" } },
  ];
  const given = {
    a: { data: Uint8Array.of(200, 1), shape: [2] },
    b: { data: Uint8Array.of(100, 2), shape: [2] },
  };
  const { wide: got } = await runGraph(graph, given);
  assert.deepEqual([...((got as RunValue).data as Int32Array)], [44, 3]);
  assert.deepEqual([...(evaluate(graph, given).get(wide)?.data ?? [])], [44, 3]);
});
