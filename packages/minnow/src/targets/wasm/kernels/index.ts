// The tuned kernels, in the order in which they are asked.
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
