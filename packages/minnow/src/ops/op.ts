// The contract of an operator. One file an operator or tight family; it exports, separately so that
// bundles carry only what they use: the definition (schema, shape inference, lowering) and the plain
// reference implementation, registered in registry.ts and references.ts.
import type { Data } from "../graph/deferred.js";
import type { DType, TypedArray } from "../graph/dtype.js";
import type { Dim, Shape } from "../graph/dim.js";
import type { Attrs, Quantization } from "../graph/graph.js";
import type { Expr } from "../compiler/expr.js";
import type { Kernel, KernelValue, LoopNest, ValueId } from "../compiler/nest.js";
import { ModelError } from "../error.js";

export type AttrType = "int" | "float" | "bool" | "string" | "ints" | "floats" | "strings" | "dtype";

/** `default` absent = required. */
export interface AttrSpec {
  readonly type: AttrType;
  readonly default?: Attrs[string];
}

/** What shape inference knows of one tensor. */
export interface TensorInfo {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly quant?: Quantization;
  /** Elements of a small integer tensor as far as they are known: shapes, axes, slice bounds. */
  readonly value?: readonly Dim[];
  /** Data of a constant. */
  readonly data?: Data;
}

export interface InferContext {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly (TensorInfo | undefined)[];
  /** Attributes with defaults filled in. */
  readonly attrs: Attrs;
  /** What the source declares of the outputs (dtype, quantisation); shapes are not yet true. */
  readonly outputs: readonly { readonly dtype: DType; readonly quant?: Quantization }[];
  /** Some dimension of the graph is unbound: sizes that are not known now may be later. */
  readonly symbolic?: boolean;
}

export interface Inferred {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly value?: readonly Dim[];
}

/** A tensor at lowering: everything is a number. */
export interface LowerTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly quant?: Quantization;
  readonly value?: readonly number[];
  readonly data?: TypedArray;
}

/** Collects the kernels of one node. Build it with the methods, in execution order. */
export interface LowerContext {
  readonly op: string;
  readonly name: string;
  readonly attrs: Attrs;
  readonly inputs: readonly (LowerTensor | undefined)[];
  readonly outputs: readonly LowerTensor[];
  /** The value id of an input or output; it may be used in any kernel of the node. */
  input(i: number): ValueId;
  output(i: number): ValueId;
  /** Scratch between kernels, planned like any value. */
  temp(dtype: DType, shape: readonly number[]): ValueId;
  /** A small constant. */
  table(data: TypedArray, shape: readonly number[], dtype?: DType): ValueId;
  info(v: ValueId): KernelValue;
  /** Adds a plain loop nest. */
  nest(nest: LoopNest): void;
  /** Adds a named kernel with its definition. */
  kernel(name: string, params: Kernel["params"], nest: LoopNest): void;
  /** Adds a kernel that has no loop nest. */
  opaque(name: string, params: Kernel["params"], reads: ValueId[], writes: ValueId[]): void;
  /** Adds one, instead of several loop nests, if the target takes it; tells whether it does. */
  offer(...kernel: Parameters<LowerContext["opaque"]>): boolean;
}

export interface OpDef {
  readonly name: string;
  /** Names of inputs; a trailing "?" = optional, a leading "..." = any number more. */
  readonly inputs: readonly string[];
  /** Number of outputs, or -1 = as many as the node has. Default 1. */
  readonly outputs?: number;
  readonly attrs: Readonly<Record<string, AttrSpec>>;
  /** Shapes and types of the outputs; throws through `reject` when the inputs do not fit. */
  infer(c: InferContext): Inferred[];
  /**
   * Element-wise operators: one output element from one element of each (broadcast) input, already in
   * its compute type. Fusion, quantised forms and every target follow from it.
   */
  readonly expr?: (inputs: readonly Expr[], attrs: Attrs, c: ExprContext) => Expr;
  /** Element-wise on stored integers, whatever their quantisation says (Cast). */
  readonly raw?: boolean;
  /** The output holds the first input's elements in the same order (reshape, squeeze): no copy. */
  readonly alias?: boolean;
  /** Everything else. */
  readonly lower?: (c: LowerContext) => void;
  /** Floating-point multiply-adds of one run, for info and profiles. */
  readonly macs?: (c: {
    inputs: readonly (LowerTensor | undefined)[];
    outputs: readonly LowerTensor[];
    attrs: Attrs;
  }) => number;
}

export interface ExprContext {
  readonly inputs: readonly DType[];
  readonly output: DType;
}

/** A tensor of the reference implementation: plain numbers, int64 too (exact up to 2^53). */
export interface RefTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Element values as float64, or as stored integers for integer types. */
  readonly data: Float64Array | number[];
  readonly quant?: Quantization;
}

/**
 * The plain reference: straightforward loops, sums in float64. Inputs of quantised operators come as
 * stored integers with `quant`; the result must be stored integers too.
 * Results are rounded to the output's type by the caller.
 */
export type Reference = (c: {
  op: string;
  attrs: Attrs;
  inputs: readonly (RefTensor | undefined)[];
  outputs: readonly { dtype: DType; shape: readonly number[]; quant?: Quantization }[];
}) => (Float64Array | number[])[];

/** Fails with the operator and node named. */
export function reject(
  c: { op: string; name: string },
  message: string,
  code: "bad_shape" | "unsupported" | "bad_graph" = "bad_shape",
  hint?: string,
): never {
  throw new ModelError(code, `${c.op} ${JSON.stringify(c.name)}: ${message}`, {
    op: c.op,
    ...(hint && { hint }),
  });
}

/** The i-th input, which must be there. */
export function need(c: InferContext, i: number): TensorInfo {
  const t = c.inputs[i];
  if (!t) reject(c, `input ${i} is missing`, "bad_graph");
  return t;
}

/** An axis attribute in 0…rank−1. */
export function axisOf(c: { op: string; name: string }, axis: number, rank: number): number {
  const a = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(a) || a < 0 || a >= rank) reject(c, `axis ${axis} is outside rank ${rank}`);
  return a;
}

export const int = (attrs: Attrs, name: string): number => attrs[name] as number;
export const ints = (attrs: Attrs, name: string): readonly number[] => attrs[name] as readonly number[];
export const str = (attrs: Attrs, name: string): string => attrs[name] as string;
export const bool = (attrs: Attrs, name: string): boolean => Boolean(attrs[name]);
