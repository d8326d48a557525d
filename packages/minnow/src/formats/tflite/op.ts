// One operator of a TFLite file while its row turns it into nodes: inputs, outputs, options, and the
// helpers that rows share. Rows never see the file's bytes but through checked tables.
import type { Dim } from "../../graph/dim.js";
import type { DType, TypedArray } from "../../graph/dtype.js";
import type { Attrs, Node, Quantization, Tensor } from "../../graph/graph.js";
import type { Scalar, Table } from "../flatbuffer.js";
import { type Tensors, Unsupported } from "./tensors.js";

/** Bytes of file that a node must be worth: one index in a list of operands is not enough. */
const nodeCost = 64;

/** Turns one operator into nodes by `c.emit`. */
export type Row = (c: Op) => void;

export class Op {
  /** Options that the file leaves out read as the schema's defaults. */
  constructor(
    readonly name: string,
    readonly inputs: readonly (Tensor | null)[],
    readonly outputs: readonly Tensor[],
    readonly options: Table | undefined,
    readonly custom: Uint8Array,
    readonly tensors: Tensors,
    readonly nodes: Node[],
  ) {}

  reject(reason: string, hint?: string): never {
    throw new Unsupported(reason, hint);
  }

  /** The file contradicts itself. */
  fail(message: string): never {
    return this.tensors.buffers.file.fail(`${this.name} ${JSON.stringify(this.output.name)}: ${message}`);
  }

  get output(): Tensor {
    return this.outputs[0] ?? this.tensors.buffers.file.fail(`${this.name} has no output`);
  }

  input(i: number): Tensor {
    return this.inputs[i] ?? this.fail(`input ${i} is missing`);
  }

  num(slot: number, type: Scalar = "i32", or = 0): number {
    return this.options?.num(slot, type, or) ?? or;
  }

  flag(slot: number): boolean {
    return this.num(slot, "bool") !== 0;
  }

  emit(op: string, inputs: (Tensor | null)[], outputs: Tensor[], attrs: Attrs = {}): void {
    this.tensors.buffers.file.spend(nodeCost);
    this.nodes.push({ op, name: `${this.name}:${outputs[0]?.name ?? ""}`, inputs, outputs, attrs });
  }

  /** A node with one new output, which is returned. */
  value(
    op: string,
    inputs: (Tensor | null)[],
    attrs: Attrs = {},
    like: Tensor = this.output,
    dtype: DType = like.dtype,
  ): Tensor {
    const quant = dtype === like.dtype ? like.quant : undefined;
    const t = this.temp(op.toLowerCase(), dtype, quant);
    this.emit(op, inputs, [t], attrs);
    return t;
  }

  temp(suffix: string, dtype: DType, quant?: Quantization): Tensor {
    const name = this.tensors.nameFor(this.output.name, suffix);
    return { name, dtype, shape: [], kind: "value", ...(quant && { quant }) };
  }

  constant(suffix: string, dtype: DType, shape: readonly number[], data: TypedArray): Tensor {
    return this.tensors.constant(this.output.name, suffix, dtype, shape, data);
  }

  floats(suffix: string, ...values: number[]): Tensor {
    return this.constant(
      suffix,
      "float32",
      values.length === 1 ? [] : [values.length],
      Float32Array.from(values),
    );
  }

  ints(suffix: string, ...values: number[]): Tensor {
    return this.constant(suffix, "int32", [values.length], Int32Array.from(values));
  }

  /** Emits `op` with the first output, through a fused activation if the options have one. */
  fused(op: string, inputs: (Tensor | null)[], attrs: Attrs, activationSlot: number): void {
    const a = this.num(activationSlot, "i8");
    if (a === 0) return this.emit(op, inputs, [this.output], attrs);
    const activation = activations[a];
    if (!activation) this.reject(`its fused activation (${a === 5 ? "SIGN_BIT" : a}) is not supported`);
    const before = this.value(op, inputs, attrs);
    this.emit(activation[0], [before], [this.output], { ...activation[1] });
  }

  /** Elements of a constant integer input, or undefined when it is computed. */
  known(i: number): number[] | undefined {
    const t = this.inputs[i];
    if (!t) return undefined;
    if (t.kind !== "constant" || !t.data) return undefined;
    if (t.dtype !== "int32" && t.dtype !== "int64") this.fail(`input ${i} is ${t.dtype}, not integers`);
    if (t.data.length > 4096) this.fail(`input ${i} has ${t.data.length} elements`);
    this.tensors.buffers.spend(8 * t.data.length);
    return Array.from(t.data as Int32Array, Number);
  }

  /** The same, where a computed one cannot be used. */
  needKnown(i: number, what: string): number[] {
    return this.known(i) ?? this.reject(`its ${what} are computed at run time, not constant`);
  }

  needKnownScalar(i: number, what: string): number {
    const v = this.needKnown(i, what)[0];
    return v ?? this.fail(`its ${what} is empty`);
  }

  /** A dimension that the file declares. */
  dim(t: Tensor, axis: number): number {
    const d = t.shape[axis < 0 ? axis + t.shape.length : axis];
    if (d === undefined) this.fail(`${t.name} has no dimension ${axis}`);
    return typeof d === "number"
      ? d
      : this.reject(`dimension ${axis} of ${t.name} is open`, "convert with a fixed shape");
  }

  /** Constant weights are transposed here, computed ones by a node (which folding may remove). */
  transpose(t: Tensor, perm: readonly number[]): Tensor {
    if (t.shape.length !== perm.length)
      this.fail(`${t.name} has ${t.shape.length} dimensions, not ${perm.length}`);
    if (t.data && t.kind === "constant") return this.tensors.transposed(t, perm);
    if (t.quant && t.quant.scale.length > 1) this.reject("per-channel weights that are computed");
    const out = this.value("Transpose", [t], { perm }, t);
    out.shape = perm.map((p) => t.shape[p] as Dim);
    return out;
  }

  /** A float view of a tensor: quantised ones go through Dequantize. */
  asFloat(t: Tensor): Tensor {
    return t.quant ? this.value("Dequantize", [t], { to: "float32" }, t, "float32") : t;
  }

  /** Composite operators compute in float and quantise the answer. */
  finishFloat(op: string, inputs: (Tensor | null)[], attrs: Attrs = {}): void {
    if (!this.output.quant) return this.emit(op, inputs, [this.output], attrs);
    const real = this.value(op, inputs, attrs, this.output, "float32");
    this.emit("Quantize", [real], [this.output], { to: this.output.dtype });
  }

  /**
   * The weights that belong to activations `x`: checked, transposed by `perm`, in float where x is.
   * Integer weights with one scale under float activations were made for TFLite's oldest hybrid kernels; its
   * XNNPACK delegate turns these into float weights, and so do we. Those with a scale a channel want
   * activations quantised at run time, which is another arithmetic: refused.
   */
  weights(x: Tensor, w: Tensor, perm?: readonly number[]): Tensor {
    if (x.dtype !== "float32" && x.dtype !== "int8" && x.dtype !== "uint8")
      this.reject(`${x.dtype} activations are not supported`);
    if (this.output.dtype !== x.dtype) this.reject(`${x.dtype} input with ${this.output.dtype} output`);
    const hybrid = x.dtype === "float32" && w.dtype !== "float32";
    if (hybrid && w.quant?.scale.length !== 1)
      this.reject(
        `dynamic-range quantisation: ${w.dtype} weights with float32 activations`,
        "convert with full integer quantisation, or with float16 or float32 weights",
      );
    if (x.dtype !== "float32") {
      if (w.dtype !== "int8" && w.dtype !== "uint8") this.fail(`${x.dtype} input, ${w.dtype} weights`);
      for (const t of [x, w, this.output]) if (!t.quant) this.fail(`${t.name} is ${t.dtype} without a scale`);
    }
    const turned = perm ? this.transpose(w, perm) : w;
    if (!hybrid) return turned;
    const real = this.value("Dequantize", [turned], { to: "float32" }, turned, "float32");
    real.shape = turned.shape;
    return real;
  }

  /**
   * A bias of `n` elements as [n].
   * Quantised: int32 with scale = input scale · weight scale, as TFLite defines it.
   */
  bias(i: number, n: number, x: Tensor, w: Tensor): Tensor[] {
    const t = this.inputs[i];
    if (!t) return [];
    const want = x.dtype === "float32" ? "float32" : "int32";
    if (t.dtype !== want) this.reject(`${t.dtype} bias with ${x.dtype} input`);
    const size = t.shape.reduce<number>((a, b) => a * (b as number), 1);
    if (size !== n) this.fail(`its bias has ${size} elements, not ${n}`);
    if (t.quant || (want === "float32" && t.shape.length === 1)) return [t];
    const xs = x.quant?.scale[0];
    const scale =
      this.tensors.biasQuant(t)?.scale ?? (xs === undefined ? undefined : w.quant?.scale.map((s) => s * xs));
    const quant = want === "int32" && scale ? { scale, zeroPoint: scale.map(() => 0), axis: 0 } : undefined;
    if (t.shape.length === 1) {
      if (quant) t.quant = quant;
      return [t];
    }
    if (!t.data) return [this.value("Reshape", [t], { shape: [n] }, t)];
    const flat = this.constant("bias", t.dtype, [n], t.data);
    return [quant ? { ...flat, quant } : flat];
  }
}

const activations: readonly (readonly [string, Attrs] | undefined)[] = [
  undefined,
  ["Relu", {}],
  ["Clip", { min: -1, max: 1 }],
  ["Clip", { min: 0, max: 6 }],
  ["Tanh", {}],
];
