// Products of two tensors with numpy's batch rules: out[…,m,n] = Σ a[…,m,k]·b[…,k,n].
// Kernel "matmul", params {transposeA, transposeB} (0 or 1): loops [...batch,M,N] (M or N is 1 and
// absent from out for rank-1 operands), reduce [K]. Operands 0 = a, 1 = b, tables.
import * as e from "../compiler/expr.js";
import { type Access, type AxisIndex, at, fixed } from "../compiler/nest.js";
import { broadcast, count, type Dim } from "../graph/dim.js";
import { type DType, isFloat } from "../graph/dtype.js";
import { differ, productType } from "./conv.js";
import { stored, walk } from "./lowering.js";
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
import { minus, type Product, product, scaledTo } from "./requantize.js";

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

const bytes: readonly DType[] = ["int8", "uint8"];

/** Both factors are computed bytes, which no kernel multiplies; as floats they are multiplied fast. */
function multipliesAsFloats(a: LowerTensor, b: LowerTensor, out: LowerTensor): boolean {
  const small = (t: LowerTensor): boolean =>
    !t.data && t.quant?.scale.length === 1 && bytes.includes(t.dtype);
  return small(a) && small(b) && (out.quant ? bytes.includes(out.dtype) : isFloat(out.dtype));
}

/** q − z of a tensor, as floats. */
function centred(c: LowerContext, i: number): number {
  const t = c.inputs[i] as LowerTensor;
  const value = c.temp("float32", t.shape);
  const index = walk(t.shape.length);
  c.nest({
    loops: t.shape,
    reduce: [],
    operands: [{ value: c.input(i), index }],
    result: e.cast(minus(stored(t, 0), t.quant?.zeroPoint[0] ?? 0), "f32"),
    out: { value, index },
  });
  return value;
}

/**
 * The product of such floats: as exact as int32 while sums stay below 2^24, which 258 products of bytes do;
 * beyond that it rounds where int32 would when it becomes float32.
 */
function floatProduct(a: LowerTensor, b: LowerTensor, out: LowerTensor): Product {
  const [sa, sb] = [a, b].map((t) => t.quant?.scale[0] ?? 1) as [number, number];
  const scale = Math.fround(Math.fround(sa * sb) / (out.quant?.scale[0] ?? 1));
  const scaled = e.mul(e.accumulator("f32"), scale);
  const body = e.mul(e.input(0, "f32"), e.input(1, "f32"));
  return { operands: [], body, result: scaledTo(out, scaled) };
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

export const ops = [matmul];
