// Computes at conversion what does not depend on inputs:   f(constants) ⇒ constant
// and, from shape inference, integer tensors whose elements follow from known sizes (Shape, Gather …).
//
// Storage forms stay: Cast from float16 and Dequantize of stored weights are left to the compiler, and
// a result that is much larger than its source (Expand, Tile of a scalar) is not written into the file.
import {
  byteSize,
  type Data,
  dataOf,
  dim,
  newArray,
  type Node,
  permuteData,
  setData,
  type Tensor,
} from "../graph/index.js";
import { ModelError } from "../error.js";
import { inferGraph, type Known } from "../ops/infer.js";
import { constantTensor, evaluateNode, toArray, type RefTensor } from "../targets/reference/index.js";
import { constantOf } from "./constants.js";
import type { Editor, Pass } from "./pass.js";
import { permOf } from "./perm.js";

const smallBytes = 1 << 10;
const largeBytes = 1 << 20;
/** The reference is slow and exact; products of whole weight tensors are left for run time. */
const maxElements = 1 << 22;

export const foldConstants: Pass = {
  name: "constants",
  run(e, known = inferGraph(e.graph)) {
    let rewrites = foldKnown(e, known);
    for (const n of [...e.graph.nodes]) if (foldNode(e, n)) rewrites++;
    return rewrites;
  },
};

/** Integer tensors that shape inference knows element by element. */
function foldKnown(e: Editor, known: Known): number {
  let rewrites = 0;
  for (const n of [...e.graph.nodes]) {
    const y = n.outputs[0];
    if (!y || n.outputs.length !== 1 || n.graphs?.length || y.quant || e.isOutput(y)) continue;
    const info = known.get(y);
    if (!info?.value || !dim.isConcrete(info.shape) || !info.value.every((v) => typeof v === "number"))
      continue;
    if (!["int32", "int64", "bool"].includes(info.dtype) || info.value.length !== dim.count(info.shape))
      continue;
    const data = newArray(info.dtype, info.value.length);
    info.value.forEach((v, i) => {
      data[i] = (data instanceof BigInt64Array ? BigInt(v) : v) as never;
    });
    become(e, n, info.shape, data);
    rewrites++;
  }
  return rewrites;
}

function foldNode(e: Editor, n: Node): boolean {
  const y = n.outputs[0];
  if (
    !y ||
    n.graphs?.length ||
    n.outputs.some((t) => e.isOutput(t) || t.kind !== "value" || t.dtype === "string")
  )
    return false;
  // Quantize and Dequantize say what quantised operators are made of; the compiler reads what is left.
  if (n.op === "Quantize" || n.op === "Dequantize" || n.outputs.length !== 1 || !dim.isConcrete(y.shape))
    return false;
  const sources = n.inputs.map((t) => t && constantOf(e, t));
  if (!n.inputs.every((t, i) => !t || sources[i])) return false;
  const bytes = n.inputs.reduce((a, t) => a + ((t && dataOf(t)?.byteLength) ?? 0), 0);
  const size = byteSize(y.dtype, dim.count(y.shape));
  if (n.op === "Cast" && size > bytes && (size > smallBytes || n.inputs[0]?.dtype === "float16"))
    return false;
  if (size > largeBytes && size > 4 * bytes) return false;
  const source = sources[0] as Tensor | null | undefined;
  const moved = source && move(n, source);
  if (moved) {
    if (source === n.inputs[0]) become(e, n, y.shape, moved);
    else castInstead(e, n, source, moved);
    return true;
  }
  if (dim.count(y.shape) > maxElements || sources.some((t) => ((t && dataOf(t)?.length) ?? 0) > maxElements))
    return false;
  if (!sources.every((t) => t?.dtype !== "string")) return false;
  const result = compute(
    n,
    n.inputs.map((t, i) => (t ? constantValue(t, sources[i] as Tensor) : undefined)),
  );
  if (!result) return false;
  become(e, n, result.shape, toArray(result));
  return true;
}

/** The node's output; null where it fails (an index out of range): it then fails where it is run, if it is. */
function compute(n: Node, inputs: readonly (RefTensor | undefined)[]): RefTensor | null {
  try {
    return evaluateNode(n, inputs)[0] ?? null;
  } catch (e) {
    if (e instanceof ModelError) return null;
    throw e;
  }
}

/** A constant, seen through a cast from float16. */
function constantValue(t: Tensor, source: Tensor): RefTensor {
  const v = constantTensor(source);
  return t === source ? v : { ...v, dtype: t.dtype };
}

/** Movement without the reference: no detour through float64. */
function move(n: Node, x: Tensor): Data | null {
  const data = dataOf(x);
  if (!data || (x.quant?.scale.length ?? 1) > 1) return null;
  if (["Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"].includes(n.op)) return data;
  const perm =
    n.op === "Transpose" && x.dtype !== "int4" && dim.isConcrete(x.shape)
      ? permOf(n.attrs.perm, x.shape.length)
      : null;
  return perm && permuteData(data, x.dtype, x.shape as readonly number[], perm);
}

/** move(Cast(x)) = Cast(move(x)): float16 storage stays. */
function castInstead(e: Editor, n: Node, source: Tensor, data: Data): void {
  const y = n.outputs[0] as Tensor;
  const moved = e.constant(`${source.name}~moved`, source.dtype, y.shape as readonly number[], data);
  n.op = "Cast";
  n.attrs = { to: y.dtype };
  e.setInputs(n, [moved]);
}

/** The node's output turns into a constant of the same name. */
function become(e: Editor, n: Node, shape: readonly number[], data: Data): void {
  const y = n.outputs[0] as Tensor;
  e.remove(n);
  y.kind = "constant";
  y.shape = shape;
  setData(y, data);
}
