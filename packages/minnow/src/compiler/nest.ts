// A loop nest: the definition of every kernel. Parallel loops walk the output, reduction loops fold
// into an accumulator, every tensor is read or written at an affine (or table-driven) index.
//
//   for loops:                       e.g. conv2d: loops [N, OH, OW, O], reduce [kh, kw, I]
//     acc = identity(combine)
//     for reduce:  acc = combine(acc, body(operands…))
//     out[index] = result(acc, operands…)
//
// Without reduction there is no body: out = result(operands…).
import type { DType, TypedArray } from "../graph/dtype.js";
import type { Expr, ScalarType } from "./expr.js";

/** A number in a Kernel's own list of values: operands, tables, temporaries, outputs. */
export type ValueId = number;

/**
 * Position along one tensor axis: offset + Σ coefficient · loop[l], loops first, then reduction loops.
 * With `table`, that affine number picks from an int32/int64 operand instead (`gather`, `resize`):
 * position = operands[table] read at its own index; it must lie in [0, extent), −extent…−1 when
 * `wrap`; outside, the kernel sets the error flag and reads position 0.
 */
export interface AxisIndex {
  readonly offset: number;
  /** [loop number, coefficient], coefficients ≠ 0. */
  readonly terms: readonly (readonly [number, number])[];
  /** Operand number whose value is the position (offset and terms are then 0 and empty). */
  readonly table?: number;
  readonly wrap?: boolean;
  /** May fall outside the tensor (padding): the operand then reads as `fill`. */
  readonly guard?: boolean;
}

export interface Access {
  readonly value: ValueId;
  /** One entry per axis of the tensor. */
  readonly index: readonly AxisIndex[];
  /** What a guarded read gives outside; default 0. */
  readonly fill?: number;
}

export type Combine = "sum" | "prod" | "max" | "min" | "argmax" | "argmin" | "argmax_last" | "argmin_last";

export interface LoopNest {
  readonly loops: readonly number[];
  readonly reduce: readonly number[];
  readonly operands: readonly Access[];
  /** Per reduction step; absent without reduction. arg…: the value compared, the accumulator is the
   * i32 index in the (single) reduction loop. */
  readonly body?: Expr;
  readonly combine?: Combine;
  /** Once per output element. */
  readonly result: Expr;
  readonly out: Access;
}

/** Where a kernel's value comes from. */
export type ValueSource =
  | { readonly kind: "input"; readonly index: number } // input of the node being lowered
  | { readonly kind: "output"; readonly index: number }
  | { readonly kind: "temp"; readonly index: number } // between the kernels of one node
  | { readonly kind: "table"; readonly data: TypedArray }; // small constant made by the compiler

export interface KernelValue {
  readonly source: ValueSource;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/**
 * One step: a name that targets may know a tuned version of, the parameters which that version is
 * chosen by, and the definition. Targets without a tuned version run the nest. A kernel without a
 * nest (sorting, detection post-processing) exists only where the target has it by name.
 */
export interface Kernel {
  readonly name: string; // "nest" = nothing but the loop nest
  readonly params: Readonly<Record<string, number | string | readonly number[]>>;
  readonly values: readonly KernelValue[];
  readonly nest?: LoopNest;
  /** Kernels without a nest: which values are read and written. */
  readonly reads?: readonly ValueId[];
  readonly writes?: readonly ValueId[];
}

/** The compute type that a storage type loads into. */
export function scalarOf(t: DType): ScalarType {
  if (t === "float32" || t === "float16") return "f32";
  return t === "int64" ? "i64" : "i32";
}

/** Index shorthands. */
export const at = (loop: number, coefficient = 1, offset = 0): AxisIndex => ({
  offset,
  terms: coefficient === 0 ? [] : [[loop, coefficient]],
});
export const fixed = (offset: number): AxisIndex => ({ offset, terms: [] });
export const fromTable = (operand: number, wrap = false): AxisIndex => ({
  offset: 0,
  terms: [],
  table: operand,
  ...(wrap && { wrap }),
});
/** Every axis walks the loop of the same number, broadcast where the axis is 1. `from` skips loops. */
export const along = (shape: readonly number[], rank: number): AxisIndex[] =>
  shape.map((d, i) => (d === 1 ? fixed(0) : at(i + rank - shape.length)));
