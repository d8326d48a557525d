// Host kernels by the name that operators give to LowerContext.opaque.
import { detectionPostProcess } from "./detection.js";
import type { HostKernel } from "./kernel.js";
import { scatterNd } from "./scatter_nd.js";
import { topK } from "./top_k.js";

export type { HostKernel, HostTensor } from "./kernel.js";

export const hostKernels: Readonly<Record<string, HostKernel>> = {
  top_k: topK,
  scatter_nd: scatterNd,
  detection_post_process: detectionPostProcess,
};
