// Writes a .minnow file: the same Graph gives the same bytes. Tables are built by Google's flatbuffers
// library, which only this file needs; equal weights are stored once.
import { Builder } from "flatbuffers";
import { ModelError } from "../../error.js";
import { count, isConcrete } from "../../graph/dim.js";
import { copyInto, dataOf, releaseSpare } from "../../graph/deferred.js";
import { arrayFromBytes, byteSize } from "../../graph/dtype.js";
import type { AttrValue, Graph, Node, Tensor } from "../../graph/graph.js";
import type { Precompiled, PrecompiledSet } from "../../graph/precompiled.js";
import { checkGraph } from "../check.js";
import { FlatBuffer } from "../flatbuffer.js";
import * as schema from "./schema.js";
import { placeWeights, type Placed } from "./weights.js";

type Offset = number;

/**
 * The model as bytes of a .minnow file of version 1.
 * @param precompiled made from a file of this graph without it
 */
export function writeMinnow(graph: Graph, precompiled?: PrecompiledSet): Uint8Array<ArrayBuffer> {
  checkGraph(graph, "graph to write");
  const tensors = collect(graph);
  const weights = placeWeights(tensors);
  const header = new Writer(tensors, weights).write(graph, precompiled);
  const start = Math.ceil(header.length / schema.alignment) * schema.alignment;
  const file = new Uint8Array(start + weights.size);
  file.set(header);
  const model = new FlatBuffer(header, ".minnow header").root();
  const set = (slot: number, value: number): void =>
    new DataView(file.buffer).setBigUint64(model.position(slot, 8), BigInt(value), true);
  set(schema.model.weights, start);
  set(schema.model.early, start + weights.early);
  set(schema.model.size, file.length);
  for (const { tensor, data, offset } of weights.chunks)
    copyInto(
      data,
      arrayFromBytes(tensor.dtype, file.subarray(start + offset, start + offset + data.byteLength)),
    );
  releaseSpare();
  return file;
}

/** Tensors of the graph and of those inside its nodes, in order of first appearance. */
function collect(graph: Graph, seen = new Set<Tensor>()): Tensor[] {
  for (const t of graph.tensors()) seen.add(t);
  for (const n of graph.nodes) for (const g of n.graphs ?? []) collect(g, seen);
  return [...seen];
}

class Writer {
  readonly #b = new Builder(65536);
  readonly #index: ReadonlyMap<Tensor, number>;
  readonly #symbols = new Map<string, number>();

  constructor(
    readonly tensors: readonly Tensor[],
    readonly weights: Placed,
  ) {
    this.#index = new Map(tensors.map((t, i) => [t, i]));
  }

  write(graph: Graph, made: PrecompiledSet | undefined): Uint8Array {
    const b = this.#b;
    const tensors = this.#offsets(this.tensors.map((t) => this.#tensor(t)));
    const main = this.#graph(graph);
    const symbols = this.#strings([...this.#symbols.keys()]);
    const meta = b.createString(JSON.stringify(graph.meta));
    const precompiled = made ? this.#offsets(made.list.map((p) => this.#precompiled(p))) : 0;
    const data = made ? b.createByteVector(made.data) : 0;
    b.startObject(12);
    b.addFieldInt32(schema.model.version, schema.version, 0);
    b.addFieldInt32(schema.model.minVersion, 1, 0);
    for (const slot of [schema.model.weights, schema.model.early, schema.model.size])
      b.addFieldInt64(slot, -1n, 0n); // known when the header's length is
    b.addFieldOffset(schema.model.symbols, symbols, 0);
    b.addFieldOffset(schema.model.tensors, tensors, 0);
    b.addFieldOffset(schema.model.graph, main, 0);
    b.addFieldOffset(schema.model.meta, meta, 0);
    b.addFieldOffset(schema.model.precompiled, precompiled, 0);
    b.addFieldOffset(schema.model.precompiledData, data, 0);
    b.finish(b.endObject(), schema.identifier);
    return b.asUint8Array();
  }

  #precompiled(p: Precompiled): Offset {
    const b = this.#b;
    const engine = b.createString(p.engine);
    const plan = b.createByteVector(p.plan);
    const code = b.createByteVector(p.code);
    b.startObject(5);
    b.addFieldOffset(schema.precompiled.engine, engine, 0);
    b.addFieldInt32(schema.precompiled.abi, p.abi, 0);
    b.addFieldOffset(schema.precompiled.plan, plan, 0);
    b.addFieldOffset(schema.precompiled.code, code, 0);
    b.addFieldInt32(schema.precompiled.check, p.check | 0, 0);
    return b.endObject();
  }

  #tensor(t: Tensor): Offset {
    const b = this.#b;
    const dtype = schema.dtypes.indexOf(t.dtype);
    const data = dataOf(t);
    if (data && !(isConcrete(t.shape) && byteSize(t.dtype, count(t.shape)) === data.byteLength))
      throw new ModelError(
        "bad_graph",
        `tensor ${t.name} has ${data.byteLength} bytes for [${t.shape}] ${t.dtype}`,
      );
    const name = b.createString(t.name);
    const shape = this.#longs(t.shape.map((d) => (typeof d === "number" ? d : -1 - this.#symbol(d))));
    const scale = t.quant ? this.#doubles(t.quant.scale) : 0;
    const zeroPoint = t.quant?.zeroPoint.some((z) => z !== 0) ? this.#ints(t.quant.zeroPoint) : 0;
    const aliases = t.aliases ? this.#strings(t.aliases) : 0;
    const strings = t.strings ? this.#strings(t.strings) : 0;
    b.startObject(12);
    b.addFieldOffset(schema.tensor.name, name, 0);
    b.addFieldInt8(schema.tensor.dtype, dtype, 0);
    b.addFieldInt8(schema.tensor.kind, schema.kinds.indexOf(t.kind), 0);
    b.addFieldOffset(schema.tensor.shape, shape, 0);
    if (data) {
      b.addFieldInt8(schema.tensor.storage, 1, 0);
      b.addFieldInt64(schema.tensor.offset, BigInt(this.weights.offsets.get(t) ?? 0), 0n);
      b.addFieldInt64(schema.tensor.size, BigInt(data.byteLength), 0n);
    }
    b.addFieldOffset(schema.tensor.scale, scale, 0);
    b.addFieldOffset(schema.tensor.zeroPoint, zeroPoint, 0);
    b.addFieldInt32(schema.tensor.axis, t.quant?.axis ?? 0, 0);
    b.addFieldOffset(schema.tensor.aliases, aliases, 0);
    b.addFieldOffset(schema.tensor.strings, strings, 0);
    return b.endObject();
  }

  #graph(g: Graph): Offset {
    const b = this.#b;
    const name = b.createString(g.name);
    const inputs = this.#refs(g.inputs);
    const outputs = this.#refs(g.outputs);
    const nodes = this.#offsets(g.nodes.map((n) => this.#node(n)));
    b.startObject(4);
    b.addFieldOffset(schema.graph.name, name, 0);
    b.addFieldOffset(schema.graph.inputs, inputs, 0);
    b.addFieldOffset(schema.graph.outputs, outputs, 0);
    b.addFieldOffset(schema.graph.nodes, nodes, 0);
    return b.endObject();
  }

  #node(n: Node): Offset {
    const b = this.#b;
    const op = b.createSharedString(n.op);
    const name = b.createString(n.name);
    const inputs = this.#refs(n.inputs);
    const outputs = this.#refs(n.outputs);
    const attrs = this.#offsets(Object.entries(n.attrs).map(([key, value]) => this.#attr(key, value)));
    const graphs = n.graphs?.length ? this.#offsets(n.graphs.map((g) => this.#graph(g))) : 0;
    b.startObject(6);
    b.addFieldOffset(schema.node.op, op, 0);
    b.addFieldOffset(schema.node.name, name, 0);
    b.addFieldOffset(schema.node.inputs, inputs, 0);
    b.addFieldOffset(schema.node.outputs, outputs, 0);
    b.addFieldOffset(schema.node.attrs, attrs, 0);
    b.addFieldOffset(schema.node.graphs, graphs, 0);
    return b.endObject();
  }

  #attr(key: string, value: AttrValue): Offset {
    const b = this.#b;
    const list = typeof value === "object" ? value : [value];
    const isText = typeof list[0] === "string";
    const type = typeof value === "object" ? (isText ? "strings" : "numbers") : (typeof value as "number");
    const name = b.createSharedString(key);
    const numbers = isText ? 0 : this.#doubles(list.map(Number));
    const texts = isText ? this.#strings(list as readonly string[]) : 0;
    b.startObject(4);
    b.addFieldOffset(schema.attr.name, name, 0);
    b.addFieldInt8(schema.attr.type, schema.attrTypes.indexOf(type), 0);
    b.addFieldOffset(schema.attr.numbers, numbers, 0);
    b.addFieldOffset(schema.attr.texts, texts, 0);
    return b.endObject();
  }

  #symbol(text: string): number {
    const known = this.#symbols.get(text);
    if (known !== undefined) return known;
    this.#symbols.set(text, this.#symbols.size);
    return this.#symbols.size - 1;
  }

  #refs(list: readonly (Tensor | null)[]): Offset {
    return this.#ints(list.map((t) => (t ? (this.#index.get(t) as number) : -1)));
  }

  // The builder writes backwards, so vectors are filled from their ends.

  #vector<T>(list: readonly T[], size: number, add: (v: T) => void): Offset {
    this.#b.startVector(size, list.length, size);
    for (let i = list.length - 1; i >= 0; i--) add(list[i] as T);
    return this.#b.endVector();
  }

  #ints = (list: readonly number[]): Offset => this.#vector(list, 4, (v) => this.#b.addInt32(v));
  #longs = (list: readonly number[]): Offset => this.#vector(list, 8, (v) => this.#b.addInt64(BigInt(v)));
  #doubles = (list: readonly number[]): Offset => this.#vector(list, 8, (v) => this.#b.addFloat64(v));
  #offsets = (list: readonly Offset[]): Offset => this.#vector(list, 4, (v) => this.#b.addOffset(v));
  #strings = (list: readonly string[]): Offset => this.#offsets(list.map((s) => this.#b.createString(s)));
}
