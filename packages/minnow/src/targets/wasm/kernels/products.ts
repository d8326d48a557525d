// What matrix kernels can multiply: which bodies of a nest are a plain product of float32 rows and
// constant weights, and where those weights are.
import type { LoopNest } from "../../../compiler/nest.js";
import { isContiguous, type Step } from "../../../compiler/program.js";
import type { Buffers, Walk } from "./operands.js";
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
