// Reading constants in passes. Float16 weights stay float16 in the file: readers give them as
// Cast(constant float16), which counts as constant here, and nobody folds it into float32 storage.
import { dataOf, halfArrayToFloat, type Node, type Tensor } from "../graph/index.js";
import type { Editor } from "./pass.js";

/** The constant behind a tensor: itself, or what a Cast from float16 storage reads. */
export function constantOf(e: Editor, t: Tensor | null | undefined): Tensor | null {
  if (!t) return null;
  if (t.kind === "constant") return dataOf(t) ? t : null;
  const cast = e.producerOf(t, "Cast");
  const source = cast?.inputs[0];
  return source?.kind === "constant" && source.dtype === "float16" && dataOf(source) && t.dtype === "float32"
    ? source
    : null;
}

/** Values of a float constant as float32; null where it is none. The array may be the constant's own. */
export function floatsOf(e: Editor, t: Tensor | null | undefined): Float32Array | null {
  const c = constantOf(e, t);
  if (!c?.data || c.quant) return null;
  if (c.dtype === "float32") return c.data as Float32Array;
  return c.dtype === "float16" ? halfArrayToFloat(c.data as Uint16Array) : null;
}

/** The one value of a scalar float constant, or of one that is the same everywhere. */
export function uniformOf(e: Editor, t: Tensor | null | undefined): number | null {
  const c = constantOf(e, t);
  if (!c?.data || c.data.length === 0 || c.quant) return null;
  const isInt = c.dtype === "int32" || c.dtype === "int64";
  const first = c.data[0];
  for (let i = 1; i < c.data.length; i++) if (c.data[i] !== first) return null;
  if (isInt) return Number(first);
  const v = floatsOf(e, t);
  return v ? (v[0] as number) : null;
}

/** Values of an integer constant (shapes, axes, bounds). */
export function intsOf(t: Tensor | null | undefined): number[] | null {
  if (t?.kind !== "constant" || (t.dtype !== "int32" && t.dtype !== "int64")) return null;
  const data = dataOf(t);
  return !data || data.length > 4096 ? null : Array.from(t.data as Int32Array, Number);
}

/**
 * A list that an operator takes as input or attribute.
 * @returns null where the input is there but not constant
 */
export function listOf(t: Tensor | null | undefined, attr: unknown): readonly number[] | null {
  return t ? intsOf(t) : ((attr as readonly number[] | undefined) ?? []);
}

/** [before, after] of every axis of a Pad whose pads are known. A [rank, 2] input has pairs (TFLite). */
export function padsOf(n: Node): [number, number][] | null {
  const rank = (n.inputs[0] as Tensor).shape.length;
  const list = listOf(n.inputs[1], n.attrs.pads);
  if (list?.length !== 2 * rank)
    return list?.length === 0 ? Array.from({ length: rank }, () => [0, 0]) : null;
  const pairwise = n.inputs[1]?.shape.length === 2;
  return Array.from({ length: rank }, (_, i) =>
    pairwise
      ? [list[2 * i] as number, list[2 * i + 1] as number]
      : [list[i] as number, list[i + rank] as number],
  );
}
