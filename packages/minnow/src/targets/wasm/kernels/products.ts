// What matrix kernels can multiply: which bodies of a nest are a plain product of float32 rows and
// constant weights, and where those weights are.
import type { Expr } from "../../../compiler/expr.js";
import type { LoopNest } from "../../../compiler/nest.js";
import { isContiguous, type Step } from "../../../compiler/program.js";
import { type Buffers, constantNumbers, type Walk, walkOf } from "./operands.js";
import type { Matrix } from "./pack.js";

/** Σ x·w in float32, x stored as float32, w as float32 or float16. */
export function isFloatProduct(step: Step, nest: LoopNest): boolean {
  const { body, combine, operands } = nest;
  if (combine !== "sum" || body?.k !== "bin" || body.op !== "mul" || body.t !== "f32") return false;
  if (body.a.k !== "in" || body.a.i !== 0 || body.b.k !== "in" || body.b.i !== 1) return false;
  const types = [0, 1].map((i) => step.values[operands[i]?.value as number]?.dtype);
  return types[0] === "float32" && (types[1] === "float32" || types[1] === "float16");
}

/** Constant weights stored densely as [n][k]. */
export function weightMatrix(program: Buffers, w: Walk, n: number, k: number): Matrix | null {
  const data = program.buffers[w.view.buffer]?.data;
  if (!data || !isContiguous(w.view)) return null;
  return { data, dtype: w.dtype, offset: w.view.offset + w.offset, n, k, nStride: k, kStride: 1 };
}

/** Σ (x − zx)·(w − zw) in int32 over 8-bit x and w. */
export interface IntegerProduct {
  readonly zx: number;
  /** One, or one per output channel. */
  readonly zw: readonly number[];
}

export function integerProduct(
  step: Step,
  nest: LoopNest,
  program: Buffers,
  channels: number,
): IntegerProduct | null {
  const { body, combine, operands } = nest;
  if (combine !== "sum" || body?.k !== "bin" || body.op !== "mul" || body.t !== "i32") return null;
  const small = (i: number): boolean => {
    const t = step.values[operands[i]?.value as number]?.dtype;
    return t === "int8" || t === "uint8";
  };
  if (!small(0) || !small(1)) return null;
  const x = minusZero(body.a, 0);
  const w = minusZero(body.b, 1);
  if (!x || !w || typeof x.zero !== "number") return null;
  if (typeof w.zero === "number") return { zx: x.zero, zw: [w.zero] };
  const table = walkOf(step, nest, w.zero.operand);
  const data = table && program.buffers[table.view.buffer]?.data;
  if (!table || !data || table.dtype !== "int32") return null;
  return { zx: x.zero, zw: [...constantNumbers(data, "int32", table.view.offset + table.offset, channels)] };
}

/** in − zero, the zero a constant or an operand. */
function minusZero(e: Expr, operand: number): { zero: number | { operand: number } } | null {
  if (e.k === "in" && e.i === operand) return { zero: 0 };
  if (e.k !== "bin" || e.op !== "sub" || e.a.k !== "in" || e.a.i !== operand) return null;
  if (e.b.k === "const") return { zero: e.b.v };
  return e.b.k === "in" ? { zero: { operand: e.b.i } } : null;
}
