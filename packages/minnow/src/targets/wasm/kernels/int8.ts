// The kernels of 8-bit numbers: loaded when a model has such steps.
import type { TunedKernel } from "../kernel.js";
import { depthwiseInt8 } from "./depthwise_int8.js";
import { convInt8, denseInt8 } from "./gemm_int8.js";
import { lookup } from "./lookup.js";

export const int8Kernels: readonly TunedKernel[] = [depthwiseInt8, convInt8, denseInt8, lookup];
