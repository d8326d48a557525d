// ScatterND: x copied, then one slice after another replaced or combined, in the order of the indices.
import { count } from "../../graph/dim.js";
import { type DType, floatToHalf, halfToFloat, type TypedArray } from "../../graph/dtype.js";
import { ModelError } from "../../error.js";
import { type HostKernel, type HostTensor, tensor } from "./kernel.js";

type Combine = (a: number, b: number) => number;

const combines: Record<string, Combine> = {
  add: (a, b) => a + b,
  mul: (a, b) => a * b,
  // Not Math.min and max: bigint elements too. NaN wins, as in the ONNX reference.
  min: (a, b) => (b < a || Number.isNaN(b) ? b : a),
  max: (a, b) => (b > a || Number.isNaN(b) ? b : a),
};

/** params: reduction. inputs: x, indices (int32, int64), updates. outputs: y. */
export const scatterNd: HostKernel = (params, inputs, outputs) => {
  const [x, ind, updates, y] = [tensor(inputs, 0), tensor(inputs, 1), tensor(inputs, 2), tensor(outputs, 0)];
  if (y.data.byteOffset !== x.data.byteOffset || y.data.buffer !== x.data.buffer)
    (y.data as Int32Array).set(x.data as Int32Array);
  const depth = ind.shape[ind.shape.length - 1] as number;
  const rows = count(ind.shape.slice(0, -1));
  const slice = count(y.shape.slice(depth));
  const combine = params.reduction === "none" ? null : combines[params.reduction as string];
  if (combine === undefined)
    throw new ModelError("unsupported", `ScatterND reduction ${params.reduction}`, { op: "ScatterND" });
  for (let row = 0; row < rows; row++) {
    const to = placeOf(ind, row * depth, depth, y.shape) * slice;
    const from = row * slice;
    if (combine) merge(y.data, to, updates.data, from, slice, combine, y.dtype);
    else (y.data as Int32Array).set((updates.data as Int32Array).subarray(from, from + slice), to);
  }
};

/** The slice that one row of indices names. */
function placeOf(ind: HostTensor, at: number, depth: number, shape: readonly number[]): number {
  let place = 0;
  for (let k = 0; k < depth; k++) {
    const d = shape[k] as number;
    let v = Number(ind.data[at + k]);
    if (v < 0) v += d;
    if (!(v >= 0 && v < d))
      throw new ModelError("index_out_of_range", `ScatterND: index ${ind.data[at + k]} in an axis of ${d}`, {
        op: "ScatterND",
      });
    place = place * d + v;
  }
  return place;
}

function merge(
  to: TypedArray,
  at: number,
  from: TypedArray,
  start: number,
  n: number,
  combine: Combine,
  dtype: DType,
): void {
  const [y, u] = [to as Float32Array, from as Float32Array];
  if (dtype === "float16")
    for (let i = 0; i < n; i++)
      y[at + i] = floatToHalf(combine(halfToFloat(y[at + i] as number), halfToFloat(u[start + i] as number)));
  else if (dtype === "bool")
    for (let i = 0; i < n; i++) y[at + i] = combine(y[at + i] as number, u[start + i] as number) ? 1 : 0;
  else if (dtype === "int32") {
    const f: Combine = combine === combines.mul ? Math.imul : combine;
    for (let i = 0; i < n; i++) y[at + i] = f(y[at + i] as number, u[start + i] as number);
  } else for (let i = 0; i < n; i++) y[at + i] = combine(y[at + i] as number, u[start + i] as number);
}
