// Products of integers with stored weights, as dynamic quantisation writes them, stay products of bytes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load, type TensorValue } from "../../index.js";
import { modelBytes, type NodeSpec, type TensorSpec } from "./model.test.helper.js";

const [m, k, n] = [7, 90, 21];
const types = { int8: 3, uint8: 2 } as const;
type Bytes = keyof typeof types;

/** Weights, and their zero points: one, one a column, or none. */
function weights(type: Bytes, zeros: number) {
  const low = type === "int8" ? -128 : 0;
  const w = Array.from({ length: k * n }, (_, i) => low + ((i * 61) % 256));
  const zero = Array.from({ length: zeros }, (_, i) => low + 128 + i);
  const specs: TensorSpec[] = [{ name: "w", type: types[type], dims: [k, n], int32s: w }];
  if (zeros) specs.push({ name: "zw", type: types[type], dims: zeros > 1 ? [zeros] : [], int32s: zero });
  const real = (row: number, i: number): number =>
    (w[row * n + i] as number) - (zero[zeros > 1 ? i : 0] ?? 0);
  return { specs, real };
}

/** Σ (x − zero)·w, whole numbers. */
const product = (x: ArrayLike<number>, zero: number, w: (row: number, i: number) => number): number[] =>
  Array.from({ length: m * n }, (_, at) => {
    let sum = 0;
    for (let row = 0; row < k; row++)
      sum += ((x[Math.floor(at / n) * k + row] as number) - zero) * w(row, at % n);
    return sum;
  });

const numbers = (v: TensorValue | undefined): number[] => Array.from(v?.data as Float32Array);

const multiply = (zw: boolean, zx = true): NodeSpec => ({
  op: "MatMulInteger",
  inputs: ["x", "w", zx ? "zx" : "", ...(zw ? ["zw"] : [])],
  outputs: ["y"],
});

for (const [type, zeros] of [
  ["int8", 0],
  ["int8", 1],
  ["uint8", n],
] as const)
  for (const given of ["uint8", "int8"] as const)
    test(`${given} given, times ${type} with ${zeros} zero points`, async () => {
      const { specs, real } = weights(type, zeros);
      const bytes = modelBytes({
        nodes: [multiply(zeros > 0)],
        inputs: [
          { name: "x", type: types[given], shape: [m, k] },
          { name: "zx", type: types[given], shape: [] },
        ],
        outputs: [{ name: "y", type: 6 }],
        initializers: specs,
      });
      await using model = await load(bytes);
      const x = Array.from({ length: m * k }, (_, i) => ((i * 37) % 256) - (given === "int8" ? 128 : 0));
      const zx = given === "int8" ? -5 : 131;
      const { y } = await model.run({ x, zx: [zx] });
      assert.deepEqual(numbers(y), product(x, zx, real));
      const { memory } = model.report();
      assert.ok(memory.weights < 2 * k * 24 + 1024, `as bytes, not as floats: ${memory.weights}`);
    });

test("quantised by its range", async () => {
  const { specs, real } = weights("int8", 0);
  const bytes = modelBytes({
    opset: 11,
    nodes: [
      { op: "DynamicQuantizeLinear", inputs: ["r"], outputs: ["x", "scale", "zx"] },
      multiply(false),
      { op: "Cast", inputs: ["y"], outputs: ["f"], attrs: { to: 1 } },
    ],
    inputs: [{ name: "r", shape: ["rows", k] }],
    outputs: [{ name: "f" }, { name: "x", type: 2 }, { name: "zx", type: 2 }],
    initializers: specs,
  });
  await using model = await load(bytes);
  const data = Float32Array.from({ length: m * k }, (_, i) => ((i * 29) % 97) / 10 - 3);
  const { f, x, zx } = await model.run({ r: { data, shape: [m, k] } });
  const steps = numbers(x);
  assert.deepEqual([Math.min(...steps), Math.max(...steps)], [0, 255]);
  assert.deepEqual(numbers(f), product(steps, numbers(zx)[0] as number, real));
});

interface Convolution {
  type: Bytes;
  zeros: number;
  /** x is 32×N, or 32×1×N. */
  spatial: 1 | 2;
  group: number;
  stride: number;
  /** Before and behind each row; "SAME_UPPER". */
  pads: [number, number] | string;
}
const [channels, filters, taps, long] = [32, 40, 3, 21];

/** Σ (x − zero)·w over windows of rows, nothing outside them. */
function convolution(x: number[], zero: number, real: (o: number, i: number) => number, s: Convolution) {
  const { group, stride, pads } = s;
  const total = typeof pads === "string" ? (Math.ceil(long / stride) - 1) * stride + taps - long : 0;
  const [before, after] = typeof pads === "string" ? [Math.floor(total / 2), Math.ceil(total / 2)] : pads;
  const each = channels / group;
  const out: number[] = [];
  for (let o = 0; o < filters; o++)
    for (let at = -before; at + taps <= long + after; at += stride) {
      let sum = 0;
      for (let i = 0; i < each; i++)
        for (let tap = 0; tap < taps; tap++) {
          const from = (Math.floor((o * group) / filters) * each + i) * long + at + tap;
          if (at + tap >= 0 && at + tap < long) sum += ((x[from] as number) - zero) * real(o, i * taps + tap);
        }
      out.push(sum);
    }
  return out;
}

const convolutions: Convolution[] = [
  { type: "uint8", zeros: 1, spatial: 1, group: 1, stride: 2, pads: [1, 1] },
  { type: "int8", zeros: 0, spatial: 2, group: 1, stride: 1, pads: [2, 0] },
  { type: "int8", zeros: filters, spatial: 2, group: 4, stride: 1, pads: [0, 0] },
  { type: "uint8", zeros: filters, spatial: 1, group: 1, stride: 2, pads: "SAME_UPPER" },
];

for (const known of [false, true])
  for (const s of convolutions)
    test(`convolution of bytes, zero point ${known ? "known" : "computed"}: ${JSON.stringify(s)}`, async () => {
      const { type, zeros, spatial, group, stride, pads } = s;
      const each = (channels / group) * taps;
      const low = type === "int8" ? -128 : 0;
      const w = Array.from({ length: filters * each }, (_, i) => low + ((i * 61) % 256));
      const zw = Array.from({ length: zeros }, (_, i) => low + 128 + i);
      const real = (o: number, i: number): number =>
        (w[o * each + i] as number) - (zw[zeros > 1 ? o : 0] ?? 0);
      const ones = spatial === 2 ? [1] : [];
      const zero = 131;
      const explicit = (p: [number, number]): number[] => (spatial === 1 ? p : [0, p[0], 0, p[1]]);
      const bytes = modelBytes({
        nodes: [
          {
            op: "ConvInteger",
            inputs: ["x", "w", "zx", ...(zeros ? ["zw"] : [])],
            outputs: ["y"],
            attrs: {
              group,
              strides: [...ones, stride],
              ...(typeof pads === "string" ? { auto_pad: pads } : { pads: explicit(pads) }),
            },
          },
        ],
        inputs: [
          { name: "x", type: 2, shape: [1, channels, ...ones, long] },
          ...(known ? [] : [{ name: "zx", type: 2, shape: [] }]),
        ],
        outputs: [{ name: "y", type: 6 }],
        initializers: [
          { name: "w", type: types[type], dims: [filters, channels / group, ...ones, taps], int32s: w },
          { name: "zw", type: types[type], dims: zeros > 1 ? [zeros] : [], int32s: zw.length ? zw : [0] },
          ...(known ? [{ name: "zx", type: 2, dims: [], int32s: [zero] }] : []),
        ],
      });
      await using model = await load(bytes);
      const x = Array.from({ length: channels * long }, (_, i) => (i * 37) % 256);
      const { y } = await model.run({ x, ...(!known && { zx: [zero] }) });
      assert.deepEqual(numbers(y), convolution(x, zero, real, s));
      const { memory } = model.report();
      const padded = 8 * group * Math.ceil(filters / group / 8);
      assert.ok(memory.weights < 2 * padded * each + 1024, `as bytes, not as floats: ${memory.weights}`);
    });

for (const transB of [0, 1])
  test(`Gemm between conversions is a product of bytes (transB ${transB})`, async () => {
    const perColumn = Array.from({ length: n }, (_, i) => 0.01 + i / 1000);
    const w = Array.from({ length: k * n }, (_, i) => ((i * 61) % 255) - 127);
    const bias = Array.from({ length: n }, (_, i) => 40 * i - 300);
    const scalar = (name: string, v: number): TensorSpec => ({ name, dims: [], floats: [v] });
    const dequantize = (x: string, scale: string, zero: string[], axis?: number): NodeSpec => ({
      op: "DequantizeLinear",
      inputs: [x, scale, ...zero],
      outputs: [`${x}/real`],
      ...(axis !== undefined && { attrs: { axis } }),
    });
    const at = (row: number, i: number): number => (transB ? i * k + row : row * n + i);
    const turned = Array.from({ length: k * n }, () => 0);
    for (let row = 0; row < k; row++)
      for (let i = 0; i < n; i++) turned[at(row, i)] = w[row * n + i] as number;
    const bytes = modelBytes({
      opset: 13,
      nodes: [
        dequantize("x", "sx", ["zx"]),
        dequantize("w", "sw", [], transB ? 0 : 1),
        dequantize("b", "sb", [], 0),
        { op: "Gemm", inputs: ["x/real", "w/real", "b/real"], outputs: ["g"], attrs: { transB } },
        { op: "QuantizeLinear", inputs: ["g", "sy", "zy"], outputs: ["y"] },
      ],
      inputs: [{ name: "x", type: 2, shape: [m, k] }],
      outputs: [{ name: "y", type: 2 }],
      initializers: [
        ...[scalar("sx", 0.02), scalar("sy", 0.5)],
        { name: "zx", type: 2, dims: [], int32s: [128] },
        { name: "zy", type: 2, dims: [], int32s: [120] },
        { name: "sw", dims: [n], floats: perColumn },
        { name: "sb", dims: [n], floats: perColumn.map((s) => s * 0.02) },
        { name: "w", type: 3, dims: transB ? [n, k] : [k, n], int32s: turned },
        { name: "b", type: 6, dims: [n], int32s: bias },
      ],
    });
    await using model = await load(bytes);
    const x = Array.from({ length: m * k }, (_, i) => (i * 37) % 256);
    const { y } = await model.run({ x });
    const want = product(x, 128, (row, i) => w[row * n + i] as number).map((sum, i) => {
      const column = i % n;
      const real = (sum + (bias[column] as number)) * 0.02 * (perColumn[column] as number);
      return Math.min(255, Math.max(0, Math.round(real / 0.5) + 120));
    });
    const off = numbers(y).map((v, i) => Math.abs(v - (want[i] as number)));
    assert.ok(Math.max(...off) <= 1, `${off}`);
    assert.ok(new Set(want).size > 50);
    assert.ok(model.report().memory.weights < 2 * k * 24 + 2048, `${model.report().memory.weights}`);
  });

/** What stands between a QuantizeLinear and a DequantizeLinear, and what ONNX Runtime 1.32 makes of it. */
const moved: { node: Omit<NodeSpec, "outputs">; shape: number[]; off?: number; want: number[] }[] = [
  {
    node: { op: "Resize", inputs: ["q", "", "scales"], attrs: { mode: "nearest" } },
    shape: [1, 1, 2, 2],
    want: [-4, -4, -1.1, -1.1, -4, -4, -1.1, -1.1, 1.8, 1.8, 4.7, 4.7, 1.8, 1.8, 4.7, 4.7],
  },
  {
    node: { op: "Resize", inputs: ["q", "", "scales"], attrs: { mode: "linear" } },
    shape: [1, 1, 2, 2],
    off: 0.05, // a step: ONNX Runtime rounds down
    want: [-4, -3.3, -1.85, -1.1, -2.55, -1.85, -0.4, 0.35, 0.35, 1.05, 2.5, 3.25, 1.8, 2.5, 3.95, 4.7],
  },
  {
    node: { op: "Pad", inputs: ["q", "pads", "value"] },
    shape: [1, 1, 2, 2],
    want: [-0.5, -0.5, -0.5, -4, -1.1, -0.5, 1.8, 4.7, -0.5],
  },
  {
    node: { op: "Pad", inputs: ["q", "pads"] },
    shape: [1, 1, 2, 2],
    want: [-5, -5, -5, -4, -1.1, -5, 1.8, 4.7, -5],
  },
  {
    node: { op: "ArgMax", inputs: ["q"], attrs: { axis: 3, keepdims: 0 } },
    shape: [1, 1, 2, 5],
    want: [3, 1],
  },
];

for (const { node, shape, off = 1e-6, want } of moved)
  test(`${node.op} ${JSON.stringify(node.attrs ?? node.inputs)} of stored numbers`, async () => {
    const real = node.op !== "ArgMax";
    const bytes = modelBytes({
      opset: 13,
      nodes: [
        { op: "QuantizeLinear", inputs: ["x", "s", "z"], outputs: ["q"] },
        { ...node, outputs: [real ? "r" : "y"] },
        ...(real ? [{ op: "DequantizeLinear", inputs: ["r", "s", "z"], outputs: ["y"] }] : []),
      ],
      inputs: [{ name: "x", shape }],
      outputs: [{ name: "y", type: real ? 1 : 7 }],
      initializers: [
        { name: "s", dims: [], floats: [0.05] },
        { name: "z", type: 2, dims: [], int32s: [100] },
        { name: "scales", dims: [4], floats: [1, 1, 2, 2] },
        { name: "pads", type: 7, dims: [8], int64s: [0, 0, 1, 0, 0, 0, 0, 1] },
        { name: "value", type: 2, dims: [], int32s: [90] },
      ],
    });
    await using model = await load(bytes);
    const size = shape.reduce((a, b) => a * b, 1);
    const { y } = await model.run({ x: Array.from({ length: size }, (_, i) => ((i * 29) % 97) / 10 - 4) });
    const got = Array.from(y?.data as ArrayLike<number | bigint>, Number);
    assert.equal(got.length, want.length);
    assert.ok(
      got.every((v, i) => Math.abs(v - (want[i] as number)) <= off * 1.001),
      `${got}`,
    );
  });
