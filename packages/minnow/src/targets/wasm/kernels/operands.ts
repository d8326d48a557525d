// How a step's operands lie over its loops, as strides: whether an axis pair collapses, which operands
// of the epilogue are one number, one per channel, or a full tensor. Kernels decide by strides alone,
// so that views into a concat or a split need no copy.
import { operandsOf } from "../../../compiler/expr.js";
import type { Access, LoopNest } from "../../../compiler/nest.js";
import type { Program, Step, View } from "../../../compiler/program.js";
import { type DType, elementBytes, halfArrayToFloat, type TypedArray } from "../../../graph/dtype.js";

export type Buffers = Pick<Program, "buffers">;

/** A nest operand (or the output): element strides per loop, then per reduction loop. */
export interface Walk {
  readonly value: number;
  readonly view: View;
  readonly dtype: DType;
  readonly bytes: number;
  /** In elements, relative to the view's start. */
  readonly offset: number;
  readonly strides: readonly number[];
  readonly guarded: boolean;
}

const walks = new WeakMap<Access, { readonly view: View; readonly walk: Walk | null }>();

/** @returns null where an index is driven by a table */
export function walkOf(step: Step, nest: LoopNest, operand: number | "out"): Walk | null {
  const access = operand === "out" ? nest.out : nest.operands[operand];
  const view = access && step.values[access.value];
  if (!access || !view) return null;
  // Several kernels are asked about a step, and each asks again.
  let known = walks.get(access);
  if (known?.view !== view) {
    known = { view, walk: walkOver(nest, access, view) };
    walks.set(access, known);
  }
  return known.walk;
}

function walkOver(nest: LoopNest, access: Access, view: View): Walk | null {
  const strides = new Array<number>(nest.loops.length + nest.reduce.length).fill(0);
  let offset = 0;
  let guarded = false;
  for (const [axis, a] of access.index.entries()) {
    if (a.table !== undefined) return null;
    const s = view.strides[axis] as number;
    offset += a.offset * s;
    guarded ||= !!a.guard;
    for (const [l, c] of a.terms) strides[l] = (strides[l] as number) + c * s;
  }
  return {
    value: access.value,
    view,
    dtype: view.dtype,
    bytes: elementBytes(view.dtype),
    offset,
    strides,
    guarded,
  };
}

/**
 * The one stride at which loops `from…to−1` are walked when joined, outermost first: 0 when all are
 * broadcast or of extent 1, null when they do not join.
 */
export function joined(
  strides: readonly number[],
  extents: readonly number[],
  from: number,
  to: number,
): number | null {
  let unit: number | null = null;
  let next = 0;
  for (let l = to - 1; l >= from; l--) {
    const extent = extents[l] as number;
    if (extent === 1) continue;
    const s = strides[l] as number;
    if (unit === null) unit = s;
    else if (s !== next) return null;
    next = s * extent;
  }
  return unit ?? 0;
}

export type Role =
  /** The same number everywhere. */
  | "scalar"
  /** One per output channel (the last loop). */
  | "channel"
  /** The same, computed at run time. */
  | "vector"
  /** One per output pixel. */
  | "pixel"
  /** Shaped as the output. */
  | "full";

/** An operand that the epilogue reads. */
export interface EpilogueOperand {
  readonly operand: number;
  readonly role: Role;
  readonly walk: Walk;
  /** "full" and "pixel": elements from one output pixel to the next. */
  readonly pitch: number;
  /** Constants: the data. */
  readonly data?: TypedArray;
}

const vectorTypes: readonly DType[] = ["float32", "int8", "uint8", "int32", "int16"];

/**
 * Classifies what `nest.result` reads besides the accumulator; loops from `channelLoop` on (default: the
 * last) are the channels, those before are the pixels. Null when some operand fits no role.
 */
export function epilogueOperands(
  step: Step,
  nest: LoopNest,
  program: Buffers,
  channelLoop = nest.loops.length - 1,
): EpilogueOperand[] | null {
  const found: EpilogueOperand[] = [];
  const rank = nest.loops.length;
  const channels = nest.loops.slice(channelLoop).reduce((a, b) => a * b, 1);
  for (const i of operandsOf(nest.result)) {
    if (i < 0) continue;
    const walk = walkOf(step, nest, i);
    if (!walk || walk.guarded || walk.strides.slice(rank).some((s) => s !== 0)) return null;
    const pitch = joined(walk.strides, nest.loops, 0, channelLoop);
    const perChannel = joined(walk.strides, nest.loops, channelLoop, rank);
    if (pitch === null || (perChannel !== 0 && perChannel !== 1)) return null;
    const data = program.buffers[walk.view.buffer]?.data;
    if (pitch === 0 && perChannel === 0)
      found.push({ operand: i, role: "scalar", walk, pitch: 0, ...(data && { data }) });
    else if (pitch === 0) {
      const known = data && (walk.dtype === "float16" || vectorTypes.includes(walk.dtype));
      if (!known && !vectorTypes.includes(walk.dtype)) return null;
      found.push({ operand: i, role: known ? "channel" : "vector", walk, pitch: 0, ...(known && { data }) });
    } else {
      if (!vectorTypes.includes(walk.dtype)) return null;
      found.push({ operand: i, role: channels > 1 && perChannel === 0 ? "pixel" : "full", walk, pitch });
    }
  }
  return found;
}

/** Constant elements [at, at + n) as numbers in a plain float32 or int32 array (float16 is widened). */
export function constantNumbers(
  data: TypedArray,
  dtype: DType,
  at: number,
  n: number,
): Float32Array | Int32Array {
  if (dtype === "float16") return halfArrayToFloat((data as Uint16Array).subarray(at, at + n));
  if (dtype === "float32") return (data as Float32Array).subarray(at, at + n);
  return Int32Array.from((data as Int32Array).subarray(at, at + n));
}

export { dataId } from "../../../graph/released.js";
export const roundUp = (n: number, to: number): number => Math.ceil(n / to) * to;
