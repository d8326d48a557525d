// The tuned kernels, in the order in which they are asked.
import type { TunedKernel } from "../kernel.js";
import { conv2d } from "./conv.js";
import { dense } from "./dense.js";

export const tunedKernels: readonly TunedKernel[] = [conv2d, dense];
