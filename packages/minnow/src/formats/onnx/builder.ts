// Grows the Graph while nodes are translated: unique names, shapes inferred as it goes, constants and
// float16 values presented in their compute type, image layouts changed once per tensor.
import type { Data } from "../../graph/deferred.js";
import { count } from "../../graph/dim.js";
import { type DType, halfToFloat, newArray } from "../../graph/dtype.js";
import {
  type Attrs,
  constant,
  Graph,
  type Node,
  type Quantization,
  type Tensor,
  value,
} from "../../graph/graph.js";
import { declared, inferNode, type Known } from "../../ops/infer.js";
import type { TensorInfo } from "../../ops/op.js";

export interface EmitOptions {
  /** Element type of the output where the operator takes it from its declaration. */
  dtype?: DType;
  quant?: Quantization;
}

export class Builder {
  readonly graph = new Graph();
  readonly known: Known = new Map();
  /** Some input has a dimension that is bound later, which may decide what is not known now. */
  symbolic = false;
  readonly #tensorNames: Set<string>;
  readonly #nodeNames = new Set<string>();
  /** Channels-last form of tensors, and of constants in other types. */
  readonly #nhwc = new Map<Tensor, Tensor>();
  readonly #compute = new Map<Tensor, Tensor>();
  readonly #int64 = new Map<string, Tensor>();
  readonly #permuted = new Map<Tensor, Tensor>();
  /** Result of a Dequantize node → the quantised constant it reads. */
  readonly dequantized = new Map<Tensor, Tensor>();
  /** Bytes → the same integers as float32, from which they were made. */
  readonly steps = new Map<Tensor, Tensor>();

  /** @param reserved names of the source's tensors, which generated names must not take */
  constructor(reserved: Iterable<string>) {
    this.#tensorNames = new Set(reserved);
  }

  tensorName(base: string): string {
    return unique(base, this.#tensorNames);
  }

  nodeName(base: string): string {
    return unique(base, this.#nodeNames);
  }

  info(t: Tensor): TensorInfo {
    return this.known.get(t) ?? declared(t);
  }

  constant(name: string, dtype: DType, shape: readonly number[], data: Data): Tensor {
    return constant(this.tensorName(name), dtype, shape, data);
  }

  /** An int64 vector, or a scalar; equal ones are shared. */
  int64(values: readonly number[], scalar = false): Tensor {
    const key = `${scalar}:${values}`;
    let t = this.#int64.get(key);
    if (!t) {
      const data = BigInt64Array.from(values, (v) => clampInt64(v));
      t = this.constant(
        `int64 ${scalar ? values[0] : `[${values}]`}`.slice(0, 40),
        "int64",
        scalar ? [] : [values.length],
        data,
      );
      this.#int64.set(key, t);
    }
    return t;
  }

  /** The channels-last form of a weight constant, made once. */
  permuted(t: Tensor, make: () => { shape: readonly number[]; data: Data }): Tensor {
    let out = this.#permuted.get(t);
    if (!out) {
      const { shape, data } = make();
      out = this.constant(`${t.name}/ohwi`, t.dtype, shape, data);
      if (t.quant) out.quant = { ...t.quant, axis: [0, 3, 1, 2][t.quant.axis] ?? 0 };
      this.#permuted.set(t, out);
    }
    return out;
  }

  /** Adds a node and infers its outputs. Throws ModelError where they cannot be. */
  add(op: string, name: string, inputs: (Tensor | null)[], attrs: Attrs, outputs: Tensor[]): Node {
    const node: Node = { op, name, inputs, outputs, attrs };
    const inferred = inferNode(node, this.known, this.symbolic);
    outputs.forEach((t, i) => {
      t.dtype = inferred[i]?.dtype ?? t.dtype;
      t.shape = inferred[i]?.shape ?? t.shape;
    });
    this.graph.nodes.push(node);
    return node;
  }

  /** Adds a node with one output of a generated name. */
  emit(op: string, name: string, inputs: (Tensor | null)[], attrs: Attrs = {}, o: EmitOptions = {}): Tensor {
    const quant = o.quant ?? this.quantAfter(op, inputs);
    const out = value(name, o.dtype ?? inputs[0]?.dtype ?? "float32", [], quant);
    this.add(op, this.nodeName(name), inputs, attrs, [out]);
    out.name = this.tensorName(name);
    return out;
  }

  /** Parameters that moved numbers keep; per channel they could belong to another axis. */
  quantAfter(op: string, inputs: readonly (Tensor | null)[]): Quantization | undefined {
    const quant = inputs[0]?.quant;
    return quant && quant.scale.length === 1 && moves.has(op) ? quant : undefined;
  }

  /** The tensor as arithmetic sees it: float16 through a Cast, once. */
  compute(t: Tensor): Tensor {
    if (t.dtype !== "float16") return t;
    let out = this.#compute.get(t);
    if (!out) {
      out = this.emit("Cast", `${t.name}/float32`, [t], { to: "float32" }, { dtype: "float32" });
      this.#compute.set(t, out);
    }
    return out;
  }

  /** [N,C,…] → [N,…,C]; the source of a tensor that toNchw made. */
  toNhwc(t: Tensor): Tensor {
    let out = this.#nhwc.get(t);
    if (!out) {
      const perm = this.info(t).shape.length === 5 ? [0, 2, 3, 4, 1] : [0, 2, 3, 1];
      out = this.emit("Transpose", `${t.name}/nhwc`, [t], { perm });
      this.#nhwc.set(t, out);
    }
    return out;
  }

  /** [N,…,C] → [N,C,…] */
  toNchw(t: Tensor): Tensor {
    const perm = this.info(t).shape.length === 5 ? [0, 4, 1, 2, 3] : [0, 3, 1, 2];
    const out = this.emit("Transpose", `${t.name}/nchw`, [t], { perm });
    this.#nhwc.set(out, t);
    return out;
  }
}

const moves: ReadonlySet<string> = new Set(
  [
    "Identity",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Slice",
    "Split",
    "Gather",
    "Expand",
    "Tile",
    "Concat",
  ].concat(["MaxPool2D", "ReduceMax", "SpaceToDepth", "DepthToSpace", "Resize", "Pad"]),
);

function unique(base: string, taken: Set<string>): string {
  let name = base;
  for (let i = 1; taken.has(name); i++) name = `${base}_${i}`;
  taken.add(name);
  return name;
}

/** The nearest int64 of a number: ends of slices are often 2^63 − 1, which numbers round up. */
export const clampInt64 = (v: number): bigint =>
  v >= 2 ** 63 ? 2n ** 63n - 1n : v <= -(2 ** 63) ? -(2n ** 63n) : BigInt(v);

/** A constant's elements as numbers (float16 decoded); int64 beyond 2^53 is rounded. */
export function numbersOf(t: Tensor): number[] {
  const data = t.data ?? newArray(t.dtype, 0);
  if (t.dtype === "float16") return Array.from(data as Uint16Array, halfToFloat);
  if (t.dtype === "int4")
    return Array.from(
      { length: count(t.shape as number[]) },
      (_, i) => ((data[i >> 1] as number) << (i & 1 ? 24 : 28)) >> 28,
    );
  return Array.from(data as Int32Array, Number);
}
