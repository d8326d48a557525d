// Graph → kernels: every node that the outputs need, with its dimensions bound, becomes loop nests and
// named kernels. Shape arithmetic disappears: tensors whose elements inference knows are constants.
import { count, isConcrete } from "../graph/dim.js";
import { byteSize, type DType, halfArrayToFloat, newArray, type TypedArray } from "../graph/dtype.js";
import type { Graph, Node, Tensor } from "../graph/graph.js";
import { ModelError } from "../error.js";
import { attributesOf, declared, definitionOf, type Known } from "../ops/infer.js";
import type { LowerContext, LowerTensor, OpDef, TensorInfo } from "../ops/op.js";
import type { Lowered, LoweredKernel, Value } from "./lowered.js";
import { type Access, along, type KernelValue, type LoopNest, scalarOf } from "./nest.js";
import * as e from "./expr.js";
import { elementExpr } from "./quantized.js";

/** Lowers the part of `graph` that its outputs need. `known`: inference with every dimension bound. */
export function lower(graph: Graph, known: Known, options: LowerOptions = {}): Lowered {
  return new Lowering(graph, known, options).run();
}

/** Whether a target runs a kernel without a loop nest, that an operator offers, rather than loops. */
export type Takes = (kernel: string, reads: readonly Pick<Value, "shape">[]) => boolean;

/** What a program may take, and the target; see CompileOptions. */
export interface LowerOptions {
  readonly maxOperations?: number;
  readonly maxMemory?: number;
  readonly takes?: Takes;
}

export const tooMuchWork = (operations: number, most: number): ModelError =>
  new ModelError("too_much_work", `one run takes ${operations} operations, maxOperations is ${most}`, {
    hint: "raise maxOperations, or bind smaller dimensions",
  });

class Lowering {
  #elements = 0;
  readonly #values: Value[] = [];
  readonly #ids = new Map<Tensor, number>();
  readonly #kernels: LoweredKernel[] = [];

  constructor(
    private readonly graph: Graph,
    private readonly known: Known,
    private readonly options: LowerOptions,
  ) {}

  run(): Lowered {
    const inputs = this.graph.inputs.map((t) => ({ name: t.name, value: this.#idOf(t) }));
    const needed = this.#neededNodes();
    for (const node of this.graph.nodes) if (needed.has(node)) this.#node(node);
    const outputs = this.graph.outputs.map((t) => ({ name: t.name, value: this.#output(t) }));
    return { values: this.#values, inputs, outputs, kernels: this.#kernels, fusions: {} };
  }

  /** Nodes that outputs depend on, not counting what is known without running. */
  #neededNodes(): Set<Node> {
    const producers = this.graph.producers();
    const needed = new Set<Node>();
    const stack = [...this.graph.outputs];
    for (let t = stack.pop(); t; t = stack.pop()) {
      const node = producers.get(t);
      if (!node || needed.has(node) || this.#constantData(t)) continue;
      needed.add(node);
      for (const i of node.inputs) if (i) stack.push(i);
    }
    return needed;
  }

  #info(t: Tensor): TensorInfo & { shape: readonly number[] } {
    const info = this.known.get(t) ?? declared(t);
    if (!isConcrete(info.shape))
      throw new ModelError(
        "bad_shape",
        `tensor ${t.name} has unbound dimensions [${info.shape.join(", ")}]`,
        {
          tensor: t.name,
          hint: "bind them with `dims`, or give inputs of a definite shape",
        },
      );
    return info as TensorInfo & { shape: readonly number[] };
  }

  /** The elements of a tensor that need not be computed. */
  #constantData(t: Tensor): TypedArray | null {
    if (t.kind === "constant") return t.data ?? null;
    if (t.kind === "input") return null;
    const { value, dtype, shape } = this.#info(t);
    if (!value || value.length !== count(shape) || !value.every((v) => typeof v === "number")) return null;
    const data = newArray(dtype, value.length);
    for (let i = 0; i < value.length; i++)
      (data as Int32Array)[i] = (dtype === "int64" ? BigInt(value[i] as number) : value[i]) as number;
    return data;
  }

  #add(v: Omit<Value, "id" | "output">): number {
    return this.#values.push({ ...v, id: this.#values.length, output: false }) - 1;
  }

  #idOf(t: Tensor): number {
    const known = this.#ids.get(t);
    if (known !== undefined) return known;
    const { dtype, shape, quant } = this.#info(t);
    const data = this.#constantData(t);
    const kind = t.kind === "input" ? "input" : data ? "constant" : "value";
    const id = this.#add({
      label: t.name,
      dtype,
      shape,
      kind,
      ...(quant && { quant }),
      ...(data && { data }),
    });
    this.#ids.set(t, id);
    return id;
  }

  /** An output must be computed storage of its own: constants are copied. */
  #output(t: Tensor): number {
    const id = this.#idOf(t);
    const v = this.#values[id] as Value;
    if (v.kind !== "constant") {
      v.output = true;
      return id;
    }
    const copy = this.#add({
      label: t.name,
      dtype: t.dtype === "float16" ? v.dtype : t.dtype,
      shape: v.shape,
      kind: "value",
    });
    (this.#values[copy] as Value).output = true;
    this.#kernels.push({ ...this.#blank("Constant", t.name), nest: copyNest(id, copy, v.shape, v.dtype) });
    return copy;
  }

  #blank(op: string, node: string): LoweredKernel {
    return { name: "nest", params: {}, op, node, fused: [], macs: 0 };
  }

  #node(node: Node): void {
    const def = definitionOf(node);
    // Before its kernels are made: lowering makes tables as long as a dimension.
    for (const t of node.outputs) this.#afford(t);
    if (this.#constantNode(node)) return;
    if (def.alias) {
      const [from, to] = [this.#idOf(node.inputs[0] as Tensor), this.#idOf(node.outputs[0] as Tensor)];
      this.#kernels.push({ ...this.#blank(node.op, node.name), name: "alias", alias: { from, to } });
    } else if (def.expr) this.#elementwise(node, def);
    else if (def.lower) this.#lowered(node, def);
    else
      throw new ModelError("unsupported", `operator ${node.op} (${node.name}) has no implementation`, {
        op: node.op,
      });
  }

  /** The result in the compute type of what it is stored as, whatever a file declares its output to be. */
  #stored(nest: LoopNest): LoopNest {
    const t = scalarOf((this.#values[nest.out.value] as Value).dtype);
    return nest.result.t === t ? nest : { ...nest, result: e.cast(nest.result, t) };
  }

  #afford(t: Tensor): void {
    const { maxOperations = Number.POSITIVE_INFINITY, maxMemory = Number.POSITIVE_INFINITY } = this.options;
    const { shape, dtype } = this.#info(t);
    this.#elements += count(shape);
    if (this.#elements > maxOperations) throw tooMuchWork(this.#elements, maxOperations);
    const bytes = byteSize(dtype, count(shape));
    if (bytes > maxMemory)
      throw new ModelError(
        "out_of_memory",
        `tensor ${t.name} [${shape}] takes ${bytes} bytes, maxMemory is ${maxMemory}`,
        {
          tensor: t.name,
          hint: "raise maxMemory, or bind smaller dimensions",
        },
      );
  }

  /** Float16 and quantised constants made float, and their shapes: no step, the constant is read as it is stored. */
  #constantNode(node: Node): boolean {
    const [x] = node.inputs;
    const [y] = node.outputs;
    if (!x || !y || !["Cast", "Dequantize", "Reshape"].includes(node.op)) return false;
    const from = this.#values[this.#idOf(x)] as Value;
    if (from.kind !== "constant" || !from.data) return false;
    const to = this.#info(y);
    if (node.op === "Cast" && from.dtype === "float16" && to.dtype === "float32") {
      this.#ids.set(y, from.id);
      return true;
    }
    if (node.op === "Reshape" && !from.quant) {
      this.#ids.set(y, this.#add({ ...from, label: y.name, shape: to.shape }));
      return true;
    }
    if (node.op === "Dequantize" && from.quant && to.dtype === "float32") {
      const data = dequantizeConstant(from);
      this.#ids.set(
        y,
        this.#add({ label: y.name, dtype: "float32", shape: from.shape, kind: "constant", data }),
      );
      return true;
    }
    return false;
  }

  #elementwise(node: Node, def: OpDef): void {
    const inputs = node.inputs.map((t) => this.#values[this.#idOf(t as Tensor)] as Value);
    const out = this.#values[this.#idOf(node.outputs[0] as Tensor)] as Value;
    const operands: Access[] = inputs.map((v) => ({ value: v.id, index: along(v.shape, out.shape.length) }));
    const loaded = inputs.map((v, i) => e.input(i, scalarOf(v.dtype)));
    const result = elementExpr(def, attributesOf(node, def), loaded, inputs, out);
    const nest: LoopNest = {
      loops: out.shape,
      reduce: [],
      operands,
      result,
      out: { value: out.id, index: identity(out.shape.length) },
    };
    this.#kernels.push({ ...this.#blank(node.op, node.name), nest });
  }

  #lowered(node: Node, def: OpDef): void {
    const attrs = attributesOf(node, def);
    const tensor = (t: Tensor): LowerTensor => {
      const i = this.#info(t);
      // As stored: constants behind a cast from float16 too.
      const v = this.#values[this.#idOf(t)] as Value;
      const data = v.kind === "constant" ? v.data : undefined;
      return {
        dtype: data ? v.dtype : i.dtype,
        shape: i.shape,
        ...(i.quant && { quant: i.quant }),
        ...(i.value?.every((v) => typeof v === "number") && { value: i.value as number[] }),
        ...(data && { data }),
      };
    };
    const inputs = node.inputs.map((t) => (t ? tensor(t) : undefined));
    const outputs = node.outputs.map(tensor);
    const first = this.#kernels.length;
    const push = (k: Partial<LoweredKernel>): void => {
      this.#kernels.push({ ...this.#blank(node.op, node.name), ...k });
    };
    const context: LowerContext = {
      op: node.op,
      name: node.name,
      attrs,
      inputs,
      outputs,
      input: (i) => this.#idOf(node.inputs[i] as Tensor),
      output: (i) => this.#idOf(node.outputs[i] as Tensor),
      temp: (dtype, shape) => this.#add({ label: `${node.name}:temp`, dtype, shape, kind: "value" }),
      table: (data, shape, dtype = tableType(data)) =>
        this.#add({ label: `${node.name}:table`, dtype, shape, kind: "constant", data }),
      info: (v) => this.#kernelValue(v),
      nest: (nest) => push({ nest: this.#stored(nest) }),
      kernel: (name, params, nest) => push({ name, params, nest: this.#stored(nest) }),
      opaque: (name, params, reads, writes) => push({ name, params, reads, writes }),
      offer: (name, params, reads, writes) => {
        const taken = !!this.options.takes?.(
          name,
          reads.map((v) => this.#values[v] as Value),
        );
        if (taken) push({ name, params, reads, writes });
        return taken;
      },
    };
    (def.lower as NonNullable<OpDef["lower"]>)(context);
    const last = this.#kernels[first];
    if (last && def.macs) last.macs = def.macs({ inputs, outputs, attrs });
  }

  #kernelValue(id: number): KernelValue {
    const v = this.#values[id] as Value;
    return { source: { kind: "temp", index: id }, dtype: v.dtype, shape: v.shape };
  }
}

export const identity = (rank: number): Access["index"] =>
  Array.from({ length: rank }, (_, i) => ({ offset: 0, terms: [[i, 1] as const] }));

/** out = in, element by element. */
export function copyNest(from: number, to: number, shape: readonly number[], dtype: DType): LoopNest {
  return {
    loops: shape,
    reduce: [],
    operands: [{ value: from, index: identity(shape.length) }],
    result: e.input(0, scalarOf(dtype)),
    out: { value: to, index: identity(shape.length) },
  };
}

function tableType(data: TypedArray): DType {
  if (data instanceof Float32Array) return "float32";
  if (data instanceof Int32Array) return "int32";
  if (data instanceof BigInt64Array) return "int64";
  if (data instanceof Int8Array) return "int8";
  if (data instanceof Int16Array) return "int16";
  if (data instanceof Uint16Array) return "float16";
  return "uint8";
}

function dequantizeConstant(v: Value): Float32Array {
  const { quant, data, shape } = v;
  if (!quant || !data) throw new ModelError("internal", `${v.label} has no quantised data`);
  if (v.dtype === "float16") return halfArrayToFloat(data as Uint16Array);
  const packed = v.dtype === "int4";
  const out = new Float32Array(count(shape));
  const channels = quant.scale.length;
  const inner = channels > 1 ? count(shape.slice(quant.axis + 1)) : out.length;
  for (let from = 0, c = 0; from < out.length; from += inner, c = (c + 1) % channels) {
    const scale = quant.scale[c] as number;
    const zero = quant.zeroPoint[c] ?? quant.zeroPoint[0] ?? 0;
    for (let i = from; i < from + inner; i++) {
      const q = packed ? ((Number(data[i >> 1]) >> (4 * (i & 1))) << 28) >> 28 : Number(data[i]);
      out[i] = scale * (q - zero);
    }
  }
  return out;
}
