// Quantised operators of com.microsoft against what ONNX Runtime 1.32 gives, without its optimiser.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../../index.js";
import { type AttrSpec, modelBytes } from "./model.test.helper.js";

const types = { float: 1, uint8: 2, int8: 3, int32: 6, bool: 9 } as const;
type Type = keyof typeof types;
/** Type, shape, elements. */
type Value = [type: Type, dims: number[], data: readonly number[]];

interface Case {
  op: string;
  attrs?: Record<string, AttrSpec>;
  /** In the order of the node's inputs; constants are named like "w:". */
  inputs: readonly (readonly [name: string, value: Value])[];
  want: readonly number[];
  type?: Type;
  /** Floats: relative to the largest. Bytes: steps. */
  off?: number;
}

const bytes = (n: number, step: number, low = 0): number[] =>
  Array.from({ length: n }, (_, i) => ((i * step) % 256) + low);
const floats = (n: number, step: number): number[] =>
  Array.from({ length: n }, (_, i) => ((i * step) % 97) / 10 - 4);
const scalar = (v: number): Value => ["float", [], [v]];
const byte = (v: number): Value => ["uint8", [], [v]];
const list = (type: Type, ...data: number[]): Value => [type, [data.length], data];

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

for (const [i, c] of cases.entries())
  test(`${i}: ${c.op}`, async () => {
    const constants = c.inputs.filter(([name]) => name.endsWith(":"));
    const inputs = c.inputs.filter(([name]) => !name.endsWith(":"));
    const model = modelBytes({
      opset: 13,
      nodes: [
        {
          op: c.op,
          domain: "com.microsoft",
          inputs: c.inputs.map(([name]) => name),
          outputs: ["y"],
          ...(c.attrs && { attrs: c.attrs }),
        },
      ],
      inputs: inputs.map(([name, [type, shape]]) => ({ name, type: types[type], shape })),
      outputs: [{ name: "y", type: types[c.type ?? "float"] }],
      initializers: constants.map(([name, [type, dims, data]]) => ({
        name,
        type: types[type],
        dims,
        ...(type === "float" ? { floats: data } : { int32s: data }),
      })),
    });
    await using loaded = await load(model);
    const { y } = await loaded.run(Object.fromEntries(inputs.map(([name, [, , data]]) => [name, [...data]])));
    const got = Array.from(y?.data as Float32Array);
    const limit = c.off ?? 2e-6 * Math.max(...c.want.map(Math.abs));
    assert.equal(got.length, c.want.length);
    const worst = Math.max(...got.map((v, at) => Math.abs(v - (c.want[at] as number))));
    assert.ok(worst <= limit, `${got}\nwant ${c.want}`);
  });
