// The tuned kernels, in the order in which they are asked.
import type { Takes } from "../../../compiler/lower.js";
import type { LoopNest } from "../../../compiler/nest.js";
import type { Program, Step } from "../../../compiler/program.js";
import { count } from "../../../graph/dim.js";
import type { TunedKernel } from "../kernel.js";
import { conv2d } from "./conv.js";
import { constantProduct, dense } from "./dense.js";
import { chooseHalves, leastShare } from "./strassen_cost.js";

/**
 * Of the kernels that operators offer (compiler/lower.ts). A softmax's row is one thread's, and should stay in a
 * first-level cache; for few rows it is not worth the code.
 */
export const takes: Takes = (kernel, [x]) => {
  const shape = x?.shape ?? [];
  const [rows, columns] = [count(shape.slice(0, -1)), shape.at(-1) ?? 0];
  return kernel === "softmax" && rows >= 8 && columns > 0 && columns <= 16384;
};

const common: readonly TunedKernel[] = [conv2d, dense];

/** The tuned kernels that a program may take: those, and around them what only some models need, loaded when one does. */
export async function kernelsFor(program: Program): Promise<readonly TunedKernel[]> {
  const { steps } = program;
  const [products, ...rare] = await Promise.all([
    steps.some((s) => mayMultiply(s, program)) ? import("./matmul.js").then((m) => [m.matmul]) : [],
    steps.some(mayFilter) ? import("./winograd.js").then((m) => [m.winograd]) : [],
    halvesEnough(steps) ? import("./strassen.js").then((m) => [m.strassen]) : [],
    steps.some(mayBeSparse) ? import("./gemv_sparse.js").then((m) => [m.sparse]) : [],
    steps.some((s) => s.kernel.endsWith("_pool2d")) ? import("./pool.js").then((m) => [m.pool]) : [],
    steps.some((s) => s.kernel === "softmax") ? import("./softmax.js").then((m) => [m.softmax]) : [],
    steps.some(isInteger) ? import("./int8.js").then((m) => m.int8Kernels) : [],
    steps.some(isGrouped) ? import("./depthwise.js").then((m) => [m.depthwise]) : [],
  ]);
  // Last: it would take products with weights too, and pack them in every run.
  return [...rare.flat(), ...common, ...products];
}

/** One row that another step's ReLU wrote: gemv_sparse.ts asks more closely. */
function mayBeSparse({ kernel, nest }: Step, at: number, steps: readonly Step[]): boolean {
  const { op, fused } = steps[at - 1] ?? { op: "", fused: [] };
  const one = /^(matmul|dense)$/.test(kernel) && nest?.loops.slice(0, -1).every((n) => n === 1);
  return !!one && [op, ...fused].some((name) => /^(Relu|Clip|MaxPool|Transpose)/.test(name));
}

/** Sums of integers, and tables of bytes. */
const isInteger = ({ kernel, nest }: Step): boolean =>
  kernel === "lookup" || (nest?.combine === "sum" && nest.body?.t === "i32");

/** See depthwise.ts. */
const isGrouped = ({ kernel, params }: Step): boolean =>
  kernel === "conv2d" && (params as { group: number }).group > 1;

/** A product of two computed tensors: see matmul.ts. */
const mayMultiply = (step: Step, program: Program): boolean =>
  /^(matmul|dense)$/.test(step.kernel) && !!step.nest && !constantProduct(step, step.nest, program);

/** Taps of a float32 convolution of one group, stride 1; 0: it is another step. */
function tapsOf({ kernel, nest, params }: Step): number {
  if (kernel !== "conv2d" || nest?.body?.t !== "f32") return 0;
  const { kh, kw, strideY, strideX, group } = params as Record<string, number>;
  return group === 1 && strideY === 1 && strideX === 1 ? (kh as number) * (kw as number) : 0;
}

/** See winograd.ts. */
const mayFilter = (step: Step): boolean => tapsOf(step) > 1;

/** Whether Strassen's products serve enough of a program for the code and the weights that they take. */
export function halvesEnough(steps: readonly Step[]): boolean {
  let [halved, all] = [0, 0];
  for (const step of steps) {
    all += step.macs;
    if (tapsOf(step) !== 1) continue;
    const { loops, reduce } = step.nest as LoopNest;
    const [, oh, ow, channels] = loops as [number, number, number, number];
    if (chooseHalves(oh * ow, reduce.at(-1) as number, channels)) halved += step.macs;
  }
  return halved > 0 && halved >= leastShare * all;
}
