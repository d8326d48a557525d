// How the wasm target turns a step into code. Every generated kernel has one signature:
//
//   (args: i32, begin: i32, end: i32) → ()
//
// `args` is the address of the step's argument block (32-bit words: addresses, extents, strides,
// float bits); [begin, end) is its share of the kernel's parallel dimension, so that threads split
// any step and the driver can call in chunks. Code with equal `key` is emitted once and shared by
// all steps and all shapes: it may fix channels, taps and strides, never the number of rows.
import type { Program, Step } from "../../compiler/program.js";
import type { TypedArray } from "../../graph/dtype.js";
import type { Rest } from "../../graph/precompiled.js";
import type { ModuleBuilder } from "./assembler.js";
import type { Engine } from "./engine.js";

/** One 32-bit word of an argument block. */
export type ArgWord =
  | { readonly kind: "i32"; readonly value: number }
  | { readonly kind: "f32"; readonly value: number }
  /** Address of element `element` (default 0) of value `value`'s view (view.offset is added). */
  | { readonly kind: "view"; readonly value: number; readonly element?: number }
  /** Address of packed data or of a table, plus `at` bytes. */
  | { readonly kind: "packed"; readonly index: number; readonly at?: number }
  /** Byte `at` of the thread's scratch: an offset, to which Layout adds `env.scratch`. Name the word "scratch". */
  | { readonly kind: "scratch"; readonly at?: number }
  /** Address of ≥ 4 KiB (or `zeroBytes`) of zeros shared by all kernels. */
  | { readonly kind: "zero" }
  /** Address of the 32-bit error word: store a non-zero step-independent code to fail the run. */
  | { readonly kind: "error" };

/** Weights in the layout a kernel wants, or a table it made. Equal keys are stored once. */
export type Packed = { readonly key: string; readonly bytes: number } & (
  | {
      /** By script, for what is small or made up: writes `bytes` bytes at `memory[at…]`, once a model. */
      fill(memory: ArrayBufferLike, at: number): void;
      /** What it reads, where that may be large. */
      readonly source?: TypedArray;
      readonly pack?: never;
    }
  | { readonly pack: Pack; readonly fill?: never }
);

/**
 * Packing by generated code `(args, begin, end)`: the bytes of `source` are staged in linear memory, some
 * whole units at a time, and the code writes what the units [begin, end) become. It may read up to 64
 * bytes past what is staged, and bytes 64…255 of its argument block are its own. Once it has run, the source may be
 * given up (see packing.ts).
 */
export interface Pack {
  /** A constant as the model stores it. */
  readonly source: TypedArray;
  /** Equal keys = same code. */
  readonly key: string;
  emit(m: ModuleBuilder): number;
  /** Number of units. */
  readonly extent: number;
  /** Byte of `source` where a unit begins, rising; begins(extent): where the last one ends, or beyond the source. */
  begins(unit: number): number;
  /** Argument words behind the first, which is the address of unit `begin`'s bytes. `at`: where to write. */
  words(at: number): number[];
  /** Writes what the code reads where it packs to, before it runs: what was found out when this was planned. */
  prepare?(memory: ArrayBufferLike, at: number): void;
}

export interface PlannedKernel {
  /** Equal keys = same code. Starts with the kernel's grammar name, e.g. "f32_igemm_6x8_fma…". */
  readonly key: string;
  /** For profiles: kernel name as people read it. */
  readonly label: string;
  /** Emits the function (and helpers it needs); returns its index in the module. */
  emit(m: ModuleBuilder): number;
  /** Length of the parallel dimension. */
  readonly extent: number;
  /** Chunk that one call should take (a multiple of the tile); the driver may join or split at it. */
  readonly grain: number;
  /** Shares cut at its multiples cost nothing more (whole tiles); default: the grain. */
  readonly unit?: number;
  readonly args: readonly ArgWord[];
  readonly packed: readonly Packed[];
  /** Scratch bytes per thread; shared by all steps (but see markAt in driver.ts). */
  readonly scratchBytes: number;
  /** Bytes of zeros needed behind `zero`, default 0. */
  readonly zeroBytes?: number;
}

/** What a plan may look at beside its step. */
export type Planning = Pick<Program, "buffers"> &
  Partial<Pick<Program, "dynamic" | "steps">> & {
    /** Whether packed data of a key is there already: all there is of weights given back (isReleased). */
    has?(key: string): boolean;
  };

/**
 * A tuned kernel: looks at a step and says how it would run it, or null when it can't.
 * Constant operands are found through `program.buffers[view.buffer].data`.
 * Kernels may read (never write) up to 64 bytes past the end of any view: keep memory behind it.
 */
export interface TunedKernel {
  /** The step kernel names it serves. */
  readonly kernels: readonly string[];
  plan(step: Step, engine: Engine, program: Planning): PlannedKernel | null;
}

/** What a model needs to bind a program: the plan, and code that it does not have yet. */
export interface Prepared {
  readonly program: Program;
  /** One a step; null: it runs in script. */
  readonly planned: readonly (PlannedKernel | null)[];
  /** Keys of the module's functions k0, k1, … */
  readonly kernels: readonly string[];
  readonly code?: Uint8Array<ArrayBuffer>;
  /** The code, compiled already. */
  readonly module?: WebAssembly.Module;
  /** What of the constants' buffer is still to come. */
  readonly rest?: Rest | undefined;
}
