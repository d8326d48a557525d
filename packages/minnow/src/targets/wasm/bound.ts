// A program as it lies in a model's memory: what the driver walks, what to give back, how it is told to people.
import type { Program } from "../../compiler/program.js";
import type { TypedArray } from "../../graph/dtype.js";
import type { HostKernel } from "../host/index.js";
import type { Crew, Trial } from "./crew.js";
import type { ArgWord } from "./kernel.js";

export interface WasmOptions {
  /** Bytes that the model's memory may take. */
  maxMemory?: number;
  /** More threads, and the memory shared with them. */
  crew?: Crew | undefined;
}

export interface MemoryUse {
  /** Size of the WebAssembly.Memory. */
  total: number;
  /** Weights as kernels want them, and constants as they are. */
  weights: number;
  /** Bytes by which weights are larger than the model stores them, by what was made of them. */
  growth: Record<string, number>;
  /** Planned activations of the largest bound program. */
  arena: number;
  scratch: number;
  /** Argument blocks, zeros. */
  other: number;
}

/** Arrays in memory, good for one version of its addresses. */
export interface Ports {
  readonly version: number;
  readonly inputs: readonly TypedArray[];
  readonly outputs: readonly TypedArray[];
  readonly error: Int32Array;
}

/** A program ready to run. */
export class BoundProgram {
  /** @internal */ calls: Call[] = [];
  /** @internal */ constants: string[] = [];
  /** @internal The driver's steps, then their argument blocks. */ stepsAt = -1;
  /** @internal */ written = -1;
  /** @internal Whether threads pay; none where there are none. */ trial: Trial | undefined;
  /** @internal */ ports: Ports | null = null;
  constructor(
    readonly program: Program,
    /** Kernels as people read them, one a step. */
    readonly labels: readonly string[],
  ) {}
}

export interface Call {
  /** Number in the table. */
  readonly kernel: number;
  readonly host: HostKernel | null;
  readonly step: number;
  /** Offset of the argument block from stepsAt. */
  readonly args: number;
  readonly words: readonly ArgWord[];
  readonly extent: number;
  readonly grain: number;
  readonly chunks: number;
  readonly packed: readonly string[];
}

/** A constant or packed weights in memory. */
export interface Shared {
  at: number;
  bytes: number;
  /** Bytes of the constant as the model stores it. */
  stored: number;
  users: number;
}
