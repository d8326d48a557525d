// A Program: what one graph, with its dimensions bound, does, as plain data: buffers with planned
// offsets, and steps that run kernels over views of them. It can be printed, stored and posted to a
// worker. Targets turn it into something that runs.
import type { DType, TypedArray } from "../graph/dtype.js";
import type { Quantization } from "../graph/graph.js";
import type { LoopNest } from "./nest.js";

/** Where bytes live. "constant": weights, as the model stores them. "variable": kept between runs. */
export type Space = "arena" | "constant" | "variable";

export interface Buffer {
  readonly space: Space;
  readonly bytes: number;
  /** Byte offset within its space, 64-aligned; −1 for constants (the target decides). */
  offset: number;
  /** First and last step that touch it; inputs start at −1, outputs end at steps.length. */
  first: number;
  last: number;
  /** Tensor names that live here, for printing. */
  readonly label: string;
  /** Constants: the data; those that a target has taken stay as an empty array (graph/released.ts). */
  data?: TypedArray;
}

/** A tensor laid over a buffer. */
export interface View {
  readonly buffer: number;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** In elements of `dtype`, one per axis. */
  readonly strides: readonly number[];
  /** In elements from the buffer's start. */
  readonly offset: number;
  readonly quant?: Quantization;
}

export interface Step {
  /** Kernel name: "nest", or one that a target may have a tuned version of. */
  readonly kernel: string;
  readonly params: Readonly<Record<string, number | string | readonly number[]>>;
  /** Value ids of the nest index this. */
  readonly values: readonly View[];
  readonly nest?: LoopNest;
  /** Kernels without a nest. Kernels with one read `nest.operands` and write `nest.out`. */
  readonly reads?: readonly number[];
  readonly writes?: readonly number[];
  /** The node it came from, and those fused into it. */
  readonly op: string;
  readonly node: string;
  readonly fused: readonly string[];
  readonly macs: number;
}

export interface Port {
  readonly name: string;
  readonly view: View;
}

export interface Program {
  readonly buffers: readonly Buffer[];
  readonly steps: readonly Step[];
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Sizes other than the batch are symbolic in the graph: code that depends on them would be made anew. */
  readonly dynamic: boolean;
  /** Bytes of the planned arena. */
  readonly arenaBytes: number;
  /** Most live bytes at any step, in-place reuse credited: no plan can be smaller. */
  readonly boundBytes: number;
  /** Loop iterations of one run, all steps: what it costs at most, in element operations. */
  readonly operations: number;
  /** Step counts of what fusion did, by kind, for `info`. */
  readonly fusions: Readonly<Record<string, number>>;
}

export const isContiguous = (v: View): boolean => {
  let stride = 1;
  for (let i = v.shape.length - 1; i >= 0; i--) {
    if (v.shape[i] !== 1 && v.strides[i] !== stride) return false;
    stride *= v.shape[i] as number;
  }
  return true;
};

export function contiguousStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= shape[i] as number;
  }
  return strides;
}
