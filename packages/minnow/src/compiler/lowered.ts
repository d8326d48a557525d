// Between Graph and Program: values with concrete shapes and kernels over them. Nests refer to values
// by their number here; the Program's views are made last, when fusion and placement are decided.
import type { DType, TypedArray } from "../graph/dtype.js";
import type { Quantization } from "../graph/graph.js";
import type { Kernel, LoopNest } from "./nest.js";

export interface Value {
  readonly id: number;
  readonly label: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly quant?: Quantization;
  readonly kind: "input" | "constant" | "value";
  readonly data?: TypedArray;
  /** A graph output: must exist after the run. */
  output: boolean;
}

export interface LoweredKernel {
  name: string;
  params: Kernel["params"];
  nest?: LoopNest;
  /** Kernels without a nest. */
  reads?: readonly number[];
  writes?: readonly number[];
  /** Reshape and the like: `to` holds the elements of `from` in the same order; nothing runs. */
  alias?: { readonly from: number; readonly to: number };
  op: string;
  node: string;
  fused: string[];
  macs: number;
}

export interface Lowered {
  readonly values: Value[];
  readonly inputs: readonly { readonly name: string; readonly value: number }[];
  readonly outputs: readonly { readonly name: string; readonly value: number }[];
  kernels: LoweredKernel[];
  readonly fusions: Record<string, number>;
}

/** Values that a kernel reads, each once. */
export function readsOf(k: LoweredKernel): number[] {
  if (k.alias) return [k.alias.from];
  const reads: number[] = [];
  for (const o of k.nest?.operands ?? []) if (!reads.includes(o.value)) reads.push(o.value);
  for (const v of k.nest ? [] : (k.reads ?? [])) if (!reads.includes(v)) reads.push(v);
  return reads;
}

export function writesOf(k: LoweredKernel): readonly number[] {
  if (k.alias) return [k.alias.to];
  return k.nest ? [k.nest.out.value] : (k.writes ?? []);
}

export const note = (fusions: Record<string, number>, what: string, n = 1): void => {
  fusions[what] = (fusions[what] ?? 0) + n;
};
