// A bound program as a .minnow file stores it: JSON, so that reading it costs a cold engine next to nothing. It
// holds what planning and emission give (PlannedKernel) as plain data: argument words, what packed weights are
// made of, and which function of the module runs each step. Constants are places in the file. What code and
// calls agree on (driver.ts, kernel.ts, packing.ts) is numbered: other numbers are not believed.
import type { Program, View } from "../../compiler/program.js";
import type { DType } from "../../graph/dtype.js";
import type { Tensor } from "../../graph/graph.js";
import type { Precompiled } from "../../graph/precompiled.js";
import { checksum } from "./checksum.js";
import type { ArgWord, PlannedKernel } from "./kernel.js";

/** Rises with every change of what is planned for, of the driver's steps, of scratch, of argument words' kinds or of how packs are called. */
export const abi = 3;

/** [dtype, 0 in the weights or 1 in the data, byte, elements] */
export type StoredConstant = readonly [DType, 0 | 1, number, number];

/** [buffer, dtype, offset, shape, strides, quantization] */
export type StoredView = readonly [
  number,
  DType,
  number,
  readonly number[],
  readonly number[],
  View["quant"]?,
];

/** i32, and f32 by its bits: the number; else the kind's first letter and its fields. */
export type StoredWord =
  | number
  | readonly ["v", number, number]
  | readonly ["p", number, number]
  | readonly ["s", number]
  | readonly ["z"]
  | readonly ["e"];

export interface StoredPacked {
  /** With "@n" where the identity of constant n stands. */
  readonly key: string;
  readonly bytes: number;
  /** Where the bytes are in the data, if they are made already. */
  readonly at?: number;
  /** The 32-bit word that they all are. */
  readonly word?: number;
  readonly pack?: {
    readonly source: number;
    readonly kernel: number;
    readonly extent: number;
    /** begins(0), then how far units lie apart: [bytes, how often]. */
    readonly begins: readonly [number, ...(readonly [number, number])[]];
    readonly words: readonly number[];
    /** Words to which the address is added. */
    readonly addressed: readonly number[];
  };
}

export interface StoredKernel
  extends Pick<PlannedKernel, "label" | "extent" | "grain" | "unit" | "scratchBytes" | "zeroBytes"> {
  readonly kernel: number;
  readonly args: readonly StoredWord[];
  readonly packed: readonly number[];
}

type PlainStep = Omit<Program["steps"][number], "values" | "nest">;

/** What a model says of an input or output. */
export type StoredPort = Pick<Tensor, "name" | "dtype" | "shape" | "kind" | "quant" | "aliases">;

export interface Stored extends Omit<Program, "buffers" | "steps" | "inputs" | "outputs"> {
  readonly buffers: readonly (Omit<Program["buffers"][number], "data"> & { readonly constant?: number })[];
  readonly steps: readonly (PlainStep & { readonly values: readonly StoredView[] })[];
  readonly inputs: readonly (readonly [string, StoredView])[];
  readonly outputs: readonly (readonly [string, StoredView])[];
  /** The graph's inputs and outputs; one that is both comes as one of each. */
  readonly ports: { readonly inputs: readonly StoredPort[]; readonly outputs: readonly StoredPort[] };
  readonly constants: readonly StoredConstant[];
  /** Small constants of the file: byte in its weights, bytes. */
  readonly small: readonly (readonly [number, number])[];
  /** Keys of the module's functions k0, k1, … */
  readonly kernels: readonly string[];
  readonly packed: readonly StoredPacked[];
  /** One a step; null: runs in script. */
  readonly planned: readonly (StoredKernel | null)[];
}

export const storeView = (v: View, quant: boolean): StoredView => {
  const plain = [v.buffer, v.dtype, v.offset, v.shape, v.strides] as const;
  return quant && v.quant ? [...plain, v.quant] : plain;
};

export const viewOf = ([buffer, dtype, offset, shape, strides, quant]: StoredView): View => ({
  buffer,
  dtype,
  offset,
  shape,
  strides,
  ...(quant && { quant }),
});

const bits = new Int32Array(1);
const float = new Float32Array(bits.buffer);

export function storeWord(w: ArgWord): StoredWord {
  switch (w.kind) {
    case "i32":
      return w.value | 0; // as memory takes it
    case "f32":
      float[0] = w.value;
      return bits[0] as number;
    case "view":
      return ["v", w.value, w.element ?? 0];
    case "packed":
      return ["p", w.index, w.at ?? 0];
    case "scratch":
      return ["s", w.at ?? 0];
    case "zero":
      return ["z"];
    case "error":
      return ["e"];
  }
}

export function wordOf(w: StoredWord): ArgWord {
  if (typeof w === "number") return { kind: "i32", value: w };
  switch (w[0]) {
    case "v":
      return { kind: "view", value: w[1], element: w[2] };
    case "p":
      return { kind: "packed", index: w[1], at: w[2] };
    case "s":
      return { kind: "scratch", at: w[1] };
    case "z":
      return { kind: "zero" };
    case "e":
      return { kind: "error" };
  }
}

/** Of plan and code; constants are not checked, as weights are not. */
export const checkOf = (p: Omit<Precompiled, "check">): number => checksum([p.plan, p.code]);
