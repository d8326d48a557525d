// Dense multiplies rows by stored weights [N,K]: out[m,n] = b[n] + Σ x[m,k]·w[n,k].
// Kernel "dense", params {}: loops [M,N], reduce [K] for x of rank 2; x of higher rank keeps its leading
// axes as loops ([A,B,N] and so on: contiguous, so M = A·B), and when flattened (keepDims false) its
// trailing axes as reduction loops whose product is K. Operands 0 = x, 1 = w, 2 = b if present, tables.
import { type Access, type AxisIndex, at } from "../compiler/nest.js";
import * as dim from "../graph/dim.js";
import { count, type Dim } from "../graph/dim.js";
import { checkChannels, differ, productType } from "./conv.js";
import { affine } from "./lowering.js";
import {
  bool,
  type InferContext,
  type Inferred,
  type LowerContext,
  type LowerTensor,
  need,
  type OpDef,
  reject,
} from "./op.js";
import { product } from "./requantize.js";

function inferDense(c: InferContext): Inferred[] {
  const [x, w] = [need(c, 0), need(c, 1)];
  if (w.shape.length !== 2) reject(c, `weights [${w.shape}] must be [N,K]`);
  if (x.shape.length === 0) reject(c, "x is a scalar");
  const [n, k] = w.shape as [Dim, Dim];
  checkChannels(c, n);
  const dtype = productType(c);
  if (bool(c.attrs, "keepDims")) {
    if (differ(x.shape.at(-1) as Dim, k))
      reject(c, `x [${x.shape}] does not end in the ${k} of w [${w.shape}]`);
    return [{ dtype, shape: [...x.shape.slice(0, -1), n] }];
  }
  const total = dim.product(x.shape);
  if (typeof total === "number" && typeof k === "number" && total % k !== 0)
    reject(c, `x [${x.shape}] does not split into rows of ${k}`);
  return [{ dtype, shape: [dim.floorDiv(total, k), n] }];
}

/** Number of trailing axes of `shape` whose product is k; −1 when rows do not end at an axis. */
function trailing(shape: readonly number[], k: number): number {
  let product = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    product *= shape[i] as number;
    if (product === k) return shape.length - i;
  }
  return -1;
}

/** Row-major position from loops first…first + sizes.length − 1. */
function linear(sizes: readonly number[], first: number): AxisIndex {
  const terms: [number, number][] = [];
  let stride = 1;
  for (let i = sizes.length - 1; i >= 0; i--) {
    if (sizes[i] !== 1) terms.unshift([first + i, stride]);
    stride *= sizes[i] as number;
  }
  return affine(terms);
}

function lowerDense(c: LowerContext): void {
  const [x, w, b] = c.inputs as [LowerTensor, LowerTensor, LowerTensor | undefined];
  const [n, k] = w.shape as [number, number];
  const keep = bool(c.attrs, "keepDims");
  const tail = keep ? 1 : trailing(x.shape, k);
  if (tail < 0)
    reject(c, `rows of ${k} cross the axes of x [${x.shape}]`, "unsupported", "reshape x to [M, K] first");
  const lead = x.shape.slice(0, x.shape.length - tail);
  const inner = x.shape.slice(x.shape.length - tail);
  // A flattened x always has a row axis in the output.
  const loops = lead.length > 0 || keep ? lead : [1];
  const column = at(loops.length);
  const reduceAt = loops.length + 1;
  const operands: Access[] = [
    { value: c.input(0), index: [...lead.map((_, i) => at(i)), ...inner.map((_, i) => at(reduceAt + i))] },
    { value: c.input(1), index: [column, linear(inner, reduceAt)] },
  ];
  if (b) operands.push({ value: c.input(2), index: [column] });
  const p = product(c, x, w, b ? 2 : -1, operands.length, column);
  const rows = keep ? lead.map((_, i) => at(i)) : [linear(lead, 0)];
  c.kernel(
    "dense",
    {},
    {
      loops: [...loops, n],
      reduce: inner,
      operands: [...operands, ...p.operands],
      body: p.body,
      combine: "sum",
      result: p.result,
      out: { value: c.output(0), index: [...rows, column] },
    },
  );
}

const dense: OpDef = {
  name: "Dense",
  inputs: ["x", "w", "b?"],
  attrs: { keepDims: { type: "bool", default: true } },
  infer: inferDense,
  lower: lowerDense,
  macs: ({ inputs, outputs }) =>
    count((outputs[0] as LowerTensor).shape) * ((inputs[1] as LowerTensor).shape[1] as number),
};

export const ops = [dense];
