// What the instance needs of several threads; runtime/threads.ts has them.
import type { MemoryLimits } from "./imports.js";
import type { Driver } from "./driver.js";

export interface CutStep {
  readonly extent: number;
  readonly grain: number;
  /** Shares may be cut at its multiples. */
  readonly unit: number;
  /** Multiply-adds, and bytes read and written. */
  readonly macs: number;
  readonly bytes: number;
  /** Bytes that each chunk reads anew: weights. */
  readonly weights: number;
}

/** Chunks for threads (0: the step is for one), their length, and the µs that the step may take. */
export interface Cut {
  readonly chunks: number;
  readonly grain: number;
  readonly work: number;
}

/** Decides for the runs of one program whether threads pay. */
export interface Trial {
  /** How the run under way is run. */
  readonly threaded: boolean;
  begin(): void;
  /** ms of the run; answers why there are no threads from now on, when it is so decided. */
  end(ms: number): string | undefined;
}

export interface Crew {
  readonly size: number;
  readonly memory: WebAssembly.Memory;
  readonly limits: MemoryLimits;
  /** Bytes at the start of the memory that are its own. */
  readonly reserved: number;
  /** Gives every thread a module, whose kernels k0… have places from `first` on. */
  add(module: WebAssembly.Module, imports: WebAssembly.Imports, first: number): Promise<void>;
  /** Drivers (see driver.ts). @throws ModelError internal */
  readonly alone: Driver;
  readonly together: Driver;
  /** Scratch of thread 0, and bytes of each. */
  scratch(at: number, stride: number): void;
  cut(step: CutStep): Cut;
  /** @param work µs of all steps that are cut */
  trial(work: number): Trial;
  /** For report(): `reason` where it is one. */
  state(): { readonly used: number; readonly reason: string };
  dispose(): Promise<void>;
}
