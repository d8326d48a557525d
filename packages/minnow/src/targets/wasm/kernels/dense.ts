// Dense and matrix products in float32 with constant right sides: rows at a fixed pitch times packed
// panels, the same tile as convolution (f32_gemm). One row has a kernel of its own (gemv.ts).
import type { LoopNest } from "../../../compiler/nest.js";
import type { Step } from "../../../compiler/program.js";
import type { Engine } from "../engine.js";
import type { ArgWord, PlannedKernel, Planning, TunedKernel } from "../kernel.js";
import { epilogueOf } from "./epilogue.js";
import { planGemm } from "./gemm.js";
import { planGemv } from "./gemv.js";
import { type Buffers, joined, type Walk, walkOf } from "./operands.js";
import { type Matrix, packPanels } from "./pack.js";
import { isFloatProduct } from "./products.js";

export const dense: TunedKernel = { kernels: ["dense", "matmul"], plan: planDense };

function planDense(step: Step, engine: Engine, program: Planning): PlannedKernel | null {
  const nest = step.nest;
  if (!nest || nest.loops.some((n) => n === 0) || !isFloatProduct(step, nest)) return null;
  const p = constantProduct(step, nest, program);
  const epilogue = epilogueOf(step, nest, program);
  if (!p || !epilogue) return null;
  const n = p.weights.n;
  const rows = nest.loops.slice(0, -1).reduce((a, b) => a * b, 1);
  const x: ArgWord = { kind: "view", value: p.x.value, element: p.x.offset };
  if (rows === 1) return planGemv(nest.out.value, p.weights, x, epilogue, engine);
  return planGemm(
    step,
    {
      name: "gemm",
      epilogue,
      outValue: nest.out.value,
      rows,
      dynamic: program.dynamic,
      channels: n,
      groups: 1,
      x,
      pitchBytes: p.pitch * 4,
      groupBytes: 0,
      rowKind: "plain",
      taps: 1,
      k: p.weights.k,
      weights: packPanels(p.weights),
      rowInput: p.weights.k * 4,
    },
    engine,
  );
}

export interface ConstantProduct {
  readonly x: Walk;
  /** Elements from one row of x to the next. */
  readonly pitch: number;
  readonly weights: Matrix;
}

/** x's rows joined at one pitch and dense along k, times a constant matrix; else null. */
export function constantProduct(step: Step, nest: LoopNest, program: Buffers): ConstantProduct | null {
  const rank = nest.loops.length;
  const extents = [...nest.loops, ...nest.reduce];
  const k = nest.reduce.reduce((a, b) => a * b, 1);
  const x = walkOf(step, nest, 0);
  const w = walkOf(step, nest, 1);
  if (!x || !w || x.guarded || w.guarded || k === 0) return null;
  const pitch = joined(x.strides, extents, 0, rank - 1);
  const along = joined(x.strides, extents, rank, extents.length);
  if (pitch === null || along === null || (k > 1 && along !== 1) || x.strides[rank - 1] !== 0) return null;
  const data = program.buffers[w.view.buffer]?.data;
  const kStride = joined(w.strides, extents, rank, extents.length);
  const fixedRows = nest.loops.every((d, l) => l === rank - 1 || d === 1 || w.strides[l] === 0);
  if (!data || kStride === null || !fixedRows) return null;
  const n = nest.loops[rank - 1] as number;
  const nStride = w.strides[rank - 1] as number;
  return {
    x,
    pitch,
    weights: { data, dtype: w.dtype, offset: w.view.offset + w.offset, n, k, nStride, kStride },
  };
}
