// Logarithms of sums of powers: LogSoftmax, and the reduction itself. Both take the largest out first.
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import { log } from "../compiler/functions.js";
import type { Access, ValueId } from "../compiler/nest.js";
import { loaded, stored, toStored } from "./lowering.js";
import { bool, type LowerContext, type LowerTensor } from "./op.js";
import { reducedAxes, reducedShape, reduction, reductionLoops } from "./reduce.js";
import { axisLoops, fold, softmaxLike, takeLargest } from "./softmax.js";

/** beta·(x − m) − log Σ exp(beta·(x − m)), m the largest: "reduce" (max), "reduce" (sum), a nest. */
function logSoftmax(c: LowerContext): void {
  const a = axisLoops(c);
  const { x, l } = a;
  const { m, z, full, across } = takeLargest(c, a);
  const pair: Access[] = [
    { value: c.input(0), index: l.x },
    { value: m, index: l.out },
  ];
  const s = fold(c, a, "sum", e.exp(z), pair, log(e.accumulator("f32")));
  const operands: Access[] = [c.input(0), m, s].map((value, i) => ({ value, index: i ? across : full }));
  c.nest({
    loops: x.shape,
    reduce: [],
    operands,
    result: toStored(e.sub(z, e.input(2, "f32")), c.outputs[0] as LowerTensor),
    out: { value: c.output(0), index: full },
  });
}

/** log Σ exp(x − m) + m, m the largest (0 where that is infinite, so that ±∞ come out as they should). */
function logSumExp(c: LowerContext): void {
  const [x, out] = [c.inputs[0] as LowerTensor, c.outputs[0] as LowerTensor];
  const axes = reducedAxes(c, x.shape.length, c.inputs[1]);
  const l = reductionLoops(x.shape, axes, bool(c.attrs, "keepDims"));
  const m = largest(c, x, axes);
  const infinite = (v: Expr): Expr => e.select(e.lt(e.abs(v), Number.POSITIVE_INFINITY), v, 0);
  const big = reductionLoops(x.shape, axes, true);
  const operands: Access[] = [
    { value: c.input(0), index: l.x },
    { value: m, index: big.out },
  ];
  const max = infinite(e.input(1, "f32"));
  c.kernel(
    "reduce",
    {},
    {
      loops: l.loops,
      reduce: axes.length ? l.reduce : [1],
      operands,
      body: e.exp(e.sub(e.cast(loaded(x, 0), "f32"), max)),
      combine: "sum",
      result: toStored(e.add(log(e.accumulator("f32")), max), out),
      out: { value: c.output(0), index: l.out },
    },
  );
}

/** The largest real element over `axes`, kept as 1, as a float32 temporary. */
function largest(c: LowerContext, x: LowerTensor, axes: readonly number[]): ValueId {
  const l = reductionLoops(x.shape, axes, true);
  const to = c.temp("float32", reducedShape(x.shape, axes, true) as number[]);
  const acc = stored(x, -1);
  c.kernel(
    "reduce",
    {},
    {
      loops: l.loops,
      reduce: axes.length ? l.reduce : [1],
      operands: [{ value: c.input(0), index: l.x }],
      body: stored(x, 0),
      combine: "max",
      result: e.cast(x.quant ? loaded(x, -1) : acc, "f32"),
      out: { value: to, index: l.out },
    },
  );
  return to;
}

export const ops = [softmaxLike("LogSoftmax", logSoftmax), reduction("ReduceLogSumExp", logSumExp)];
