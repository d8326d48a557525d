// What a bound program's views say: which constants are read as they are stored, how much a step moves, where
// an array lies.
import type { Program, Step, View } from "../../compiler/program.js";
import { count } from "../../graph/dim.js";
import { byteSize, type DType, newArray, type TypedArray } from "../../graph/dtype.js";
import { dataId } from "../../graph/released.js";
import { ModelError } from "../../error.js";
import type { PlannedKernel } from "./kernel.js";

/** Constants that kernels read as the model stores them. */
export function constantBuffers(
  program: Program,
  planned: readonly (PlannedKernel | null)[],
): Set<TypedArray> {
  const found = new Set<TypedArray>();
  const add = (v: View | undefined): void => {
    const data = v && program.buffers[v.buffer]?.data;
    if (data) found.add(data);
  };
  planned.forEach((p, i) => {
    const values = program.steps[i]?.values ?? [];
    if (!p) values.forEach(add);
    else for (const w of p.args) if (w.kind === "view") add(values[w.value]);
  });
  for (const port of [...program.inputs, ...program.outputs]) add(port.view);
  return found;
}

/** What tells how long a step takes. */
export function costs(s: Step): { macs: number; bytes: number; reads: number[]; writes: number[] } {
  const reads = s.nest ? s.nest.operands.map((o) => o.value) : [...(s.reads ?? [])];
  const writes = s.nest ? [s.nest.out.value] : [...(s.writes ?? [])];
  const size = (i: number): number =>
    byteSize((s.values[i] as View).dtype, count((s.values[i] as View).shape));
  const bytes = [...new Set([...reads, ...writes])].reduce((sum, i) => sum + size(i), 0);
  return { macs: s.macs, bytes, reads, writes };
}

/** A typed array over linear memory; an empty one where there is nothing. */
export function arrayOver(buffer: ArrayBuffer, dtype: DType, at: number, n: number): TypedArray {
  const proto = newArray(dtype, 0).constructor as new (b: ArrayBuffer, at: number, n: number) => TypedArray;
  return n === 0 ? newArray(dtype, 0) : new proto(buffer, at, dtype === "int4" ? Math.ceil(n / 2) : n);
}

/** Constants that kernels read as the model stores them. */
export const rawKey = (data: TypedArray): string => `raw:${dataId(data)}`;

export function givenBack(program: Program, data: TypedArray): ModelError {
  const tensor = program.buffers.find((b) => b.data === data)?.label ?? "";
  return new ModelError("unsupported", `for these shapes ${tensor} would be read as it was stored`, {
    tensor,
    hint: "weights are given back once packed for the model's own shapes: load with `shapes`",
  });
}

export function indexError(step: Step | undefined): never {
  throw new ModelError("index_out_of_range", `${step?.op} ${step?.node}: an index lies outside its tensor`, {
    ...(step && { op: step.op }),
    hint: "check the indices that the model is given or computes",
  });
}
