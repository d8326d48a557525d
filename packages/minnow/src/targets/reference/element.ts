// Element-wise operators by their Expr: broadcast inputs, float64 arithmetic. Quantised operands count as
// real numbers, quantised results are rounded half away from zero and clamped.
import * as e from "../../compiler/expr.js";
import { scalarOf } from "../../compiler/nest.js";
import { count } from "../../graph/dim.js";
import type { DType } from "../../graph/dtype.js";
import type { Attrs } from "../../graph/graph.js";
import type { OpDef, RefTensor } from "../../ops/op.js";
import { offsetIn, positions, reals, stridesOf, toQuantized } from "../../ops/reference_tools.js";
import { evaluator, type Value } from "./evaluate.js";

type Out = Omit<RefTensor, "data">;

/** The output's elements: stored integers where it is quantised, else as its compute type gives them. */
export function elementExprReal(def: OpDef, attrs: Attrs, inputs: readonly RefTensor[], out: Out): Float64Array {
  const raw = def.raw === true;
  const typeOf = (t: Out): DType => (t.quant && !raw ? "float32" : t.dtype);
  const types = inputs.map(typeOf);
  const output = typeOf(out);
  const operands = types.map((t, i) => e.input(i, scalarOf(t)));
  const y = (def.expr as NonNullable<OpDef["expr"]>)(operands, attrs, { inputs: types, output });
  const run = evaluator(e.cast(y, scalarOf(output)));
  const data = inputs.map((t) => (raw ? t.data : reals(t)));
  const strides = inputs.map((t) => stridesOf(t.shape));
  const big = types.map((t) => t === "int64");
  const result = new Float64Array(count(out.shape));
  let n = 0;
  let at: readonly number[] = [];
  const operand = (i: number): Value => {
    const t = inputs[i] as RefTensor;
    const v = (data[i] as Float64Array)[offsetIn(t.shape, strides[i] as number[], at)] as number;
    return big[i] ? BigInt(v) : v;
  };
  for (at of positions(out.shape)) result[n++] = Number(run(operand));
  return out.quant && !raw ? toQuantized(result, out.quant, out.dtype, out.shape) : result;
}
