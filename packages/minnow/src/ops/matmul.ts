// Matrix products. Dense multiplies rows by stored weights [N,K]; MatMul two tensors with numpy's batch rules.
//   Dense: out[m,n] = b[n] + Σ x[m,k]·w[n,k]          MatMul: out[…,m,n] = Σ a[…,m,k]·b[…,k,n]
// Kernel "dense", params {}: loops [M,N], reduce [K] for x of rank 2; x of higher rank keeps its leading
// axes as loops ([A,B,N] and so on: contiguous, so M = A·B), and when flattened (keepDims false) its
// trailing axes as reduction loops whose product is K. Operands 0 = x, 1 = w, 2 = b if present, tables.
// Kernel "matmul", params {transposeA, transposeB} (0 or 1): loops [...batch,M,N] (M or N is 1 and
// absent from out for rank-1 operands), reduce [K]. Operands 0 = a, 1 = b, tables.
import { type Access, type AxisIndex, at, fixed } from "../compiler/nest.js";
import * as dim from "../graph/dim.js";
import { broadcast, count, type Dim } from "../graph/dim.js";
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
import { centred, floatProduct, multipliesAsFloats, product } from "./requantize.js";

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

interface MatrixShape {
  batch: readonly Dim[];
  rows: Dim;
  columns: Dim;
}

/** [batch…, rows, columns] of an operand; a vector is a row of `a`, a column of `b`. */
function matrix(shape: readonly Dim[], transpose: boolean, vector: "row" | "column"): MatrixShape {
  if (shape.length === 1)
    return vector === "row"
      ? { batch: [], rows: 1, columns: shape[0] as Dim }
      : { batch: [], rows: shape[0] as Dim, columns: 1 };
  const [p, q] = shape.slice(-2) as [Dim, Dim];
  return { batch: shape.slice(0, -2), rows: transpose ? q : p, columns: transpose ? p : q };
}

function matrices(
  c: { attrs: InferContext["attrs"] },
  a: readonly Dim[],
  b: readonly Dim[],
): [MatrixShape, MatrixShape] {
  return [matrix(a, bool(c.attrs, "transposeA"), "row"), matrix(b, bool(c.attrs, "transposeB"), "column")];
}

function inferMatMul(c: InferContext): Inferred[] {
  const [a, b] = [need(c, 0), need(c, 1)];
  if (a.shape.length === 0 || b.shape.length === 0) reject(c, "a scalar operand");
  if (!a.quant && !b.quant && a.dtype !== b.dtype) reject(c, `${a.dtype} times ${b.dtype}`);
  const [p, q] = matrices(c, a.shape, b.shape);
  if (differ(p.columns, q.rows)) reject(c, `[${a.shape}] times [${b.shape}]: ${p.columns} against ${q.rows}`);
  const batch = broadcast(p.batch, q.batch);
  if (!batch) reject(c, `batches of [${a.shape}] and [${b.shape}] do not broadcast`);
  const scales = b.quant?.scale.length ?? 1;
  if (scales !== 1 && differ(scales, q.columns)) reject(c, `${scales} scales for ${q.columns} columns`);
  const shape = [...batch];
  if (a.shape.length > 1) shape.push(p.rows);
  if (b.shape.length > 1) shape.push(q.columns);
  return [{ dtype: productType(c), shape }];
}

function lowerMatMul(c: LowerContext): void {
  const [a, b] = c.inputs as [LowerTensor, LowerTensor];
  const [p, q] = matrices(c, a.shape, b.shape);
  const batch = broadcast(p.batch, q.batch) as number[];
  const [m, n, k] = [batch.length, batch.length + 1, batch.length + 2];
  const along = (own: readonly Dim[]): AxisIndex[] =>
    own.map((d, i) => (d === 1 ? fixed(0) : at(i + batch.length - own.length)));
  const index = (s: MatrixShape, rows: number, columns: number, flip: boolean): AxisIndex[] =>
    flip ? [...along(s.batch), at(columns), at(rows)] : [...along(s.batch), at(rows), at(columns)];
  const transposeA = bool(c.attrs, "transposeA");
  const transposeB = bool(c.attrs, "transposeB");
  const aIndex = a.shape.length === 1 ? [at(k)] : index(p, m, k, transposeA);
  const bIndex = b.shape.length === 1 ? [at(k)] : index(q, k, n, transposeB);
  const floats = multipliesAsFloats(a, b, c.outputs[0] as LowerTensor);
  const operands: Access[] = [
    { value: floats ? centred(c, 0) : c.input(0), index: aIndex },
    { value: floats ? centred(c, 1) : c.input(1), index: bIndex },
  ];
  const products = floats ? floatProduct(a, b, c.outputs[0] as LowerTensor) : product(c, a, b, -1, 2, at(n));
  const out = batch.map((_, i) => at(i));
  if (a.shape.length > 1) out.push(at(m));
  if (b.shape.length > 1) out.push(at(n));
  c.kernel(
    "matmul",
    { transposeA: Number(transposeA), transposeB: Number(transposeB) },
    {
      loops: [...batch, p.rows as number, q.columns as number],
      reduce: [p.columns as number],
      operands: [...operands, ...products.operands],
      body: products.body,
      combine: "sum",
      result: products.result,
      out: { value: c.output(0), index: out },
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

const matmul: OpDef = {
  name: "MatMul",
  inputs: ["a", "b"],
  attrs: { transposeA: { type: "bool", default: false }, transposeB: { type: "bool", default: false } },
  infer: inferMatMul,
  lower: lowerMatMul,
  macs: ({ inputs, outputs, attrs }) => {
    const shape = (inputs[0] as LowerTensor).shape;
    const k = bool(attrs, "transposeA") && shape.length > 1 ? shape.at(-2) : shape.at(-1);
    return count((outputs[0] as LowerTensor).shape) * (k as number);
  },
};

export const ops = [dense, matmul];
