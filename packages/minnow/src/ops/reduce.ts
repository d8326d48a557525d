// Reductions over any axes, and the place of the largest or smallest element. Kernel "reduce", params {}:
// loops are the axes that stay, in order; reduction loops the others. Operand 0 = x. Mean divides by a
// constant. Quantised sums add qx − zx as int32.
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import { type Access, type AxisIndex, at, type Combine, fixed } from "../compiler/nest.js";
import { sameQuant } from "../compiler/quantized.js";
import { count, type Dim, type Shape } from "../graph/dim.js";
import type { Attrs } from "../graph/graph.js";
import { isDType, isFloat } from "../graph/dtype.js";
import { wrap } from "./elementwise.js";
import { kept, stored, toStored } from "./lowering.js";
import {
  axisOf,
  bool,
  type InferContext,
  type Inferred,
  int,
  ints,
  type LowerContext,
  type LowerTensor,
  need,
  type OpDef,
  reject,
  str,
  type TensorInfo,
} from "./op.js";

/** Axes to reduce, ascending; from the input where it is given. */
export function reducedAxes(
  c: { op: string; name: string; attrs: Attrs },
  rank: number,
  given: Pick<TensorInfo, "value" | "shape"> | undefined,
): number[] {
  if (given && !given.value && given.shape[0] !== 0)
    reject(c, "its axes must be known before running", "unsupported");
  const listed = given ? ((given.value ?? []) as readonly Dim[]) : ints(c.attrs, "axes");
  if (listed.length === 0)
    return bool(c.attrs, "noopWithEmptyAxes") ? [] : Array.from({ length: rank }, (_, i) => i);
  return [...new Set(listed.map((a) => axisOf(c, a as number, rank)))].sort((a, b) => a - b);
}

export const reducedShape = (shape: Shape, axes: readonly number[], keepDims: boolean): Dim[] =>
  shape.flatMap((d, i) => (axes.includes(i) ? (keepDims ? [1] : []) : [d]));

function infer(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const axes = reducedAxes(c, x.shape.length, c.inputs[1]);
  const shape = reducedShape(x.shape, axes, bool(c.attrs, "keepDims"));
  if (c.op === "ReduceAll" || c.op === "ReduceAny") return [{ dtype: "bool", shape }];
  if (x.dtype === "bool" || x.dtype === "string") reject(c, `takes no ${x.dtype}`, "unsupported");
  const value = c.op === "ReduceProd" && x.value?.every((v) => typeof v === "number") && shape.length < 2;
  const [out] = kept(c, x, shape) as [Inferred];
  if (!value || axes.length !== x.shape.length) return [out];
  return [{ ...out, value: [(x.value as number[]).reduce((a, b) => a * b, 1)] }];
}

/** Axis positions of x and of the output, when `axes` reduce. */
export function reductionLoops(shape: readonly number[], axes: readonly number[], keepDims: boolean) {
  const stay = shape.map((_, i) => i).filter((i) => !axes.includes(i));
  const x = shape.map((_, i) => at(axes.includes(i) ? stay.length + axes.indexOf(i) : stay.indexOf(i)));
  const out: AxisIndex[] = keepDims
    ? shape.map((_, i) => (axes.includes(i) ? fixed(0) : at(stay.indexOf(i))))
    : stay.map((_, i) => at(i));
  return { loops: stay.map((i) => shape[i] as number), reduce: axes.map((i) => shape[i] as number), x, out };
}

/** How a reduction folds: on real or integer elements x, `n` of them. */
interface Fold {
  combine: Combine;
  body: (x: Expr) => Expr;
  result: (acc: Expr, n: number) => Expr;
}

const same = (x: Expr): Expr => x;
const absolute = (x: Expr): Expr => (x.t === "i64" ? e.max(x, e.neg(x)) : e.abs(x));
const square = (x: Expr): Expr => e.mul(x, x);
const mean = (acc: Expr, n: number): Expr => e.div(acc, n);
const root = (acc: Expr): Expr => e.sqrt(e.cast(acc, "f32"));

const folds: Record<string, Fold> = {
  ReduceSum: { combine: "sum", body: same, result: same },
  ReduceMean: { combine: "sum", body: same, result: mean },
  ReduceMax: { combine: "max", body: same, result: same },
  ReduceMin: { combine: "min", body: same, result: same },
  ReduceProd: { combine: "prod", body: same, result: same },
  ReduceL1: { combine: "sum", body: absolute, result: same },
  ReduceL2: { combine: "sum", body: square, result: root },
  ReduceSumSquare: { combine: "sum", body: square, result: same },
  // The identity of "min" over no elements is the largest integer, which is true; of "max" the smallest: false.
  ReduceAll: { combine: "min", body: (x) => e.ne(x, 0), result: (acc) => e.gt(acc, 0) },
  ReduceAny: { combine: "max", body: (x) => e.ne(x, 0), result: (acc) => e.gt(acc, 0) },
};

function lower(c: LowerContext): void {
  const [x, out] = [c.inputs[0] as LowerTensor, c.outputs[0] as LowerTensor];
  const axes = reducedAxes(c, x.shape.length, c.inputs[1]);
  const l = reductionLoops(x.shape, axes, bool(c.attrs, "keepDims"));
  const n = count(l.reduce);
  const target = { value: c.output(0), index: l.out };
  const operands: Access[] = [{ value: c.input(0), index: l.x }];
  const fold = folds[c.op] as Fold;
  const { body, result } = folded(fold, c.op, x, out, n);
  if (axes.length === 0) {
    // Nothing to fold: one element each.
    c.nest({ loops: l.loops, reduce: [], operands, result: result(body(stored(x, 0))), out: target });
    return;
  }
  const b = body(stored(x, 0));
  c.kernel("reduce", {}, {
    ...l,
    operands,
    body: b,
    combine: fold.combine,
    result: result(e.accumulator(b.t)),
    out: target,
  } as Parameters<LowerContext["kernel"]>[2]);
}

/** Body and result over stored elements: integers where the quantisation allows, else real numbers. */
function folded(fold: Fold, op: string, x: LowerTensor, out: LowerTensor, n: number) {
  if (!x.quant)
    return {
      body: fold.body,
      result: (acc: Expr) => wrap(toStored(fold.result(acc, n), out), out.dtype),
    };
  const zero = x.quant.zeroPoint[0] ?? 0;
  const scale = x.quant.scale[0] ?? 1;
  if ((fold.combine === "max" || fold.combine === "min") && sameQuant(x.quant, out.quant))
    return { body: fold.body, result: (acc: Expr) => acc };
  if ((op === "ReduceSum" || op === "ReduceMean") && x.dtype !== "int32")
    return {
      body: (q: Expr) => (zero === 0 ? q : e.sub(q, zero)),
      result: (acc: Expr) => {
        const real = e.mul(e.cast(acc, "f32"), Math.fround(op === "ReduceMean" ? scale / n : scale));
        return toStored(real, out);
      },
    };
  return {
    body: (q: Expr) => fold.body(e.mul(e.cast(zero === 0 ? q : e.sub(q, zero), "f32"), Math.fround(scale))),
    result: (acc: Expr) => toStored(fold.result(acc, n), out),
  };
}

/** An operator that reduces over any axes. */
export const reduction = (name: string, lower: (c: LowerContext) => void): OpDef => ({
  name,
  inputs: ["x", "axes?"],
  attrs: {
    axes: { type: "ints", default: [] },
    keepDims: { type: "bool", default: true },
    noopWithEmptyAxes: { type: "bool", default: false },
  },
  infer,
  lower,
});

const reductions = [
  "ReduceSum",
  "ReduceMean",
  "ReduceMax",
  "ReduceMin",
  "ReduceProd",
  "ReduceL1",
  "ReduceL2",
  "ReduceSumSquare",
  "ReduceAll",
  "ReduceAny",
].map((name) => reduction(name, lower));

const argReductions = ["ArgMax", "ArgMin"].map(
  (name): OpDef => ({
    name,
    inputs: ["x"],
    attrs: {
      axis: { type: "int", default: 0 },
      keepDims: { type: "bool", default: true },
      selectLast: { type: "bool", default: false },
      to: { type: "dtype", default: "int64" },
    },
    infer: (c) => {
      const x = need(c, 0);
      const axis = axisOf(c, int(c.attrs, "axis"), x.shape.length);
      if (x.shape[axis] === 0) reject(c, "no elements to choose from");
      const to = str(c.attrs, "to");
      if (!isDType(to) || isFloat(to) || to === "string") reject(c, `cannot give ${to}`, "bad_graph");
      return [{ dtype: to, shape: reducedShape(x.shape, [axis], bool(c.attrs, "keepDims")) }];
    },
    /** Kernel "reduce" with combine argmax, argmin, argmax_last or argmin_last over one reduction loop. */
    lower: (c) => {
      const [x, out] = [c.inputs[0] as LowerTensor, c.outputs[0] as LowerTensor];
      const axis = axisOf(c, int(c.attrs, "axis"), x.shape.length);
      const l = reductionLoops(x.shape, [axis], bool(c.attrs, "keepDims"));
      const combine = c.op === "ArgMax" ? "argmax" : "argmin";
      c.kernel(
        "reduce",
        {},
        {
          loops: l.loops,
          reduce: l.reduce,
          operands: [{ value: c.input(0), index: l.x }],
          body: stored(x, 0),
          combine: bool(c.attrs, "selectLast") ? `${combine}_last` : combine,
          result: toStored(e.accumulator("i32"), out),
          out: { value: c.output(0), index: l.out },
        },
      );
    },
  }),
);

export const ops: OpDef[] = [...reductions, ...argReductions];
