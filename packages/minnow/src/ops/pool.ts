// Max and average pooling in NHWC. Kernels "max_pool2d" and "avg_pool2d", params
// {kh, kw, strideY, strideX, dilationY, dilationX, padTop, padLeft}: loops [N,OH,OW,C], reduce [kh,kw],
// operand 0 = x, guarded on axes 1 and 2. An average divides its sum by a constant where every window
// holds as many elements, else by operand 1: counts [OH,OW], float32 (int32 for wide integers).
// Integers of equal quantisation average as TFLite: (sum ± count/2) / count, half away from zero.
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import { type Access, type AxisIndex, at } from "../compiler/nest.js";
import { quantRange, sameQuant } from "../compiler/quantized.js";
import { count, type Dim } from "../graph/dim.js";
import { isFloat } from "../graph/dtype.js";
import { affine, kept, loaded, stored, toStored, walk } from "./lowering.js";
import {
  bool,
  type InferContext,
  type Inferred,
  ints,
  type LowerContext,
  type LowerTensor,
  need,
  type OpDef,
  reject,
} from "./op.js";
import { windowAttrs, type Window, windowParams, windows } from "./window.js";

const poolAttrs = {
  kernel: { type: "ints" },
  ...windowAttrs,
  ceilMode: { type: "bool", default: false },
} as const;

function infer(c: InferContext): Inferred[] {
  const x = need(c, 0);
  if (x.shape.length !== 4) reject(c, `x [${x.shape}] must be [N,H,W,C]`);
  const [n, h, w, channels] = x.shape as [Dim, Dim, Dim, Dim];
  const [y, z] = windows(c, ints(c.attrs, "kernel"), [h, w]);
  return kept(c, x, [n, y.out, z.out, channels]);
}

/** x under the window: loops 0–3 walk the output, 4 and 5 the taps. */
function under([y, z]: readonly [Window, Window]): AxisIndex[] {
  const axis = (loop: number, tap: number, w: Window): AxisIndex =>
    affine(
      [
        [loop, w.stride],
        [tap, w.dilation],
      ],
      -(w.before as number),
      true,
    );
  return [at(0), axis(1, 4, y), axis(2, 5, z), at(3)];
}

function lowerMax(c: LowerContext): void {
  const [x, out] = [c.inputs[0] as LowerTensor, c.outputs[0] as LowerTensor];
  const spans = windows(c, ints(c.attrs, "kernel"), x.shape.slice(1, 3));
  const acc = stored(x, -1);
  const same = sameQuant(x.quant, out.quant);
  const fill = isFloat(x.dtype) ? Number.NEGATIVE_INFINITY : lowest(x);
  c.kernel("max_pool2d", windowParams(spans), {
    loops: out.shape,
    reduce: [spans[0].size, spans[1].size],
    operands: [{ value: c.input(0), index: under(spans), fill }],
    body: stored(x, 0),
    combine: "max",
    result: same ? acc : toStored(loaded(x, -1), out),
    out: { value: c.output(0), index: walk(4) },
  });
}

const lowest = (x: LowerTensor): number =>
  x.dtype === "bool" ? 0 : x.dtype === "int64" ? -(2 ** 63) : quantRange(x.dtype)[0];

/** How many elements each window position counts, along one axis. */
export function counts(w: Window, extent: number, countPads: boolean): number[] {
  const lo = countPads ? -(w.before as number) : 0;
  const hi = countPads ? extent + (w.after as number) : extent;
  return Array.from({ length: w.out as number }, (_, o) => {
    const start = o * w.stride - (w.before as number);
    const first = Math.max(0, Math.ceil((lo - start) / w.dilation));
    const end = Math.min(w.size, Math.ceil((hi - start) / w.dilation));
    return Math.max(0, end - first);
  });
}

function lowerAverage(c: LowerContext): void {
  const [x, out] = [c.inputs[0] as LowerTensor, c.outputs[0] as LowerTensor];
  const spans = windows(c, ints(c.attrs, "kernel"), x.shape.slice(1, 3));
  const countPads = bool(c.attrs, "countPads");
  const empty = count(out.shape) === 0;
  const rows = empty ? [] : counts(spans[0], x.shape[1] as number, countPads);
  const columns = empty ? [] : counts(spans[1], x.shape[2] as number, countPads);
  const integer = !isFloat(x.dtype) && sameQuant(x.quant, out.quant);
  // Padding reads as real zero; where it does not count, integers leave it out of their sum.
  const fill = integer && !countPads ? 0 : (x.quant?.zeroPoint[0] ?? 0);
  const operands: Access[] = [{ value: c.input(0), index: under(spans), ...(fill !== 0 && { fill }) }];
  const narrow = x.dtype === "int8" || x.dtype === "uint8";
  const exact = integer && !(narrow && spans[0].size * spans[1].size <= 4096);
  const divisor = countOperand(c, rows, columns, exact, operands);
  const body = integer ? stored(x, 0) : loaded(x, 0);
  const acc = e.accumulator(body.t);
  c.kernel("avg_pool2d", windowParams(spans), {
    loops: out.shape,
    reduce: [spans[0].size, spans[1].size],
    operands,
    body,
    combine: "sum",
    result: integer ? roundedMean(acc, divisor) : toStored(e.div(acc, divisor), out),
    out: { value: c.output(0), index: walk(4) },
  });
}

/**
 * The mean, half away from zero. 8-bit sums divide as float32, which vector units can: exact below 2²⁴, and up
 * to 4096 elements a quotient's rounding cannot carry it over a half. Others: (sum ± count/2) / count.
 */
function roundedMean(acc: Expr, divisor: Expr): Expr {
  if (divisor.t === "f32") {
    const half = e.select(e.lt(acc, 0), e.num(-0.5), e.num(0.5));
    return e.cast(e.add(e.div(e.cast(acc, "f32"), divisor), half), "i32");
  }
  const n = e.cast(divisor, acc.t);
  const half = e.div(n, 2);
  return e.div(e.select(e.lt(acc, 0), e.sub(acc, half), e.add(acc, half)), n);
}

/** The divisor: a constant where all windows count alike, else a table operand over [OH, OW]. */
function countOperand(
  c: LowerContext,
  rows: readonly number[],
  columns: readonly number[],
  integer: boolean,
  operands: Access[],
): Expr {
  const type = integer ? "i32" : "f32";
  const all = rows.flatMap((a) => columns.map((b) => a * b));
  if (all.every((n) => n === all[0])) return e.num(all[0] ?? 1, type);
  const data = integer ? Int32Array.from(all) : Float32Array.from(all);
  operands.push({ value: c.table(data, [rows.length, columns.length]), index: [at(1), at(2)] });
  return e.input(operands.length - 1, type);
}

export const ops: OpDef[] = [
  { name: "MaxPool2D", inputs: ["x"], attrs: poolAttrs, infer, lower: lowerMax },
  {
    name: "AvgPool2D",
    inputs: ["x"],
    attrs: { ...poolAttrs, countPads: { type: "bool", default: false } },
    infer,
    lower: lowerAverage,
  },
];
