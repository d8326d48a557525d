// TopK: a heap of the k best elements of a row, so that a row of n takes n·log k comparisons.
// Of equal elements the first comes first; NaN counts as larger than everything.
import { count } from "../../graph/dim.js";
import { halfToFloat, type TypedArray } from "../../graph/dtype.js";
import { type Before, sink } from "./heap.js";
import { type HostKernel, type HostTensor, tensor } from "./kernel.js";

/**
 * params: axis, largest (1 or 0). inputs: x. outputs: values, indices (int32 or int64; may be absent).
 */
export const topK: HostKernel = (params, inputs, outputs) => {
  const x = tensor(inputs, 0);
  const values = tensor(outputs, 0);
  const axis = params.axis as number;
  const [d, k] = [x.shape[axis] as number, values.shape[axis] as number];
  const inner = count(x.shape.slice(axis + 1));
  const outer = count(x.shape.slice(0, axis));
  const row = keys(x, d);
  const better = order(row, params.largest === 1);
  const best = new Uint32Array(k);
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++) {
      for (let p = 0; p < d; p++) row[p] = keyOf(x, (o * d + p) * inner + i);
      select(best, d, better);
      for (let p = 0; p < k; p++) {
        const [from, to] = [(o * d + (best[p] as number)) * inner + i, (o * k + p) * inner + i];
        (values.data as Int32Array)[to] = (x.data as Int32Array)[from] as number;
        if (outputs[1]) put(outputs[1].data, to, best[p] as number);
      }
    }
};

const put = (a: TypedArray, i: number, v: number): void => {
  if (a instanceof BigInt64Array) a[i] = BigInt(v);
  else a[i] = v;
};

/** Room for the comparable values of one row. */
const keys = (x: HostTensor, n: number): number[] | bigint[] =>
  x.dtype === "int64" ? new Array<bigint>(n).fill(0n) : new Array<number>(n).fill(0);

function keyOf(x: HostTensor, i: number): number {
  const v = x.data[i] as number;
  return x.dtype === "float16" ? halfToFloat(v) : v; // a bigint stays one
}

/** Whether element a of the row comes before element b. */
function order(row: readonly number[] | readonly bigint[], largest: boolean): Before {
  return (a, b) => {
    const [x, y] = [row[a] as number, row[b] as number];
    if (x === y) return a < b;
    const [xn, yn] = [Number.isNaN(x), Number.isNaN(y)];
    if (xn || yn) return xn && yn ? a < b : xn === largest;
    return x > y === largest;
  };
}

/** Fills `best` with the best of 0…n−1, best first. */
function select(best: Uint32Array, n: number, better: Before): void {
  const k = best.length;
  if (k === 0) return;
  for (let i = 0; i < k; i++) best[i] = i;
  for (let i = (k >> 1) - 1; i >= 0; i--) sink(best, i, k, better);
  for (let i = k; i < n; i++) {
    if (!better(i, best[0] as number)) continue;
    best[0] = i;
    sink(best, 0, k, better);
  }
  for (let last = k - 1; last > 0; last--) {
    const worst = best[0] as number;
    best[0] = best[last] as number;
    best[last] = worst;
    sink(best, 0, last, better);
  }
}
