// Element-wise operators by their Expr: broadcast inputs, float64 arithmetic. Quantised operands count as
// real numbers, quantised results are rounded half away from zero and clamped.
import * as e from "../../compiler/expr.js";
import { scalarOf } from "../../compiler/nest.js";
import { count } from "../../graph/dim.js";
import type { DType } from "../../graph/dtype.js";
import type { Attrs } from "../../graph/graph.js";
import type { OpDef, RefTensor } from "../../ops/op.js";
import { offsetIn, positions, reals, stridesOf, toQuantized } from "../../ops/reference_tools.js";
import { blockEvaluator, blockSize } from "./blocks.js";
import { evaluator } from "./evaluate.js";

type Out = Omit<RefTensor, "data">;
type Data = RefTensor["data"];

/** The output's elements: stored integers where it is quantised, else as its compute type gives them. */
export function elementExprReal(
  def: OpDef,
  attrs: Attrs,
  inputs: readonly RefTensor[],
  out: Out,
): Float64Array {
  const raw = def.raw === true;
  const typeOf = (t: Out): DType => (t.quant && !raw ? "float32" : t.dtype);
  const types = inputs.map(typeOf);
  const output = typeOf(out);
  const operands = types.map((t, i) => e.input(i, scalarOf(t)));
  const y = (def.expr as NonNullable<OpDef["expr"]>)(operands, attrs, { inputs: types, output });
  const expr = e.cast(y, scalarOf(output));
  const data = inputs.map((t) => broadcastData(raw ? t.data : reals(t), t.shape, out.shape));
  const result = new Float64Array(count(out.shape));
  inBlocks(expr, data, result) ||
    oneByOne(
      expr,
      data,
      types.map((t) => t === "int64"),
      result,
    );
  return out.quant && !raw ? toQuantized(result, out.quant, out.dtype, out.shape) : result;
}

/** Elements repeated to `shape`; a single one stays single. */
function broadcastData(data: Data, from: readonly number[], shape: readonly number[]): Data {
  const n = count(shape);
  if (data.length === n || data.length === 1) return data;
  const strides = stridesOf(from);
  const out = new Float64Array(n);
  let i = 0;
  for (const at of positions(shape)) out[i++] = data[offsetIn(from, strides, at)] as number;
  return out;
}

function inBlocks(expr: e.Expr, data: readonly Data[], result: Float64Array): boolean {
  const run = blockEvaluator(expr);
  if (!run) return false;
  const full = data.map((d) => (d.length === 1 ? new Float64Array(blockSize).fill(d[0] as number) : null));
  for (let from = 0; from < result.length; from += blockSize) {
    const n = Math.min(blockSize, result.length - from);
    const operand = (i: number): Float64Array =>
      full[i] ?? new Float64Array((data[i] as Float64Array).slice(from, from + n));
    result.set(run(n, operand).subarray(0, n), from);
  }
  return true;
}

function oneByOne(expr: e.Expr, data: readonly Data[], wide: readonly boolean[], result: Float64Array): void {
  const run = evaluator(expr);
  for (let n = 0; n < result.length; n++)
    result[n] = Number(
      run((i) => {
        const d = data[i] as Data;
        const v = d[d.length === 1 ? 0 : n] as number;
        return wide[i] ? BigInt(v) : v;
      }),
    );
}
