// Constants in another axis order: [out, in, kh, kw] to [out, kh, kw, in], [K, N] to [N, K], and whatever
// layout changes ask for.
import { ModelError } from "../error.js";
import { borrow, type Data, derive } from "./deferred.js";
import type { DType, TypedArray } from "./dtype.js";

/** Data in another axis order: out[i…] has shape[perm[0]], shape[perm[1]], … Not for int4. */
export function permuteData(
  data: Data,
  dtype: DType,
  shape: readonly number[],
  perm: readonly number[],
): Data {
  const kept = perm.filter((a) => shape[a] !== 1);
  if (kept.every((a, i) => i === 0 || a > (kept[i - 1] as number))) return data;
  if (dtype === "int4")
    throw new ModelError("unsupported", "int4 weights cannot be put in another order", {
      hint: "store them as int8, or in the order in which the layer reads them",
    });
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--)
    strides[i] = (strides[i + 1] as number) * (shape[i + 1] as number);
  const sizes = kept.map((a) => shape[a] as number);
  const steps = kept.map((a) => strides[a] as number);
  return derive(dtype, data.length, data, `permute [${shape}] ${perm}`, (out) =>
    borrow(data, (from) => {
      if (from.length > 0) copyPermuted(asWords(from), asWords(out), sizes, steps);
    }),
  );
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
