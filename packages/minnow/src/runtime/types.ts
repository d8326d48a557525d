// What a user holds: the public types of the runtime. A model that runs here (model.ts) and one that
// lives in a worker (remote.ts) are the same `Model` to the user.
import type { DType } from "../graph/dtype.js";
import type { Metadata, Quantization } from "../graph/graph.js";
import type { ErrorCode } from "../error.js";
import type { Shape } from "../graph/dim.js";
import type { Profile } from "./profile.js";
import type { Report } from "./report.js";
import type { Transport } from "./protocol.js";

/** A path (Node), a URL or its text, the bytes, or what a browser got them as. */
export type ModelSource = string | URL | Uint8Array | ArrayBuffer | Blob | Response;

/** int64 gives BigInt64Array, float16 Float32Array, bool Uint8Array of 0 and 1, strings string[]. */
export type TensorData =
  | Float32Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | string[];

type Scalar = number | bigint | boolean | string;
/** Plain numbers (or bigints, booleans, strings), nested or flat. */
export type NestedArray = readonly Scalar[] | readonly NestedArray[];
export type AnyTypedArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

/** A typed array or plain array takes the declared shape; `{ data, shape }` says its own. */
export type InputValue =
  | AnyTypedArray
  | NestedArray
  | Scalar
  | { readonly data: AnyTypedArray | NestedArray; readonly shape: readonly number[] };

/** Values by name, or the one value of a model with one input. */
export type ModelInputs = { readonly [name: string]: InputValue } | InputValue;

/** Yours: nothing to free, and no later run writes to it. */
export interface TensorValue {
  readonly data: TensorData;
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** By name, without a prototype; `model.outputs` gives the order. */
export type ModelOutputs = Record<string, TensorValue>;

/** What the model declares of one input or output. */
export interface TensorSpec {
  readonly name: string;
  /** Numbers, and names of dimensions that are free until `dims` or a run binds them. */
  readonly shape: Shape;
  readonly dtype: DType;
  /** real = scale · (q − zeroPoint); values are given and taken as stored integers. */
  readonly quantization?: Quantization;
  /** Other names that run() accepts for it. */
  readonly aliases: readonly string[];
}

export interface RunOptions {
  /** Stops the run between two steps; one in a worker is abandoned at once. */
  signal?: AbortSignal;
  /** Arrays to fill, by output name: allocates nothing. Outputs not named get new arrays. */
  into?: Record<string, TensorData>;
  /** Worker models: hand the inputs' buffers over instead of copying them. */
  transfer?: boolean;
  /** Use the names of this signature for inputs and outputs. */
  signature?: string;
}

export interface ProfileOptions extends RunOptions {
  /** Timed runs after one to warm up; default 10. */
  runs?: number;
}

export type ModelEvent =
  | { readonly type: "load"; readonly ms: number; readonly bytes: number; readonly format: string }
  | {
      readonly type: "compile";
      readonly ms: number;
      /** Memory of the device after it, in bytes. */
      readonly bytes: number;
      readonly shapes: Record<string, readonly number[]>;
      readonly kernels: number;
    }
  | {
      readonly type: "fallback";
      readonly ms: number;
      readonly bytes: number;
      readonly device: string;
      readonly to: string;
      readonly reason: string;
    }
  | { readonly type: "run"; readonly ms: number; readonly bytes: number }
  | {
      readonly type: "error";
      readonly ms: number;
      readonly bytes: number;
      readonly code: ErrorCode;
      readonly message: string;
    };

export interface Progress {
  readonly phase: "read" | "parse" | "compile" | "ready";
  /** Bytes (read) or 0…1 (others). */
  readonly loaded: number;
  /** 0 = not known. */
  readonly total: number;
}

export interface LoadOptions {
  /** Ordered wish: "cpu" (= "wasm"), "auto", "reference" (slow, exact; `minnow` entry only). */
  device?: string | readonly string[];
  /**
   * Wished threads, default 1. Needs shared memory (a page: cross-origin isolation) and gain: else it is one,
   * and report() says why. On a page the model then lives in a worker. The same bits whatever their number.
   */
  threads?: number;
  /** Binds symbolic dimensions. */
  dims?: Readonly<Record<string, number>>;
  /** Input name → shape: overrides the declared one. */
  shapes?: Readonly<Record<string, readonly number[]>>;
  /** Input name → its elements, or one for all of them: the model has that input no more. */
  values?: Readonly<Record<string, number | boolean | readonly number[]>>;
  /** true: the model lives in a worker of its own; or bring the Worker. */
  worker?: boolean | Transport;
  /** Tensors to give instead of the model's outputs, by name. */
  outputs?: readonly string[];
  /** Bytes that the model may take; default 2 GiB. */
  maxMemory?: number;
  /** "small": no weights grow for speed's sake (Winograd's do, up to fourfold, Strassen's to 7/4). See report().memory.growth. */
  memory?: "small";
  /** Element operations that one run may take: for files from strangers. Default: no limit. */
  maxOperations?: number;
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
  onEvent?: (event: ModelEvent) => void;
  /**
   * false: plan and compile here, though the file brings plans and code (`convert(…, { precompile: true })`).
   * That code is confined to the model's own memory, but may compute anything: for files from strangers.
   */
  precompiled?: boolean;
  /** The same bits on every engine: multiply + add, no relaxed arithmetic. */
  deterministic?: boolean;
  /** false: every operator a kernel of its own (to compare and debug). Default true. */
  fuse?: boolean;
}

export interface Model extends AsyncDisposable, Disposable {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Labels, normalisation, provenance: what the file says beyond arithmetic. */
  readonly metadata: Metadata;
  /**
   * Calls may overlap: they queue. Given arrays must not change until the promise settles.
   * @throws ModelError bad_input, aborted, disposed, index_out_of_range, out_of_memory
   */
  run(inputs: ModelInputs, options?: RunOptions): Promise<ModelOutputs>;
  /** Plans other input shapes ahead, and accepts them from then on. */
  resize(shapes: Readonly<Record<string, readonly number[]>>): Promise<void>;
  /** What runs where, in how much memory, and why; `${report}` is a table. */
  report(): Report;
  /** Runs and times every operator; also performance.measure entries for developer tools. */
  profile(inputs: ModelInputs, options?: ProfileOptions): Promise<Profile>;
  /** Waits for the call that runs, refuses those that wait, gives all memory back. */
  dispose(): Promise<void>;
}
