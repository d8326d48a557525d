// Softmax along one axis, safe from overflow:
//   m = max x,  y = exp(beta·(x − m)),  s = Σ y,  out = y / s
// Four kernels: "reduce" (max), a nest, "reduce" (sum), a nest. For rows of floats a target may take one instead,
// "softmax", params {beta}: reads x, writes out. Quantised inputs subtract their largest as integers; results are
// requantised (TFLite: scale 1/256, zero point −128).
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import { type Access, fixed, type ValueId } from "../compiler/nest.js";
import { kept, stored, toStored, walk } from "./lowering.js";
import {
  axisOf,
  type InferContext,
  type Inferred,
  int,
  type LowerContext,
  type LowerTensor,
  need,
  type OpDef,
  reject,
} from "./op.js";
import { reducedShape, reductionLoops } from "./reduce.js";

function infer(c: InferContext): Inferred[] {
  const x = need(c, 0);
  axisOf(c, int(c.attrs, "axis"), x.shape.length);
  if (!x.quant && x.dtype !== "float32" && x.dtype !== "float16")
    reject(c, `takes no ${x.dtype}`, "unsupported");
  return kept(c, x, x.shape);
}

interface Axis {
  x: LowerTensor;
  rank: number;
  axis: number;
  /** The reduction along the axis, which stays as 1. */
  l: ReturnType<typeof reductionLoops>;
  small: number[];
}

export function axisLoops(c: LowerContext): Axis {
  const x = c.inputs[0] as LowerTensor;
  const axis = axisOf(c, int(c.attrs, "axis"), x.shape.length);
  return {
    x,
    rank: x.shape.length,
    axis,
    l: reductionLoops(x.shape, [axis], true),
    small: reducedShape(x.shape, [axis], true) as number[],
  };
}

/** Folds x (or `from`) along the axis into a new temporary. */
export function fold(
  c: LowerContext,
  a: Axis,
  combine: "max" | "sum",
  body: Expr,
  operands: Access[],
  result: Expr,
): ValueId {
  const to = c.temp(combine === "max" ? a.x.dtype : "float32", a.small);
  c.kernel(
    "reduce",
    {},
    {
      loops: a.l.loops,
      reduce: a.l.reduce,
      operands,
      body,
      combine,
      result,
      out: { value: to, index: a.l.out },
    },
  );
  return to;
}

function shifted(x: LowerTensor, beta: number): Expr {
  const d = e.sub(stored(x, 0), stored(x, 1));
  const factor = Math.fround(beta * (x.quant?.scale[0] ?? 1));
  return factor === 1 ? e.cast(d, "f32") : e.mul(e.cast(d, "f32"), factor);
}

/** Rows that lie one after the other. */
function inRows({ x, rank, axis }: Axis, out: LowerTensor): boolean {
  return axis === rank - 1 && [x, out].every((t) => t.dtype === "float32" && !t.quant);
}

/** m; z = beta·(x − m) from operands 0 = x and 1 = m; how x and m are indexed. */
export function takeLargest(c: LowerContext, a: Axis) {
  const { x, l } = a;
  const full = walk(a.rank);
  const across = full.map((i, axis) => (a.small[axis] === 1 ? fixed(0) : i));
  const m = fold(c, a, "max", stored(x, 0), [{ value: c.input(0), index: l.x }], stored(x, -1));
  return { m, z: shifted(x, c.attrs.beta as number), full, across };
}

function lower(c: LowerContext): void {
  const a = axisLoops(c);
  const { x, l } = a;
  const out = c.outputs[0] as LowerTensor;
  const beta = c.attrs.beta as number;
  if (beta > 0 && inRows(a, out) && c.offer("softmax", { beta }, [c.input(0)], [c.output(0)])) return;
  const { m, z, full, across } = takeLargest(c, a);
  const y = c.temp("float32", x.shape);
  c.nest({
    loops: x.shape,
    reduce: [],
    operands: [
      { value: c.input(0), index: full },
      { value: m, index: across },
    ],
    result: e.exp(z),
    out: { value: y, index: full },
  });
  const s = fold(c, a, "sum", e.input(0, "f32"), [{ value: y, index: l.x }], e.accumulator("f32"));
  c.nest({
    loops: x.shape,
    reduce: [],
    operands: [
      { value: y, index: full },
      { value: s, index: across },
    ],
    result: toStored(e.div(e.input(0, "f32"), e.input(1, "f32")), out),
    out: { value: c.output(0), index: full },
  });
}

/** Softmax or its logarithm. */
export const softmaxLike = (name: string, lower: (c: LowerContext) => void): OpDef => ({
  name,
  inputs: ["x"],
  attrs: { axis: { type: "int", default: -1 }, beta: { type: "float", default: 1 } },
  infer,
  lower,
});

export const ops: OpDef[] = [softmaxLike("Softmax", lower)];
