// The kernels that index.ts loads when a model needs them, for what must carry them all in one file.
import type { TunedKernel } from "../kernel.js";
import { depthwise } from "./depthwise.js";
import { sparse } from "./gemv_sparse.js";
import { int8Kernels } from "./int8.js";
import { matmul } from "./matmul.js";
import { pool } from "./pool.js";
import { softmax } from "./softmax.js";
import { strassen } from "./strassen.js";
import { winograd } from "./winograd.js";

export const onDemand: readonly TunedKernel[] = [
  depthwise,
  ...int8Kernels,
  matmul,
  pool,
  softmax,
  sparse,
  strassen,
  winograd,
];
