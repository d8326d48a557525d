// The tuned kernels, in the order in which they are asked.
import type { TunedKernel } from "../kernel.js";
import { conv2d } from "./conv.js";
import { dense } from "./dense.js";
import { depthwise } from "./depthwise.js";

export const tunedKernels: readonly TunedKernel[] = [depthwise, conv2d, dense];
