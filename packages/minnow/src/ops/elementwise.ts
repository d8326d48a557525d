// Element-wise operators: one Expr gives shape inference, every target, fusion and quantised forms.
import type { DType } from "../graph/dtype.js";
import { broadcast } from "../graph/dim.js";
import type { Attrs } from "../graph/graph.js";
import type { Expr } from "../compiler/expr.js";
import { type AttrSpec, type ExprContext, type InferContext, type Inferred, need, type OpDef, reject } from "./op.js";

interface Options {
  attrs?: Record<string, AttrSpec>;
  /** Output type; default: that of the first input. */
  dtype?: DType | ((c: InferContext) => DType);
  /** Inputs may differ in type. */
  mixed?: boolean;
  /** Integers known at shape time are carried through (shape arithmetic). */
  value?: (values: readonly (number | string)[], attrs: Attrs) => number | string;
}

/**
 * Defines an element-wise operator.
 * @param inputs names of the inputs, as in OpDef
 * @param expr one output element from one element of each input
 */
export function elementwise(
  name: string,
  inputs: readonly string[],
  expr: (x: readonly Expr[], attrs: Attrs, c: ExprContext) => Expr,
  options: Options = {},
): OpDef {
  return {
    name,
    inputs,
    attrs: options.attrs ?? {},
    infer: (c) => [inferElementwise(c, options)],
    expr,
  };
}

function inferElementwise(c: InferContext, { dtype, mixed, value }: Options): Inferred {
  const ins = c.inputs.map((_, i) => need(c, i));
  const first = need(c, 0);
  if (!mixed)
    for (const t of ins)
      if (t.dtype !== first.dtype) reject(c, `inputs are ${ins.map((x) => x.dtype).join(" and ")}`);
  const shape = broadcast(...ins.map((t) => t.shape));
  if (!shape) reject(c, `shapes ${ins.map((t) => `[${t.shape}]`).join(" and ")} do not broadcast`);
  const out = typeof dtype === "function" ? dtype(c) : (dtype ?? first.dtype);
  if (!value || !ins.every((t) => t.value) || shape.length > 1) return { dtype: out, shape };
  const n = Math.max(...ins.map((t) => t.value?.length ?? 0));
  if (ins.some((t) => t.value?.length !== 1 && t.value?.length !== n)) return { dtype: out, shape };
  const known = Array.from({ length: n }, (_, i) =>
    value(
      ins.map((t) => (t.value as readonly (number | string)[])[t.value?.length === 1 ? 0 : i] as number | string),
      c.attrs,
    ),
  );
  return { dtype: out, shape, value: known };
}
