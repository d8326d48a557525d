// The tuned kernels, in the order in which they are asked.
import type { Step } from "../../../compiler/program.js";
import type { TunedKernel } from "../kernel.js";
import { conv2d } from "./conv.js";
import { dense } from "./dense.js";
import { depthwise } from "./depthwise.js";
import { matmul } from "./matmul.js";
import { pool } from "./pool.js";

export const tunedKernels: readonly TunedKernel[] = [depthwise, conv2d, dense, matmul, pool];

/** Those, and before them what only some models need: loaded when one does. */
export async function kernelsFor(steps: readonly Step[]): Promise<readonly TunedKernel[]> {
  const rare = await Promise.all([
    steps.some(mayFilter) ? import("./winograd.js").then((m) => [m.winograd]) : [],
    steps.some(isInteger) ? import("./int8.js").then((m) => m.int8Kernels) : [],
  ]);
  return [...rare.flat(), ...tunedKernels];
}

/** Sums of integers. */
const isInteger = ({ nest }: Step): boolean => nest?.combine === "sum" && nest.body?.t === "i32";

/** Float32, one group, stride 1, more than a point: see winograd.ts. */
function mayFilter({ kernel, nest, params }: Step): boolean {
  if (kernel !== "conv2d" || nest?.body?.t !== "f32") return false;
  const { kh, kw, strideY, strideX, group } = params as Record<string, number>;
  return group === 1 && strideY === 1 && strideX === 1 && (kh as number) * (kw as number) > 1;
}
