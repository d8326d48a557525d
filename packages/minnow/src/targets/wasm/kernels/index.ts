// The tuned kernels, in the order in which they are asked.
import type { Program, Step } from "../../../compiler/program.js";
import type { TunedKernel } from "../kernel.js";
import { conv2d } from "./conv.js";
import { constantProduct, dense } from "./dense.js";

const common: readonly TunedKernel[] = [conv2d, dense];

/** The tuned kernels that a program may take: those, and around them what only some models need, loaded when one does. */
export async function kernelsFor(program: Program): Promise<readonly TunedKernel[]> {
  const { steps } = program;
  const [products, ...rare] = await Promise.all([
    steps.some((s) => mayMultiply(s, program)) ? import("./matmul.js").then((m) => [m.matmul]) : [],
    steps.some(mayFilter) ? import("./winograd.js").then((m) => [m.winograd]) : [],
    steps.some(mayHalve) ? import("./strassen.js").then((m) => m.strassenFor(program)) : [],
    steps.some((s) => s.kernel.endsWith("_pool2d")) ? import("./pool.js").then((m) => [m.pool]) : [],
    steps.some(isInteger) ? import("./int8.js").then((m) => m.int8Kernels) : [],
    steps.some(isGrouped) ? import("./depthwise.js").then((m) => [m.depthwise]) : [],
  ]);
  // Last: it would take products with weights too, and pack them in every run.
  return [...rare.flat(), ...common, ...products];
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

/** See strassen.ts: from 16 channels to 32. */
const mayHalve = (step: Step): boolean =>
  tapsOf(step) === 1 &&
  (step.nest?.loops[3] as number) % 32 === 0 &&
  (step.nest?.reduce.at(-1) as number) % 16 === 0;
