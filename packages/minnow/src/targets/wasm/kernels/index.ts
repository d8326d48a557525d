// The tuned kernels, in the order in which they are asked.
import type { TunedKernel } from "../kernel.js";
import { conv2d } from "./conv.js";

export const tunedKernels: readonly TunedKernel[] = [conv2d];
