// Element-wise operators: one Expr gives shape inference, every target, fusion and quantised forms.
// A quantised operand counts as float32 here: the compiler dequantises before and requantises after.
import { isFloat, type DType } from "../graph/dtype.js";
import { broadcast, type Dim } from "../graph/dim.js";
import type { Attrs, Quantization } from "../graph/graph.js";
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import {
  type AttrSpec,
  type ExprContext,
  type InferContext,
  type Inferred,
  need,
  type OpDef,
  reject,
  type TensorInfo,
} from "./op.js";

/** Which element types an operator takes; "number" is floats and integers, "any" bool too. */
export type TypeClass = "float" | "number" | "logical" | "any";

interface Options {
  attrs?: Record<string, AttrSpec>;
  /** Output type; default: that of the first input, or the declared one where inputs are quantised. */
  dtype?: DType | ((c: InferContext) => DType);
  types?: TypeClass;
  /** Inputs may differ in type. */
  mixed?: boolean;
  /** Shape arithmetic: numbers and symbols known before running are carried through; null = not known. */
  value?: (values: readonly Dim[], attrs: Attrs, c: InferContext) => Dim | null;
  /** Results may leave a narrow integer type and then wrap, as storage would: kernels keep them as int32. */
  wraps?: boolean;
  /** Acts on stored integers, whatever their quantisation says. */
  raw?: boolean;
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
    expr: options.wraps ? (x, attrs, c) => wrap(expr(x, attrs, c), c.output) : expr,
    ...(options.raw && { raw: true }),
  };
}

/** An int32 as int8, uint8 or int16 would hold it; other types pass. */
export function wrap(x: Expr, t: DType): Expr {
  if (x.t !== "i32") return x;
  if (t === "uint8") return e.and(x, 255);
  const bits = t === "int8" ? 24 : t === "int16" ? 16 : 0;
  return bits ? e.shr(e.shl(x, bits), bits) : x;
}

function inferElementwise(c: InferContext, options: Options): Inferred {
  const ins = c.inputs.map((_, i) => need(c, i));
  checkTypes(c, ins, options);
  const shape = broadcast(...ins.map((t) => t.shape));
  if (!shape) reject(c, `shapes ${ins.map((t) => `[${t.shape}]`).join(" and ")} do not broadcast`);
  const dtype = outputType(c, ins, options);
  const known = shape.length < 2 ? knownValues(c, ins, dtype, options) : null;
  return known ? { dtype, shape, value: known } : { dtype, shape };
}

const computeType = (t: TensorInfo): DType => (t.quant ? "float32" : t.dtype);

function checkTypes(c: InferContext, ins: readonly TensorInfo[], { types = "number", mixed }: Options): void {
  for (const t of ins) {
    const s = computeType(t);
    const ok =
      types === "any" ||
      (types === "float"
        ? isFloat(s)
        : types === "logical"
          ? !isFloat(s) && s !== "string"
          : s !== "bool" && s !== "string");
    if (!ok) reject(c, `takes no ${t.dtype}`, "unsupported");
  }
  // Constants are dequantised when the graph is lowered; nothing else knows its channel inside an Expr.
  const perChannel = ({ quant }: { quant?: Quantization }): boolean => (quant?.scale.length ?? 1) !== 1;
  if (ins.some((t) => !t.data && perChannel(t)) || c.outputs.some(perChannel))
    reject(c, "takes no activations quantised per channel", "unsupported");
  const first = ins[0] as TensorInfo;
  if (!mixed && ins.some((t) => computeType(t) !== computeType(first)))
    reject(c, `inputs are ${ins.map((x) => x.dtype).join(" and ")}`);
}

function outputType(c: InferContext, ins: readonly TensorInfo[], { dtype }: Options): DType {
  if (dtype) return typeof dtype === "function" ? dtype(c) : dtype;
  const out = c.outputs[0];
  if (out?.quant) return out.dtype;
  const first = ins[0] as TensorInfo;
  return computeType(first);
}

/** Elements of the output as far as those of the inputs decide them. */
function knownValues(
  c: InferContext,
  ins: readonly TensorInfo[],
  dtype: DType,
  { value }: Options,
): Dim[] | null {
  if (!value || c.outputs[0]?.quant || !ins.every((t) => t.value && !t.quant)) return null;
  const lengths = ins.map((t) => (t.value as readonly Dim[]).length);
  const n = lengths.includes(0) ? 0 : Math.max(...lengths);
  if (lengths.some((l) => l !== 1 && l !== n)) return null;
  const out: Dim[] = [];
  for (let i = 0; i < n; i++) {
    const operands = ins.map((t, k) => (t.value as readonly Dim[])[lengths[k] === 1 ? 0 : i] as Dim);
    const v = value(operands, c.attrs, c);
    const known = v === null ? null : fit(v, dtype);
    if (known === null) return null;
    out.push(known);
  }
  return out;
}

/** The value as its type holds it; null when it would overflow. */
function fit(v: Dim, dtype: DType): Dim | null {
  if (typeof v === "string") return v;
  if (dtype === "float32") return Math.fround(v);
  if (dtype === "bool") return v ? 1 : 0;
  if (!Number.isInteger(v)) return null;
  if (dtype === "int64") return v;
  return dtype === "int32" && Math.abs(v) < 2 ** 31 ? v : null;
}
