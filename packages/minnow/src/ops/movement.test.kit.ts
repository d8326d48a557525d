// One-node graphs for the tests of movement operators: the reference against the compiled program, run
// by the interpreter of loop nests and by WebAssembly, and against expected numbers where given.
import assert from "node:assert/strict";
import { compile } from "../compiler/compile.js";
import type { Program, View } from "../compiler/program.js";
import { count } from "../graph/dim.js";
import { bytesOf, type DType, floatToHalf, halfToFloat, newArray, type TypedArray } from "../graph/dtype.js";
import { type Attrs, Graph, type Quantization, type Tensor, value } from "../graph/graph.js";
import { hostKernels } from "../targets/host/index.js";
import { interpretNest, type NestTensor } from "../targets/reference/nest_reference.js";
import { WasmModel } from "../targets/wasm/instance.js";
import { attributesOf, definitionOf, inferGraph } from "./infer.js";
import { references } from "./references.js";

export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype?: DType;
  /** Default: 1, 2, 3, … */
  readonly data?: readonly number[];
  readonly quant?: Quantization;
  /** Given at run time although small and integer. Default: int32 and int64 are constants. */
  readonly input?: boolean;
}

export interface Case {
  readonly attrs?: Attrs;
  readonly inputs: readonly (TensorSpec | null)[];
  /** Declared outputs; default one of the first input's type. */
  readonly outputs?: readonly { dtype?: DType; quant?: Quantization }[];
  readonly shape?: readonly number[];
  /** Elements as stored, one list an output. */
  readonly expect?: readonly (readonly number[])[];
  /** Largest difference. Default 0. */
  readonly tolerance?: number;
}

export const t = (shape: readonly number[], more: Omit<TensorSpec, "shape"> = {}): TensorSpec => ({ shape, ...more });
/** A constant int64 list. */
export const list = (...data: number[]): TensorSpec => ({ shape: [data.length], dtype: "int64", data });
export const scalar = (v: number, dtype: DType = "int64"): TensorSpec => ({ shape: [], dtype, data: [v] });
export const affine = (scale: number, zeroPoint: number): Quantization => ({ scale: [scale], zeroPoint: [zeroPoint], axis: 0 });

/** Numbers as stored elements. */
export function store(dtype: DType, data: ArrayLike<number>): TypedArray {
  const out = newArray(dtype, data.length);
  for (let i = 0; i < data.length; i++) {
    const v = data[i] as number;
    if (out instanceof BigInt64Array) out[i] = BigInt(v);
    else out[i] = dtype === "float16" ? floatToHalf(v) : v;
  }
  return out;
}

export const load = (dtype: DType, data: TypedArray): number[] =>
  Array.from(data as Int32Array, (v) => (dtype === "float16" ? halfToFloat(v) : Number(v)));

export function graphOf(op: string, c: Case): { graph: Graph; data: number[][] } {
  const graph = new Graph();
  const data: number[][] = [];
  const inputs = c.inputs.map((s, i): Tensor | null => {
    if (!s) return null;
    const dtype = s.dtype ?? "float32";
    const numbers = [...(s.data ?? Array.from({ length: count(s.shape) }, (_, k) => k + 1))];
    data[i] = numbers;
    const constant = !s.input && (dtype === "int32" || dtype === "int64") && i > 0;
    const tensor: Tensor = {
      name: `x${i}`, dtype, shape: s.shape, kind: constant ? "constant" : "input",
      ...(s.quant && { quant: s.quant }), ...(constant && { data: store(dtype, numbers) }),
    };
    if (!constant) graph.inputs.push(tensor);
    return tensor;
  });
  const outputs = (c.outputs ?? [{}]).map((o, i) => value(`y${i}`, o.dtype ?? c.inputs[0]?.dtype ?? "float32", [], o.quant ?? c.inputs[0]?.quant));
  graph.nodes.push({ op, name: "n", inputs, outputs, attrs: c.attrs ?? {} });
  graph.outputs = outputs;
  return { graph, data };
}

/** Checks shape, reference, interpreted nests and WebAssembly of one operator. Returns the outputs. */
export async function check(op: string, c: Case): Promise<number[][]> {
  const { graph, data } = graphOf(op, c);
  const known = inferGraph(graph);
  const node = graph.nodes[0] as NonNullable<(typeof graph.nodes)[0]>;
  const outputs = node.outputs.map((o) => {
    const { dtype, shape } = known.get(o) as { dtype: DType; shape: readonly number[] };
    return { dtype, shape, ...(o.quant && { quant: o.quant }) };
  });
  if (c.shape) assert.deepEqual([...(outputs[0]?.shape ?? [])], [...c.shape], `${op} shape`);
  const reference = references.get(op);
  assert.ok(reference, `${op} has a reference`);
  const wanted = reference({
    op,
    attrs: attributesOf(node, definitionOf(node)),
    inputs: c.inputs.map((s, i) =>
      s ? { dtype: s.dtype ?? "float32", shape: s.shape, data: data[i] as number[], ...(s.quant && { quant: s.quant }) } : undefined,
    ),
    outputs,
  }).map((r, i) => load(outputs[i]?.dtype as DType, store(outputs[i]?.dtype as DType, r)));
  wanted.forEach((w, i) => assert.equal(w.length, count(outputs[i]?.shape ?? []), `${op} reference length of output ${i}`));
  c.expect?.forEach((e, i) => near(wanted[i] as number[], e, c.tolerance ?? 0, `${op} reference, output ${i}`));

  for (const t of node.outputs) t.dtype = (known.get(t) as { dtype: DType }).dtype;
  const program = compile(graph);
  const given = graph.inputs.map((t) => store(t.dtype, data[Number(t.name.slice(1))] as number[]));
  const compare = (how: string, got: readonly TypedArray[]): void =>
    got.forEach((g, i) => near(load(outputs[i]?.dtype as DType, g), wanted[i] as number[], c.tolerance ?? 0, `${op} ${how}, output ${i}`));
  compare("interpreted", interpret(program, given));
  compare("wasm", await onWasm(program, given));
  return wanted;
}

function near(got: readonly number[], wanted: readonly number[], tolerance: number, what: string): void {
  assert.equal(got.length, wanted.length, `${what}: length`);
  got.forEach((g, i) => {
    const w = wanted[i] as number;
    if (Object.is(g, w) || (tolerance > 0 && (g === w || Math.abs(g - w) <= tolerance))) return;
    assert.fail(`${what}: element ${i} is ${g}, not ${w}\n got ${got.slice(0, 40)}\n not ${wanted.slice(0, 40)}`);
  });
}

/** Runs a program by interpreting its nests. @throws Error where an index is out of range */
export function interpret(program: Program, inputs: readonly TypedArray[]): TypedArray[] {
  const buffers = program.buffers.map((b) => {
    const bytes = new Uint8Array(Math.ceil(b.bytes / 8) * 8 + 8);
    if (b.data) bytes.set(bytesOf(b.data));
    else bytes.fill(0xa5); // whoever reads what was not written gets noise
    return bytes;
  });
  const array = (v: View): TypedArray => {
    const bytes = buffers[v.buffer] as Uint8Array;
    const like = newArray(v.dtype, 0);
    const Make = like.constructor as new (b: ArrayBufferLike, at: number, n?: number) => TypedArray;
    return new Make(bytes.buffer, 0, Math.floor(bytes.length / like.BYTES_PER_ELEMENT));
  };
  const flat = (v: View): TypedArray => array(v).subarray(v.offset, v.offset + count(v.shape)) as TypedArray;
  program.inputs.forEach((p, i) => (flat(p.view) as Int32Array).set(inputs[i] as Int32Array));
  for (const s of program.steps) {
    if (s.nest) {
      const values = s.values.map((v): NestTensor => ({ dtype: v.dtype, shape: v.shape, strides: v.strides, offset: v.offset, data: array(v) }));
      if (!interpretNest(s.nest, values, true)) throw new Error("index out of range");
      continue;
    }
    const host = hostKernels[s.kernel];
    assert.ok(host, `host kernel ${s.kernel}`);
    const tensor = (i: number) => {
      const v = s.values[i] as View;
      return { data: flat(v), shape: v.shape, dtype: v.dtype, ...(v.quant && { quant: v.quant }) };
    };
    host(s.params, (s.reads ?? []).map(tensor), (s.writes ?? []).map(tensor));
  }
  return program.outputs.map((o) => flat(o.view).slice());
}

export async function onWasm(program: Program, inputs: readonly TypedArray[]): Promise<TypedArray[]> {
  const model = new WasmModel();
  try {
    return model.run(await model.bind(program), inputs);
  } finally {
    model.dispose();
  }
}
