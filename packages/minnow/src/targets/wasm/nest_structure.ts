// What the generated code of a loop nest depends on, as plain data: its JSON is the key under which code
// is shared. Every number that varies between steps of one structure (addresses, extents, strides,
// fills, constants of the expressions) is a word of the argument block, referred to by its index here.
import type { Combine } from "../../compiler/nest.js";
import type { DType } from "../../graph/dtype.js";

/**
 * Operand numbers from here on stand for constants that arrive as argument words, so that code is shared
 * between their values. None is NaN or infinite; "small" ones are below 2^22 in magnitude.
 */
export const firstParameter = 1000;

/** Index of a word of the argument block; −1 where the value is zero for good. */
export type Word = number;

/** An affine function of the loops: a byte address or a guard's coordinate. */
export interface Cursor {
  readonly base: Word;
  /** Per outer loop: its coefficient, and what to add when that loop advances and inner ones restart. */
  readonly outer: readonly Word[];
  readonly advance: readonly Word[];
  readonly lane: Word;
  /** The lane coefficient where the code may rely on it: the element size. */
  readonly unit?: number;
  /** Per reduction loop (other than the lane loop). */
  readonly reduce: readonly Word[];
}

/** row: one element for all lanes; unit: consecutive; strided: apart; indexed: located lane by lane. */
export type LaneKind = "row" | "unit" | "strided" | "indexed";

export interface PlaceCode {
  readonly dtype: DType;
  readonly at: Cursor;
  readonly kind: LaneKind;
  /** Position depends on a reduction loop other than the lane loop. */
  readonly inReduce: boolean;
  readonly guards: readonly { readonly at: Cursor; readonly extent: Word }[];
  readonly lookups: readonly {
    readonly operand: number;
    readonly stride: Word;
    readonly extent: Word;
    readonly wrap: boolean;
  }[];
  /** Padded along the lane loop: its guards bound the lanes where it is read. */
  readonly window?: boolean;
  /** With guards: the value outside, and an address that may always be read. */
  readonly fill: Word;
  readonly safe: Word;
}

/** A guard that shortens a reduction loop: 0 ≤ at + k·coef < extent. level −1: the lane loop. */
export interface Clip {
  readonly level: number;
  readonly at: Cursor;
  readonly coef: Word;
  readonly extent: Word;
}

export interface Structure {
  readonly mode: "vector" | "scalar";
  readonly fma: boolean;
  /** V8 joins pairs of vectors. */
  readonly wide?: boolean;
  /** Vectors per pass. */
  readonly unroll: number;
  /** Extents, outermost first. */
  readonly outer: readonly Word[];
  readonly lane: { readonly extent: Word; readonly reduce: boolean };
  /** The outermost loop walks panels of this many lanes. */
  readonly panel?: Word;
  /** The lane loop is cut into `count` pieces of `length`. */
  readonly chunk?: { readonly length: Word; readonly count: Word };
  readonly reduce: readonly Word[];
  readonly combine?: Combine;
  readonly operands: readonly (PlaceCode | null)[];
  readonly out: PlaceCode;
  readonly clips: readonly Clip[];
  /** Start of the accumulator where it is not the identity. */
  readonly start?: number;
  /** Words of the constants that were taken out of the expressions. */
  readonly parameters: readonly { readonly word: Word; readonly float: boolean; readonly small: boolean }[];
  readonly error: Word;
  /** Runs on one thread: `total` replaces begin and end. */
  readonly total: Word;
  /** Printed expressions. */
  readonly body?: string;
  readonly result: string;
}
