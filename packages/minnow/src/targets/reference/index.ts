// The reference target: runs a Graph node by node in plain TypeScript, in float64, rounding only where a
// node's output is stored. The oracle of tests and `compare`, and what constant folding computes with.
import { elementExprReal } from "./element.js";
import { ModelError } from "../../error.js";
import { count, isConcrete, type Shape } from "../../graph/dim.js";
import { type DType, floatToHalf, halfToFloat, newArray, type TypedArray } from "../../graph/dtype.js";
import type { Graph, Node, Tensor } from "../../graph/graph.js";
import { attributesOf, declared, definitionOf, inferNode, type Known } from "../../ops/infer.js";
import type { RefTensor, TensorInfo } from "../../ops/op.js";
import { references } from "../../ops/references.js";

export type { RefTensor } from "../../ops/op.js";

/** A value given to the reference: typed array (float16 as bits) or numbers, and its shape. */
export interface ReferenceInput {
  readonly data: ArrayLike<number | bigint>;
  readonly shape: readonly number[];
}

/** Integer tensors up to this many elements take part in shape inference. */
const maxKnown = 4096;

/**
 * Evaluates a graph.
 * @param inputs by tensor name
 * @returns every tensor that was computed or read
 * @throws ModelError bad_input, unsupported, or whatever inference finds
 */
export function evaluate(graph: Graph, inputs: Record<string, ReferenceInput>): Map<Tensor, RefTensor> {
  const values = new Map<Tensor, RefTensor>();
  for (const t of graph.inputs) {
    const given = inputs[t.name];
    if (!given) throw new ModelError("bad_input", `input ${t.name} is missing`, { tensor: t.name });
    values.set(t, fromArray(given.data, t.dtype, given.shape, t));
  }
  for (const node of graph.nodes) {
    const given = node.inputs.map((t) => t && (values.get(t) ?? keep(values, t)));
    const results = evaluateNode(
      node,
      given.map((v) => v ?? undefined),
    );
    for (const [i, v] of results.entries()) values.set(node.outputs[i] as Tensor, v);
  }
  for (const t of graph.outputs) if (!values.has(t)) keep(values, t);
  return values;
}

function keep(values: Map<Tensor, RefTensor>, t: Tensor): RefTensor {
  const v = constantTensor(t);
  values.set(t, v);
  return v;
}

/** A constant (or a variable's initial value) as the reference sees it. */
export function constantTensor(t: Tensor): RefTensor {
  if (!t.data || !isConcrete(t.shape))
    throw new ModelError("bad_graph", `tensor ${t.name} is read but never computed`, { tensor: t.name });
  return fromArray(t.data, t.dtype, t.shape, t);
}

/** Decodes storage: float16 bits, packed int4, bigint. */
export function fromArray(
  data: ArrayLike<number | bigint>,
  dtype: DType,
  shape: readonly number[],
  t?: Pick<Tensor, "quant">,
): RefTensor {
  const n = count(shape);
  const half = dtype === "float16" && data instanceof Uint16Array;
  const packed = dtype === "int4" && data instanceof Uint8Array;
  const out = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    if (packed) out[i] = ((((data[i >> 1] as number) >> (i % 2 ? 4 : 0)) & 15) << 28) >> 28;
    else out[i] = half ? halfToFloat(data[i] as number) : Number(data[i]);
  }
  return { dtype, shape: [...shape], data: out, ...(t?.quant && { quant: t.quant }) };
}

/** Encodes for storage, as a constant holds it. */
export function toArray(t: RefTensor): TypedArray {
  const out = newArray(t.dtype, t.data.length);
  const { data, dtype } = t;
  for (let i = 0; i < data.length; i++) {
    const v = data[i] as number;
    if (dtype === "int64") (out as BigInt64Array)[i] = BigInt(Math.trunc(v));
    else if (dtype === "int4") out[i >> 1] = (out[i >> 1] as number) | ((v & 15) << (i % 2 ? 4 : 0));
    else out[i] = dtype === "float16" ? floatToHalf(v) : v;
  }
  return out;
}

/**
 * Evaluates one node; input shapes and integer values are taken from `inputs`, whatever the tensors declare.
 * @throws ModelError "unsupported" where the operator has no reference
 */
export function evaluateNode(node: Node, inputs: readonly (RefTensor | undefined)[]): RefTensor[] {
  const def = definitionOf(node);
  const attrs = attributesOf(node, def);
  const known: Known = new Map();
  for (const [i, t] of node.inputs.entries()) if (t) known.set(t, infoOf(t, inputs[i] as RefTensor));
  const outputs = inferNode(node, known)
    .slice(0, node.outputs.length)
    .map((r, i) => {
      const quant = node.outputs[i]?.quant;
      return { dtype: r.dtype, shape: concrete(node, r.shape), ...(quant && { quant }) };
    });
  const results = def.alias
    ? [(inputs[0] as RefTensor).data]
    : def.expr
      ? [elementExprReal(def, attrs, inputs as RefTensor[], outputs[0] as (typeof outputs)[number])]
      : reference(node)({ op: node.op, attrs, inputs, outputs });
  return outputs.map((o, i) => ({ ...o, data: rounded(results[i] as ArrayLike<number>, o.dtype) }));
}

function reference(node: Node) {
  const f = references.get(node.op);
  if (!f)
    throw new ModelError("unsupported", `operator ${node.op} (${node.name}) has no reference`, {
      op: node.op,
    });
  return f;
}

function infoOf(t: Tensor, v: RefTensor): TensorInfo {
  const small = v.dtype !== "float16" && v.dtype !== "string" && v.data.length <= maxKnown;
  const integer = v.dtype === "int32" || v.dtype === "int64" || v.dtype === "bool";
  return {
    ...declared(t),
    dtype: v.dtype,
    shape: v.shape,
    ...(small && integer && { value: Array.from(v.data) }),
    ...(v.quant && { quant: v.quant }),
  };
}

function concrete(node: Node, shape: Shape): readonly number[] {
  if (!isConcrete(shape))
    throw new ModelError("bad_shape", `${node.op} ${node.name}: its shape [${shape}] depends on data`, {
      op: node.op,
    });
  return shape;
}

/** Values as the type stores them: floats rounded, integers cut and wrapped. */
function rounded(data: ArrayLike<number>, dtype: DType): Float64Array {
  // Through the storage array: it rounds and wraps as storage does. Wide or packed types have none.
  if (
    dtype !== "int64" &&
    dtype !== "bool" &&
    dtype !== "int4" &&
    dtype !== "string" &&
    dtype !== "float16"
  ) {
    const stored = newArray(dtype, data.length) as Int32Array;
    stored.set(data);
    return new Float64Array(stored);
  }
  const store: Record<typeof dtype, (x: number) => number> = {
    int64: Math.trunc,
    bool: (x) => (x ? 1 : 0),
    int4: (x) => (x << 28) >> 28,
    string: (x) => x,
    float16: (x) => halfToFloat(floatToHalf(x)),
  };
  const out = new Float64Array(data);
  const f = store[dtype];
  for (let i = 0; i < out.length; i++) out[i] = f(out[i] as number);
  return out;
}
