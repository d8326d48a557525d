// One line a case: a one-node graph is evaluated by the reference, by interpreting the lowered loop nests
// (is the lowering right?) and on WebAssembly (is the target right?), and all three must agree.
// Test support only: nothing in the library imports this file.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compile } from "../compiler/compile.js";
import type { Program, View } from "../compiler/program.js";
import { count } from "../graph/dim.js";
import { type DType, halfToFloat, isFloat, newArray, type TypedArray } from "../graph/dtype.js";
import { type Attrs, Graph, type Quantization, type Tensor } from "../graph/graph.js";
import { hostKernels } from "../targets/host/index.js";
import { evaluate, fromArray, type RefTensor, toArray } from "../targets/reference/index.js";
import { interpretNest } from "../targets/reference/nest_reference.js";

export interface CaseInput {
  dtype?: DType;
  shape: readonly number[];
  quant?: Quantization;
  /** Element values (numbers, not float16 bits); absent: random in `range`. */
  data?: readonly number[];
  /** Default −2…2 for floats, −9…9 for integers, the whole range for quantised ones. */
  range?: readonly [number, number];
  /** Known before running (weights, axes), and so never an input of the graph. */
  constant?: boolean;
}

export interface OpCase {
  op: string;
  attrs?: Attrs;
  /** null: an optional input left out. */
  inputs: readonly (CaseInput | null)[];
  /** What the source declares; default one output of the first input's type. */
  outputs?: readonly { dtype: DType; quant?: Quantization }[];
  /** Relative to the largest magnitude of the output, for floats; steps, for quantised. 0: the same, −0 too. */
  tolerance?: number;
  /** Exact expected elements of the first output, worked by hand or by another program. */
  expect?: readonly number[];
  /** The same for every output. */
  expectEach?: readonly (readonly number[])[];
  expectShape?: readonly number[];
  /** What the reference and nests are checked on only, and why. */
  skipWasm?: string;
}

export const q8 = (
  scale: number | readonly number[],
  zeroPoint: number | readonly number[] = 0,
  axis = 0,
): Quantization => ({
  scale: typeof scale === "number" ? [scale] : scale,
  zeroPoint: typeof zeroPoint === "number" ? [zeroPoint] : zeroPoint,
  axis,
});

/** Registers one test for a list of cases; failures name the case. */
export function checkOp(name: string, cases: readonly OpCase[]): void {
  test(name, async () => {
    for (const [i, c] of cases.entries()) {
      try {
        await checkCase(c, i + 1);
      } catch (error) {
        const text = JSON.stringify(c, (_, v) => (Array.isArray(v) && v.length > 24 ? `[${v.length}]` : v));
        throw new Error(`case ${i}: ${text}\n${(error as Error).message}`, { cause: error });
      }
    }
  });
}

/** Checks one case. Returns the outputs. */
export async function checkCase(c: OpCase, seed = 1): Promise<RefTensor[]> {
  const { graph, inputs } = build(c, seed);
  const values = evaluate(graph, inputs);
  const expected = graph.outputs.map((t) => values.get(t) as RefTensor);
  const first = expected[0] as RefTensor;
  if (c.expectShape) assert.deepEqual(first.shape, c.expectShape, "shape");
  if (c.expect)
    close("reference", { ...first, data: [...c.expect] }, Array.from(first.data), c.tolerance ?? 1e-6);
  c.expectEach?.forEach((data, i) => {
    const t = expected[i] as RefTensor;
    close(`reference, output ${i}`, { ...t, data: [...data] }, Array.from(t.data), c.tolerance ?? 1e-6);
  });
  const program = compile(graph, { shapes: Object.fromEntries(graph.inputs.map((t) => [t.name, t.shape])) });
  const nests = interpretProgram(program, inputs);
  graph.outputs.forEach((t, i) => {
    const wanted = expected[i] as RefTensor;
    const got = nests?.[t.name];
    if (got) close(`nests, output ${i}`, wanted, got, c.tolerance);
  });
  if (c.skipWasm) return expected;
  const { runGraph } = await import("../runtime/run_graph.js");
  const ran = await runGraph(graph, inputs);
  graph.outputs.forEach((t, i) => {
    const wanted = expected[i] as RefTensor;
    const got = ran[t.name];
    assert.ok(got, `wasm gives no ${t.name}`);
    assert.deepEqual([...got.shape], wanted.shape, "wasm: shape");
    close(`wasm, output ${i}`, wanted, fromArray(got.data, wanted.dtype, wanted.shape).data, c.tolerance);
  });
  return expected;
}

type Given = Record<string, { data: TypedArray; shape: readonly number[] }>;

/** The graph of one case, and its inputs as stored. */
export function build(c: OpCase, seed = 1): { graph: Graph; inputs: Given } {
  const graph = new Graph();
  const inputs: Given = {};
  const random = generator(seed);
  const tensors = c.inputs.map((spec, i): Tensor | null => {
    if (!spec) return null;
    const { dtype = "float32", shape, quant } = spec;
    const data = toArray({ dtype, shape, data: elements(spec, dtype, random) });
    const t: Tensor = {
      name: `in${i}`,
      dtype,
      shape,
      kind: spec.constant ? "constant" : "input",
      ...(quant && { quant }),
    };
    if (spec.constant) return { ...t, data };
    graph.inputs.push(t);
    inputs[t.name] = { data, shape };
    return t;
  });
  const declared = c.outputs ?? [{ dtype: c.inputs[0]?.dtype ?? "float32" }];
  const outputs = declared.map((o, i): Tensor => ({ name: `out${i}`, shape: [], kind: "value", ...o }));
  graph.nodes.push({ op: c.op, name: "node", inputs: tensors, outputs, attrs: c.attrs ?? {} });
  graph.outputs = outputs;
  return { graph, inputs };
}

function elements(spec: CaseInput, dtype: DType, random: () => number): number[] {
  if (spec.data) return [...spec.data];
  const whole: Partial<Record<DType, readonly [number, number]>> = {
    int8: [-128, 127],
    uint8: [0, 255],
    bool: [0, 1],
    int16: [-3000, 3000],
  };
  const usual: readonly [number, number] = isFloat(dtype) ? [-2, 2] : dtype === "uint8" ? [0, 9] : [-9, 9];
  const [lo, hi] = spec.range ?? (spec.quant || dtype === "bool" ? (whole[dtype] ?? usual) : usual);
  return Array.from({ length: count(spec.shape) }, () =>
    isFloat(dtype) ? Math.fround(lo + random() * (hi - lo)) : Math.floor(lo + random() * (hi - lo + 1)),
  );
}

/** mulberry32: 0 ≤ x < 1. */
export function generator(seed: number): () => number {
  let s = seed * 0x9e3779b9;
  return () => {
    s = (s + 0x6d2b79f5) | 0;
    let t = Math.imul(s ^ (s >>> 15), 1 | s);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * Asserts that two lists of elements agree: floats to a part of the largest finite magnitude, with equal
 * NaNs and infinities; quantised ones to a step; other integers exactly.
 */
export function close(what: string, wanted: RefTensor, got: ArrayLike<number>, tolerance?: number): void {
  assert.equal(got.length, wanted.data.length, `${what}: number of elements`);
  const float = isFloat(wanted.dtype);
  let largest = 1e-3;
  for (const v of wanted.data) if (Number.isFinite(v)) largest = Math.max(largest, Math.abs(v));
  const unit = wanted.dtype === "float16" ? 2 ** -10 : 2e-6;
  const limit = float ? (tolerance ?? unit) * largest : wanted.quant ? (tolerance ?? 1) : 0;
  const exact = float && tolerance === 0;
  for (let i = 0; i < got.length; i++) {
    const [a, b] = [wanted.data[i] as number, got[i] as number];
    const fine = Object.is(a, b) || (!exact && (a === b || Math.abs(a - b) <= limit));
    assert.ok(fine, `${what}: element ${i} is ${b}, wanted ${a} (± ${limit})`);
  }
}

/** Runs a program by its loop nests and host kernels; null where a step has neither. */
export function interpretProgram(program: Program, inputs: Given): Record<string, ArrayLike<number>> | null {
  if (program.steps.some((s) => !s.nest && !hostKernels[s.kernel])) return null;
  const memory = program.buffers.map((b) => {
    const bytes = new Uint8Array(Math.ceil(b.bytes / 8) * 8 + 8);
    bytes.fill(0xa5); // whoever reads what was not written gets noise
    if (b.data) bytes.set(new Uint8Array(b.data.buffer, b.data.byteOffset, b.data.byteLength));
    return bytes;
  });
  const array = (v: View): TypedArray => {
    const bytes = memory[v.buffer] as Uint8Array;
    const Type = newArray(v.dtype, 0).constructor as new (b: ArrayBufferLike) => TypedArray;
    return new Type(bytes.buffer);
  };
  for (const p of program.inputs) {
    const { data } = inputs[p.name] as Given[string];
    (memory[p.view.buffer] as Uint8Array).set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  for (const s of program.steps) {
    if (!s.nest) {
      const tensor = (i: number) => {
        const v = s.values[i] as View;
        return { ...v, data: array(v).subarray(v.offset, v.offset + count(v.shape)) as TypedArray };
      };
      hostKernels[s.kernel]?.(s.params, (s.reads ?? []).map(tensor), (s.writes ?? []).map(tensor));
      continue;
    }
    const values = s.values.map((v) => ({ ...v, data: array(v) }));
    assert.ok(
      interpretNest(s.nest as NonNullable<typeof s.nest>, values, true),
      `${s.kernel}: index out of range`,
    );
  }
  return Object.fromEntries(program.outputs.map((o) => [o.name, viewed(o.view, array(o.view))]));
}

function viewed(v: View, data: TypedArray): number[] {
  const out: number[] = [];
  const walk = (axis: number, at: number): void => {
    if (axis === v.shape.length) {
      const x = data[at] as number | bigint;
      out.push(v.dtype === "float16" ? halfToFloat(x as number) : Number(x));
      return;
    }
    for (let i = 0; i < (v.shape[axis] as number); i++) walk(axis + 1, at + i * (v.strides[axis] as number));
  };
  walk(0, v.offset);
  return out;
}
