// The tuned kernels, in the order in which they are asked.
import type { Step } from "../../../compiler/program.js";
import type { TunedKernel } from "../kernel.js";
import { conv2d } from "./conv.js";
import { dense } from "./dense.js";
import { convInt8, denseInt8 } from "./gemm_int8.js";
import { depthwise } from "./depthwise.js";
import { matmul } from "./matmul.js";
import { pool } from "./pool.js";

export const tunedKernels: readonly TunedKernel[] = [
  depthwise,
  conv2d,
  convInt8,
  dense,
  denseInt8,
  matmul,
  pool,
];

/** Those, and before them what only some models need: loaded when one does. */
export async function kernelsFor(steps: readonly Step[]): Promise<readonly TunedKernel[]> {
  return steps.some(mayFilter) ? [(await import("./winograd.js")).winograd, ...tunedKernels] : tunedKernels;
}

/** Float32, one group, stride 1, more than a point: see winograd.ts. */
function mayFilter({ kernel, nest, params }: Step): boolean {
  if (kernel !== "conv2d" || nest?.body?.t !== "f32") return false;
  const { kh, kw, strideY, strideX, group } = params as Record<string, number>;
  return group === 1 && strideY === 1 && strideX === 1 && (kh as number) * (kw as number) > 1;
}
