// The contract of a host kernel: a whole algorithm that is no loop nest (sorting, scattering, non-maximum
// suppression), run by plain TypeScript between the steps of a program.
import type { DType, TypedArray } from "../../graph/dtype.js";
import type { Quantization } from "../../graph/graph.js";
import type { Kernel } from "../../compiler/nest.js";
import { ModelError } from "../../error.js";

/** A tensor in the model's memory: contiguous, row-major, elements as stored. */
export interface HostTensor {
  readonly data: TypedArray;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly quant?: Quantization;
}

/** Reads `inputs`, fills `outputs`. @throws ModelError index_out_of_range */
export type HostKernel = (
  params: Kernel["params"],
  inputs: readonly HostTensor[],
  outputs: readonly HostTensor[],
) => void;

export function tensor(list: readonly HostTensor[], i: number): HostTensor {
  const t = list[i];
  if (!t) throw new ModelError("internal", `host kernel lacks tensor ${i}`);
  return t;
}
