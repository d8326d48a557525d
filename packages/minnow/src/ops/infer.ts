// Shape inference over nodes and graphs. With symbolic dimensions it gives symbolic shapes (for
// readers, passes and `info`); with dimensions bound, everything becomes a number (for the compiler).
import type { Dim, Shape } from "../graph/dim.js";
import { dataOf } from "../graph/deferred.js";
import type { TypedArray } from "../graph/dtype.js";
import type { Attrs, Graph, Node, Tensor } from "../graph/graph.js";
import { ModelError } from "../error.js";
import { type AttrSpec, type Inferred, type OpDef, reject, type TensorInfo } from "./op.js";
import { known as operators } from "./common.js";

export type Known = Map<Tensor, TensorInfo>;

/** Integer constants up to this many elements take part in shape arithmetic. */
const maxValue = 4096;

/** Float constants up to this many: factors in shape arithmetic (sizes times a scale, cut to integers). */
const maxScales = 16;

const constantValues = new WeakMap<TypedArray, readonly Dim[]>();

function elementsOf(t: Tensor): readonly Dim[] | undefined {
  const { dtype } = t;
  const integer = dtype === "int32" || dtype === "int64" || dtype === "bool";
  if (!integer && dtype !== "float32") return undefined;
  if ((dataOf(t)?.length ?? Number.POSITIVE_INFINITY) > (integer ? maxValue : maxScales)) return undefined;
  const data = t.data as TypedArray;
  const known = constantValues.get(data);
  if (known) return known;
  const value = Array.from(data as Int32Array, Number);
  constantValues.set(data, value);
  return value;
}

/** What is known of a tensor before any node ran: its declaration and its constant data. */
export function declared(t: Tensor): TensorInfo {
  const { dtype, shape, quant } = t;
  const data = t.kind === "constant" ? dataOf(t) : undefined;
  const value = data && elementsOf(t);
  return {
    dtype,
    shape,
    ...(quant && { quant }),
    ...(value && { value }),
    ...(data && { data }),
  };
}

export function definitionOf(node: Node): OpDef {
  const def = operators.get(node.op);
  if (!def)
    throw new ModelError("unsupported", `operator ${node.op} (${node.name}) is not known`, {
      op: node.op,
      hint: "`minnow check` lists everything a model needs",
    });
  return def;
}

/** Attributes with defaults filled in and types checked. */
export function attributesOf(node: Node, def: OpDef): Attrs {
  const out: Attrs = {};
  for (const name in def.attrs) {
    const spec = def.attrs[name] as AttrSpec;
    const given = node.attrs[name] ?? spec.default;
    if (given === undefined) reject(node, `attribute ${name} is missing`, "bad_graph");
    if (!fits(given, spec))
      reject(node, `attribute ${name} is ${JSON.stringify(given)}, not ${spec.type}`, "bad_graph");
    out[name] = given;
  }
  return out;
}

function fits(v: Attrs[string], { type }: AttrSpec): boolean {
  const numbers = (x: unknown): boolean => Array.isArray(x) && x.every((n) => typeof n === "number");
  switch (type) {
    case "int":
      return Number.isInteger(v);
    case "float":
      return typeof v === "number";
    case "bool":
      return typeof v === "boolean" || v === 0 || v === 1;
    case "string":
    case "dtype":
      return typeof v === "string";
    case "ints":
      return numbers(v) && (v as number[]).every(Number.isInteger);
    case "floats":
      return numbers(v);
    case "strings":
      return Array.isArray(v) && v.every((s) => typeof s === "string");
  }
}

const arities = new WeakMap<OpDef, { required: number; variadic: boolean }>();

function arityOf(def: OpDef): { required: number; variadic: boolean } {
  let a = arities.get(def);
  if (!a) {
    const required = def.inputs.filter((n) => !n.endsWith("?") && !n.startsWith("...")).length;
    a = { required, variadic: def.inputs.some((n) => n.startsWith("...")) };
    arities.set(def, a);
  }
  return a;
}

/**
 * Infers one node from what is known of its inputs, and records its outputs in `known`.
 * @param symbolic see InferContext
 */
export function inferNode(node: Node, known: Known, symbolic?: boolean): Inferred[] {
  const def = definitionOf(node);
  const { required, variadic } = arityOf(def);
  if (node.inputs.length < required || (!variadic && node.inputs.length > def.inputs.length))
    reject(node, `${node.inputs.length} inputs, wants ${def.inputs.join(", ")}`, "bad_graph");
  const inputs = node.inputs.map((t) => (t ? (known.get(t) ?? declared(t)) : undefined));
  const inferred = def.infer({
    op: node.op,
    name: node.name,
    inputs,
    attrs: attributesOf(node, def),
    outputs: node.outputs,
    ...(symbolic !== undefined && { symbolic }),
  });
  node.outputs.forEach((t, i) => {
    const r = inferred[i];
    if (!r) reject(node, `has no output ${i}`, "bad_graph");
    for (const d of r.shape)
      if (typeof d === "number" && (!Number.isSafeInteger(d) || d < 0))
        reject(node, `its shape would be [${r.shape}]`);
    known.set(t, { ...r, ...(t.quant && { quant: t.quant }) });
  });
  return inferred;
}

export interface Binding {
  /** Symbol → number. */
  readonly dims?: Readonly<Record<string, number>>;
  /** Input name → shape; overrides the declared one. */
  readonly shapes?: Readonly<Record<string, Shape>>;
}

/** Infers a whole graph. */
export function inferGraph(graph: Graph, binding: Binding = {}): Known {
  const known: Known = new Map();
  for (const t of graph.inputs) {
    const shape = binding.shapes?.[t.name] ?? t.shape;
    const bound = shape.map((d) => (typeof d === "string" ? (binding.dims?.[d] ?? d) : d));
    known.set(t, { ...declared(t), shape: bound });
  }
  const symbolic = graph.inputs.some((t) => known.get(t)?.shape.some((d) => typeof d === "string"));
  for (const node of graph.nodes) inferNode(node, known, symbolic);
  return known;
}

/** Writes symbolic shapes and types onto the graph's tensors. */
export function annotate(graph: Graph): Known {
  const known = inferGraph(graph);
  for (const [t, info] of known) {
    if (t.kind === "constant") continue;
    t.shape = info.shape;
    t.dtype = info.dtype;
  }
  return known;
}
