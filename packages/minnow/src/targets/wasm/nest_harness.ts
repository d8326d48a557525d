// Runs one planned kernel over a memory of its own: for tests and timing of code generators. The real
// driver is instance.ts.
import type { Step, View } from "../../compiler/program.js";
import type { LoopNest } from "../../compiler/nest.js";
import { bytesOf, type DType, elementBytes, type TypedArray } from "../../graph/dtype.js";
import { ModuleBuilder } from "./assembler.js";
import { moduleImports } from "./imports.js";
import type { PlannedKernel } from "./kernel.js";

/** A strided tensor over an array, as in targets/reference/nest_reference.ts. */
export interface HarnessTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
  readonly data: TypedArray;
}

/** A step that runs the nest over these tensors, buffer i holding tensor i (or that which it shares). */
export function stepOf(nest: LoopNest, values: readonly HarnessTensor[]): Step {
  const views = values.map(
    (t): View => ({
      buffer: values.findIndex((v) => v.data === t.data),
      dtype: t.dtype,
      shape: t.shape,
      strides: t.strides,
      offset: t.offset,
    }),
  );
  return { kernel: "nest", params: {}, values: views, nest, op: "Test", node: "test", fused: [], macs: 0 };
}

export interface Running {
  /** Runs [begin, end) of the parallel dimension; default all of it, in grains. */
  run(begin?: number, end?: number): void;
  /** The error word: non-zero after an index out of range. */
  error(): number;
  /** Bytes of tensor i's array as they are now. */
  read(i: number): Uint8Array;
  readonly code: Uint8Array;
}

export function start(planned: PlannedKernel, values: readonly HarnessTensor[]): Running {
  let top = 64; // 0: the error word
  const place = (bytes: number): number => {
    const at = top;
    top += Math.ceil(bytes / 64) * 64 + 64;
    return at;
  };
  const argsAt = place(4 * planned.args.length);
  const zeroAt = place(Math.max(4096, planned.zeroBytes ?? 0));
  const scratchAt = place(planned.scratchBytes);
  const packedAt = planned.packed.map((p) => place(p.bytes));
  const buffers = new Map<TypedArray, number>();
  for (const t of values) if (!buffers.has(t.data)) buffers.set(t.data, place(t.data.byteLength));
  const memory = new WebAssembly.Memory({ initial: Math.ceil(top / 65536) + 1 });
  const bytes = new Uint8Array(memory.buffer);
  for (const [data, at] of buffers) bytes.set(bytesOf(data), at);
  planned.packed.forEach((p, i) => p.fill?.(memory.buffer, packedAt[i] as number));
  const view = new DataView(memory.buffer);
  planned.args.forEach((w, i) => {
    const at = argsAt + 4 * i;
    if (w.kind === "f32") view.setFloat32(at, w.value, true);
    else if (w.kind === "i32") view.setInt32(at, w.value, true);
    else if (w.kind === "view") {
      const t = values[w.value] as HarnessTensor;
      view.setInt32(
        at,
        (buffers.get(t.data) as number) + (t.offset + (w.element ?? 0)) * elementBytes(t.dtype),
        true,
      );
    } else if (w.kind === "packed") view.setInt32(at, (packedAt[w.index] as number) + (w.at ?? 0), true);
    else
      view.setInt32(
        at,
        w.kind === "scratch" ? scratchAt + (w.at ?? 0) : w.kind === "zero" ? zeroAt : 0,
        true,
      );
  });
  const m = new ModuleBuilder();
  m.exports.set("kernel", planned.emit(m));
  const code = m.build();
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), moduleImports(memory));
  const kernel = exports.kernel as (args: number, begin: number, end: number) => void;
  return {
    code,
    run(begin = 0, end = planned.extent) {
      for (let b = begin; b < end; b += planned.grain) kernel(argsAt, b, Math.min(end, b + planned.grain));
    },
    error: () => view.getInt32(0, true),
    read: (i) => {
      const { data } = values[i] as HarnessTensor;
      return new Uint8Array(memory.buffer, buffers.get(data), data.byteLength);
    },
  };
}
