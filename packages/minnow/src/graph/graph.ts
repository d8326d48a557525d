// The one intermediate representation. A Graph is a list of nodes in execution order; nodes point at
// tensors by reference. Formats write it, passes rewrite it, the compiler reads it.
import { type Data, setData } from "./deferred.js";
import type { DType, TypedArray } from "./dtype.js";
import type { Shape } from "./dim.js";

/** Affine quantisation: real = scale · (q − zeroPoint), per tensor (length 1) or along `axis`. */
export interface Quantization {
  readonly scale: readonly number[];
  readonly zeroPoint: readonly number[];
  /** Axis of the per-channel parameters; meaningless when there is only one. */
  readonly axis: number;
}

export type TensorKind = "input" | "constant" | "variable" | "value";

export interface Tensor {
  /** The source file's name, unique in its graph. */
  name: string;
  dtype: DType;
  /** As far as known without binding symbolic dimensions. */
  shape: Shape;
  kind: TensorKind;
  /**
   * Constants (and initial values of variables): see TypedArray for float16, bool and int4. Those of
   * large constants may be computed when they are read: `dataOf` says whether there are any.
   */
  data?: TypedArray;
  /** dtype "string" constants. */
  strings?: readonly string[];
  quant?: Quantization;
  /** Names that other passes or the source gave to the same tensor (signatures, removed identities). */
  aliases?: string[];
}

export type AttrValue = number | string | boolean | readonly number[] | readonly string[];
export type Attrs = Record<string, AttrValue>;

export interface Node {
  /** Operator name in the registry (ops/registry.ts). */
  op: string;
  /** Unique where the source gives one; used in messages and profiles. */
  name: string;
  /** null = optional input not given. */
  inputs: (Tensor | null)[];
  outputs: Tensor[];
  attrs: Attrs;
  /** Sub-graphs of control flow. */
  graphs?: Graph[];
}

/** What the source says beyond arithmetic: labels, pre-processing, provenance. */
export interface Metadata {
  /** Source format, e.g. "tflite", "onnx". */
  format?: string;
  producer?: string;
  description?: string;
  /** Class labels by output tensor name. */
  labels?: Record<string, readonly string[]>;
  /** Image normalisation by input tensor name: (pixel − mean) / std, pixels 0…255. */
  normalization?: Record<string, { mean: readonly number[]; std: readonly number[] }>;
  /** Layout of 4-D image inputs where the format fixes it. */
  layout?: "NCHW" | "NHWC";
  /** Signature name → { inputs, outputs }: signature's own name → tensor name. */
  signatures?: Record<string, { inputs: Record<string, string>; outputs: Record<string, string> }>;
  /** What conversion did: pass name → number of rewrites. */
  passes?: Record<string, number>;
}

export class Graph {
  name = "main";
  inputs: Tensor[] = [];
  outputs: Tensor[] = [];
  /** Topologically sorted: a node comes after those that make its inputs. */
  nodes: Node[] = [];
  meta: Metadata = {};

  /** All tensors reachable from inputs, outputs and nodes, in order of first appearance. */
  tensors(): Tensor[] {
    const seen = new Set<Tensor>(this.inputs);
    for (const n of this.nodes) {
      for (const t of n.inputs) if (t) seen.add(t);
      for (const t of n.outputs) seen.add(t);
    }
    for (const t of this.outputs) seen.add(t);
    return [...seen];
  }

  /** Which node makes a tensor. */
  producers(): Map<Tensor, Node> {
    const map = new Map<Tensor, Node>();
    for (const n of this.nodes) for (const t of n.outputs) map.set(t, n);
    return map;
  }
}

export function constant(name: string, dtype: DType, shape: readonly number[], data: Data): Tensor {
  const t: Tensor = { name, dtype, shape: [...shape], kind: "constant" };
  setData(t, data);
  return t;
}

export function value(name: string, dtype: DType, shape: Shape = [], quant?: Quantization): Tensor {
  return quant ? { name, dtype, shape, kind: "value", quant } : { name, dtype, shape, kind: "value" };
}
