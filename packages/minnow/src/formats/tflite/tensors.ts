// The tensors of a TFLite sub-graph as Graph tensors, made when first asked for. What Minnow has no
// type for is reported by whoever uses it, so that every problem of a file is listed at once.
import type { Dim } from "../../graph/dim.js";
import { count, symbol } from "../../graph/dim.js";
import type { DType } from "../../graph/dtype.js";
import type { Quantization, Tensor } from "../../graph/graph.js";
import type { Table } from "../flatbuffer.js";
import { UniqueNames } from "../names.js";
import type { Buffers } from "./buffers.js";
import * as schema from "./schema.js";

const maxRank = 16;
/** Longer names are cut: no converter writes such, and messages and new names repeat them. */
const maxName = 4096;
const maxSymbol = 60;

/** Thrown while one operator is read; the reader collects it with all others. */
export class Unsupported extends Error {
  constructor(
    readonly reason: string,
    readonly hint?: string,
  ) {
    super(reason);
  }
}

export class Tensors {
  readonly count: number;
  readonly #tables: readonly Table[];
  readonly #names: readonly string[];
  readonly #made: (Tensor | undefined)[] = [];
  /** Scales of int32 tensors: only a bias has any, and TFLite ignores them elsewhere. */
  readonly #biasQuant = new Map<Tensor, Quantization>();
  readonly #transposed = new Map<Tensor, Map<string, Tensor>>();

  constructor(
    subgraph: Table,
    readonly buffers: Buffers,
    readonly names = new UniqueNames(),
  ) {
    this.#tables = subgraph.tables(schema.subgraph.tensors);
    this.count = this.#tables.length;
    this.#names = this.#tables.map((t, i) =>
      this.names.take(t.string(schema.tensor.name)?.slice(0, maxName) || `tensor_${i}`),
    );
  }

  name(index: number): string {
    return this.#names[index] ?? `#${index}`;
  }

  #table(index: number): Table {
    return this.#tables[index] ?? this.buffers.file.fail(`tensor ${index} does not exist`);
  }

  /** The file's element type, as it spells it. */
  typeName(index: number): string {
    return schema.tensorTypes[this.#table(index).num(schema.tensor.type, "i8")]?.[0] ?? "an unknown type";
  }

  /** @throws Unsupported for element types without operators */
  get(index: number): Tensor {
    const made = this.#made[index];
    if (made) return made;
    const t = this.#make(index);
    this.#made[index] = t;
    return t;
  }

  /** Tensor `index` is `t`, of another sub-graph. */
  bind(index: number, t: Tensor): void {
    this.#made[index] = t;
  }

  /** From now on tensor `index` is `t` (an operator that does nothing). */
  alias(index: number, t: Tensor): void {
    this.#made[index] = t;
    t.aliases = [...(t.aliases ?? []), this.name(index)];
  }

  #make(index: number): Tensor {
    const t = this.#table(index);
    const name = this.name(index);
    const file = this.buffers.file;
    let dtype = schema.tensorTypes[t.num(schema.tensor.type, "i8")]?.[1];
    if (!dtype) throw new Unsupported(`tensor ${name} is of type ${this.typeName(index)}`);
    const shape = t.nums(schema.tensor.shape, "i32") ?? [];
    const signature = t.nums(schema.tensor.shapeSignature, "i32") ?? [];
    if (shape.length > maxRank) throw new Unsupported(`tensor ${name} has ${shape.length} dimensions`);
    const bytes = t.num(schema.tensor.externalBuffer, "u32")
      ? file.fail(`tensor ${name} lies in another file`)
      : this.buffers.bytes(t.num(schema.tensor.buffer, "u32"));
    if (shape.some((d) => d < 0)) {
      if (bytes) file.fail(`constant ${name} has shape [${shape}]`);
      shape.fill(1); // not known before inference
    }
    const variable = t.num(schema.tensor.isVariable, "bool") !== 0;
    const open = bytes ? shape : shape.map((d, i): Dim => (signature[i] === -1 ? "?" : d));
    const made: Tensor = {
      name,
      dtype,
      shape: open,
      kind: variable ? "variable" : bytes ? "constant" : "value",
    };
    if (bytes) {
      const dense = this.buffers.array(bytes, dtype, shape, t.table(schema.tensor.sparsity));
      if (dtype === "int4") dtype = "int8";
      made.data = dense;
      made.dtype = dtype;
    }
    const quant = this.#quantization(t, name, shape);
    if (quant && (dtype === "int8" || dtype === "uint8" || dtype === "int16" || dtype === "int4"))
      made.quant = quant;
    else if (quant && dtype === "int32") this.#biasQuant.set(made, quant);
    return made;
  }

  #quantization(tensor: Table, name: string, shape: readonly number[]): Quantization | undefined {
    const q = tensor.table(schema.tensor.quantization);
    const scale = q?.nums(schema.quantization.scale, "f32");
    if (!q || !scale?.length) return undefined;
    if (q.num(schema.quantization.detailsType, "u8"))
      throw new Unsupported(`tensor ${name} is quantised in blocks or by custom rules`);
    const fail = (why: string): never => this.buffers.file.fail(`quantisation of tensor ${name}: ${why}`);
    const zeros = q.nums(schema.quantization.zeroPoint, "i64") ?? [];
    // Some files name the weights' axis for a bias, which has only one.
    const axis = shape.length === 1 ? 0 : q.num(schema.quantization.quantizedDimension, "i32");
    if (scale.length > 1 && scale.length !== shape[axis])
      fail(`${scale.length} scales along axis ${axis} of [${shape}]`);
    if (zeros.length > 1 && zeros.length !== scale.length)
      fail(`${zeros.length} zero points for ${scale.length} scales`);
    if (scale.some((s) => !(s >= 0 && s < Infinity))) fail("a scale is not a positive number");
    if (zeros.some((z) => Math.abs(z) > 32768)) fail("a zero point is out of bounds");
    return {
      scale,
      zeroPoint: scale.map((_, i) => zeros[zeros.length > 1 ? i : 0] ?? 0),
      axis: scale.length > 1 ? axis : 0,
    };
  }

  /** Gives an input its shape: open dimensions become symbols. Returns the shape the file holds for them. */
  openInput(index: number, batch: boolean): readonly number[] {
    const t = this.get(index);
    const name = this.name(index);
    const short = name.length <= maxSymbol ? name : `${name.slice(0, maxSymbol)}_${index}`;
    t.kind = "input";
    t.shape = t.shape.map((d, axis) =>
      d !== "?" ? d : batch && axis === 0 ? "batch" : symbol(`${short}_${axis}`),
    );
    return this.#table(index).nums(schema.tensor.shape, "i32") ?? [];
  }

  /** The quantisation of an int32 bias as the file has it. */
  biasQuant(t: Tensor): Quantization | undefined {
    return this.#biasQuant.get(t);
  }

  /** A name for something new beside tensor `of`. */
  nameFor(of: string, suffix: string): string {
    return this.names.take(`${of.slice(0, 200)}/${suffix}`);
  }

  /** A constant with its axes in another order, made once. */
  transposed(t: Tensor, perm: readonly number[]): Tensor {
    const known = this.#transposed.get(t) ?? new Map<string, Tensor>();
    this.#transposed.set(t, known);
    const key = perm.join();
    const old = known.get(key);
    if (old || !t.data) return old ?? t;
    const shape = t.shape as readonly number[];
    const made: Tensor = {
      ...t,
      name: this.nameFor(t.name, "transposed"),
      shape: perm.map((p) => shape[p] as number),
      data: this.buffers.transpose(t.data, shape, perm),
    };
    if (t.quant) made.quant = { ...t.quant, axis: t.quant.scale.length > 1 ? perm.indexOf(t.quant.axis) : 0 };
    known.set(key, made);
    return made;
  }

  /** A new constant beside tensor `of`. */
  constant(
    of: string,
    suffix: string,
    dtype: DType,
    shape: readonly number[],
    data: NonNullable<Tensor["data"]>,
  ): Tensor {
    if (data.length !== count(shape)) this.buffers.file.fail(`constant ${of} does not fit [${shape}]`);
    return { name: this.nameFor(of, suffix), dtype, shape, kind: "constant", data };
  }
}
