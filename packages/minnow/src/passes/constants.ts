// Reading constants in passes. Float16 weights stay float16 in the file: readers give them as
// Cast(constant float16), which counts as constant here, and nobody folds it into float32 storage.
import {
  type DType,
  halfArrayToFloat,
  newArray,
  type Node,
  type Tensor,
  type TypedArray,
} from "../graph/index.js";
import type { Editor } from "./pass.js";

/** The constant behind a tensor: itself, or what a Cast from float16 storage reads. */
export function constantOf(e: Editor, t: Tensor | null | undefined): Tensor | null {
  if (!t) return null;
  if (t.kind === "constant") return t.data ? t : null;
  const cast = e.producerOf(t, "Cast");
  const source = cast?.inputs[0];
  return source?.kind === "constant" && source.dtype === "float16" && source.data && t.dtype === "float32"
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
  if (t?.kind !== "constant" || !t.data || (t.dtype !== "int32" && t.dtype !== "int64")) return null;
  return t.data.length > 4096 ? null : Array.from(t.data as Int32Array, Number);
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

/** Data in another axis order: out[i…] has shape[perm[0]], shape[perm[1]], … Not for int4. */
export function permuteData(
  data: TypedArray,
  dtype: DType,
  shape: readonly number[],
  perm: readonly number[],
): TypedArray {
  if (dtype === "int4") throw new TypeError("int4 is packed");
  const kept = perm.filter((a) => shape[a] !== 1);
  if (kept.every((a, i) => i === 0 || a > (kept[i - 1] as number))) return data;
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--)
    strides[i] = (strides[i + 1] as number) * (shape[i + 1] as number);
  const sizes = kept.map((a) => shape[a] as number);
  const steps = kept.map((a) => strides[a] as number);
  const out = newArray(dtype, data.length);
  if (data.length > 0) copyPermuted(asWords(data), asWords(out), sizes, steps);
  return out;
}

/** Elements as integers of their size: moves bits, and keeps the loop below for few types. */
function asWords(a: TypedArray): Words {
  const Word = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigInt64Array }[a.BYTES_PER_ELEMENT];
  return new (Word as typeof Uint32Array)(a.buffer as ArrayBuffer, a.byteOffset, a.length);
}

type Words = Uint32Array;

/**
 * Two axes at a time, the last one written and the one that is contiguous where it is read, in blocks
 * that fit the cache; the others walk like an odometer.
 */
function copyPermuted(from: Words, to: Words, sizes: readonly number[], steps: readonly number[]): void {
  const rank = sizes.length;
  const writes = new Array<number>(rank).fill(1);
  for (let i = rank - 2; i >= 0; i--) writes[i] = (writes[i + 1] as number) * (sizes[i + 1] as number);
  const inner = rank - 1;
  const smallest = Math.min(...steps);
  const near = steps.indexOf(smallest) === inner ? Math.max(0, inner - 1) : steps.indexOf(smallest);
  const outer = sizes.map((_, i) => i).filter((i) => i !== inner && i !== near);
  const index = outer.map(() => 0);
  const plane = { rows: sizes[near] as number, columns: sizes[inner] as number };
  const [readRow, readColumn, writeRow] = [
    steps[near] as number,
    steps[inner] as number,
    writes[near] as number,
  ];
  let [read, write] = [0, 0];
  for (;;) {
    copyPlane(from, to, read, write, plane.rows, plane.columns, readRow, readColumn, writeRow);
    let k = outer.length - 1;
    for (; k >= 0; k--) {
      const axis = outer[k] as number;
      read += steps[axis] as number;
      write += writes[axis] as number;
      index[k] = (index[k] as number) + 1;
      if ((index[k] as number) < (sizes[axis] as number)) break;
      read -= (sizes[axis] as number) * (steps[axis] as number);
      write -= (sizes[axis] as number) * (writes[axis] as number);
      index[k] = 0;
    }
    if (k < 0) return;
  }
}

const block = 32;

function copyPlane(
  from: Words,
  to: Words,
  read: number,
  write: number,
  rows: number,
  columns: number,
  readRow: number,
  readColumn: number,
  writeRow: number,
): void {
  for (let r0 = 0; r0 < rows; r0 += block)
    for (let c0 = 0; c0 < columns; c0 += block) {
      const [r1, c1] = [Math.min(rows, r0 + block), Math.min(columns, c0 + block)];
      for (let r = r0; r < r1; r++) {
        let f = read + r * readRow + c0 * readColumn;
        for (
          let t = write + r * writeRow + c0, end = write + r * writeRow + c1;
          t < end;
          t++, f += readColumn
        )
          to[t] = from[f] as number;
      }
    }
}
