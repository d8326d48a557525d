// What a target offers the runtime: a Device opens a Graph, plans it for concrete shapes, and runs
// plans over raw arrays. Targets implement this (wasm_device.ts, targets/reference); tests fake it.
import type { DType, TypedArray } from "../graph/dtype.js";
import type { Graph } from "../graph/graph.js";
import type { PrecompiledFile } from "../graph/precompiled.js";
import type { Binding } from "../ops/infer.js";

/** Elements as stored (see TypedArray); strings as they are. */
export type RawArray = TypedArray | string[];

export interface PlanPort {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** One step of a plan, as reports and profiles show it. */
export interface PlannedStep {
  readonly op: string;
  readonly node: string;
  readonly fused: readonly string[];
  /** Kernel label. */
  readonly kernel: string;
  readonly inputs: readonly (readonly number[])[];
  readonly output: readonly number[];
  readonly macs: number;
  /** Bytes read and written, each value once. */
  readonly bytes: number;
}

/** ms of step i, as each ends. */
export type StepHook = (step: number, ms: number) => void;

/** Where the activations of a plan lie. */
export interface ArenaPlan {
  readonly bytes: number;
  /** Most live bytes at any step: no plan can be smaller. */
  readonly bound: number;
  readonly buffers: readonly PlannedBuffer[];
}

export interface PlannedBuffer {
  readonly label: string;
  readonly offset: number;
  readonly bytes: number;
  /** First and last step that touch it; inputs start at −1. */
  readonly first: number;
  readonly last: number;
}

/** A graph with its dimensions bound, ready to run. */
export interface Plan {
  readonly inputs: readonly PlanPort[];
  readonly outputs: readonly PlanPort[];
  readonly steps: readonly PlannedStep[];
  readonly fusions: Readonly<Record<string, number>>;
  readonly arena: ArenaPlan;
  /**
   * Fills `outputs`, and puts arrays of its own where there are none; both in port order, contiguous. With a signal,
   * the event loop gets its turns.
   */
  run(
    inputs: readonly RawArray[],
    outputs: (RawArray | undefined)[],
    onStep?: StepHook,
    signal?: AbortSignal,
  ): void | Promise<void>;
  /** Called when the plan leaves the cache. */
  release?(): void;
}

export interface MemoryUse {
  /** Everything the device holds for this model, bytes. */
  readonly total: number;
  /** Weights as kernels read them. */
  readonly weights: number;
  /** Bytes by which weights are larger than the model stores them, by cause. */
  readonly growth: Readonly<Record<string, number>>;
  readonly arena: number;
  /** Of all threads. */
  readonly scratch: number;
  /** Code of the kernels. */
  readonly code: number;
}

/** A graph on a device. */
export interface DeviceModel {
  /** Input shapes that it came with a plan for: asked for first. */
  readonly shapes?: readonly (readonly number[])[] | undefined;
  plan(binding: Binding): Plan | Promise<Plan>;
  memory(): MemoryUse;
  /** Kernels compiled so far. */
  kernels(): number;
  /** Choices that change speed or bits, for report(). */
  readonly notes: readonly string[];
  /** Where it can use several: how many the plan used last takes, and why one. */
  threads?(): { readonly used: number; readonly reason: string };
  dispose(): void | Promise<void>;
}

export interface DeviceOptions {
  readonly maxMemory: number;
  readonly maxOperations?: number;
  readonly deterministic: boolean;
  /** Weights may not grow for speed's sake. */
  readonly small: boolean;
  readonly fuse: boolean;
  readonly threads: number;
  /** Told when several threads are given up. */
  readonly onDrop?: (reason: string) => void;
}

/** A model that came ready to run; its graph has inputs and outputs and no nodes. */
export interface OpenedModel {
  readonly graph: Graph;
  readonly model: DeviceModel;
}

export interface Device {
  readonly name: string;
  open(graph: Graph, options: DeviceOptions): DeviceModel | Promise<DeviceModel>;
  /** By plans and code that a file brings, where they are for this engine; the first plan is for its `shapes`. */
  openPrecompiled?(file: PrecompiledFile, options: DeviceOptions): Promise<OpenedModel | undefined>;
}
