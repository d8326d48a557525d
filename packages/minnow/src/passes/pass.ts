// What every graph rewrite shares: the Pass interface and an Editor that keeps producers and readers up
// to date while nodes come and go. The rule that all passes keep: a graph output never loses its name,
// and a tensor that merges into another leaves its name there as an alias.
import {
  type Data,
  dim,
  type Dim,
  type DType,
  type Graph,
  type Node,
  type Shape,
  type Tensor,
} from "../graph/index.js";
import type { Known } from "../ops/infer.js";
import { type Attrs, constant, type Quantization, value } from "../graph/graph.js";

export interface Pass {
  /** Key of the counts that `convert --verbose` and `info` list. */
  readonly name: string;
  /** Holds only while weights and statistics stay fixed: not before training. */
  readonly inferenceOnly?: boolean;
  /** It has nothing to do where none of these operators is. */
  readonly ops?: readonly string[];
  /**
   * Rewrites the editor's graph in place. Tensors have their shapes and types before, and must have them
   * after. Nodes come, go and change inputs through the editor only, which the next pass goes on with.
   * @param known what inference says of the graph as it is, where that is at hand
   * @returns number of rewrites; 0 = the graph is as it was
   */
  run(e: Editor, known?: Known): number;
}

/** A node to be made: its output's name comes from `like` where given. */
export interface NewNode {
  op: string;
  inputs: (Tensor | null)[];
  attrs?: Attrs;
  name?: string;
}

export class Editor {
  readonly #made = new Map<Tensor, Node>();
  readonly #read = new Map<Tensor, Node[]>();
  readonly #pinned = new Set<Tensor>();
  #names: Set<string> | null = null;

  constructor(readonly graph: Graph) {
    this.#linkAll();
  }

  #linkAll(): void {
    for (const map of [this.#made, this.#read, this.#pinned]) map.clear();
    for (const n of this.graph.nodes) {
      this.#link(n);
      for (const g of n.graphs ?? []) this.#pinCaptured(g);
    }
  }

  /** Other nodes in place of all there are. */
  setNodes(nodes: Node[]): void {
    this.graph.nodes = nodes;
    this.#linkAll();
  }

  /** Tensors of this graph that sub-graphs read must stay as they are. */
  #pinCaptured(g: Graph): void {
    for (const t of [...g.tensors(), ...g.outputs]) this.#pinned.add(t);
    for (const n of g.nodes) for (const inner of n.graphs ?? []) this.#pinCaptured(inner);
  }

  #link(n: Node): void {
    for (const t of n.outputs) this.#made.set(t, n);
    for (const t of n.inputs) if (t) this.#addReader(t, n);
  }

  #addReader(t: Tensor, n: Node): void {
    const list = this.#read.get(t);
    if (list) list.push(n);
    else this.#read.set(t, [n]);
  }

  #dropReader(t: Tensor, n: Node): void {
    const list = this.#read.get(t);
    const i = list?.indexOf(n) ?? -1;
    if (i >= 0) list?.splice(i, 1);
  }

  producer(t: Tensor | null | undefined): Node | undefined {
    return t ? this.#made.get(t) : undefined;
  }

  /** The node of type `op` that makes `t`. */
  producerOf(t: Tensor | null | undefined, ...ops: string[]): Node | undefined {
    const n = this.producer(t);
    return n && ops.includes(n.op) ? n : undefined;
  }

  /** Nodes that read `t`, once per reading input. */
  readers(t: Tensor): readonly Node[] {
    return this.#read.get(t) ?? [];
  }

  isOutput(t: Tensor): boolean {
    return this.graph.outputs.includes(t) || this.#pinned.has(t);
  }

  /** The one node that reads `t`, where nobody else sees it. */
  soleReader(t: Tensor): Node | undefined {
    const list = this.readers(t);
    return list.length === 1 && !this.isOutput(t) ? list[0] : undefined;
  }

  setInput(n: Node, i: number, t: Tensor | null): void {
    const old = n.inputs[i];
    if (old === t) return;
    n.inputs[i] = t;
    if (old) this.#dropReader(old, n);
    if (t) this.#addReader(t, n);
  }

  setInputs(n: Node, inputs: (Tensor | null)[]): void {
    for (const t of n.inputs) if (t) this.#dropReader(t, n);
    n.inputs = inputs;
    for (const t of inputs) if (t) this.#addReader(t, n);
  }

  /** Whether `replace` could make readers of `from` read `to`. */
  canReplace(from: Tensor, to: Tensor): boolean {
    if (this.#pinned.has(from)) return false;
    if (!this.graph.outputs.includes(from)) return true;
    return to.kind === "value" && !this.isOutput(to);
  }

  /**
   * Whoever reads `from` reads `to` instead, which must be made earlier and hold the same values.
   * False, and nothing done, where a graph output would lose its name.
   */
  replace(from: Tensor, to: Tensor): boolean {
    if (!this.canReplace(from, to)) return false;
    for (const n of [...this.readers(from)])
      n.inputs.forEach((t, i) => {
        if (t === from) this.setInput(n, i, to);
      });
    mergeNames(this.graph, from, to);
    return true;
  }

  /** Takes a node out; its outputs must not be read any more. */
  remove(n: Node): void {
    const i = this.graph.nodes.indexOf(n);
    if (i >= 0) this.graph.nodes.splice(i, 1);
    for (const t of n.inputs) if (t) this.#dropReader(t, n);
    for (const t of n.outputs) if (this.#made.get(t) === n) this.#made.delete(t);
  }

  /** Adds a node before `at` that makes `output`, or a new value. */
  insertBefore(
    at: Node,
    node: NewNode,
    output: Tensor | Pick<Tensor, "name" | "dtype" | "shape" | "quant">,
  ): Tensor {
    const t = "kind" in output ? output : this.value(output.name, output.dtype, output.shape, output.quant);
    const n: Node = {
      op: node.op,
      name: node.name ?? t.name,
      inputs: node.inputs,
      outputs: [t],
      attrs: node.attrs ?? {},
    };
    this.graph.nodes.splice(this.graph.nodes.indexOf(at), 0, n);
    this.#link(n);
    return t;
  }

  /** Puts `output` of another node out of `n`'s hands: `n` makes it from now on instead of its own. */
  takeOutput(n: Node, output: Tensor): void {
    const old = n.outputs[0];
    if (old && this.#made.get(old) === n) this.#made.delete(old);
    n.outputs[0] = output;
    this.#made.set(output, n);
  }

  /** A name no tensor of this graph has. */
  fresh(name: string): string {
    if (!this.#names) {
      this.#names = new Set();
      for (const t of this.graph.tensors()) {
        this.#names.add(t.name);
        for (const a of t.aliases ?? []) this.#names.add(a);
      }
    }
    let unique = name;
    for (let i = 1; this.#names.has(unique); i++) unique = `${name}.${i}`;
    this.#names.add(unique);
    return unique;
  }

  value(name: string, dtype: DType, shape: Shape, quant?: Quantization): Tensor {
    return value(this.fresh(name), dtype, shape, quant);
  }

  constant(name: string, dtype: DType, shape: readonly number[], data: Data, quant?: Quantization): Tensor {
    const t = constant(this.fresh(name), dtype, shape, data);
    if (quant) t.quant = quant;
    return t;
  }
}

/** `from` becomes another name of `to`; as a graph output its name moves to `to`. */
export function mergeNames(graph: Graph, from: Tensor, to: Tensor): void {
  const names = new Set([...(to.aliases ?? []), from.name, ...(from.aliases ?? [])]);
  if (graph.outputs.includes(from)) {
    names.add(to.name);
    to.name = from.name;
    graph.outputs = graph.outputs.map((t) => (t === from ? to : t));
  }
  names.delete(to.name);
  if (names.size) to.aliases = [...names];
}

/**
 * Attribute `shape` of a Reshape from `from` to `to`: −1 and 0 stand for symbolic dimensions.
 * Null where that cannot say it.
 */
export function reshapeAttr(from: Shape, to: Shape): number[] | null {
  let inferred = false;
  const out: number[] = [];
  for (let i = 0; i < to.length; i++) {
    const d = to[i] as Dim;
    if (d === 0) return null;
    if (typeof d === "number") out.push(d);
    else if (from[i] === d) out.push(0);
    else if (inferred) return null;
    else {
      inferred = true;
      out.push(-1);
    }
  }
  return out;
}

/** A boolean attribute: files may hold 0 and 1. */
export const flag = (n: Node, name: string, fallback: boolean): boolean => Boolean(n.attrs[name] ?? fallback);

/** Squeeze without axes: which axes go is known only when the sizes are. */
export const isOpenSqueeze = (n: Node): boolean =>
  n.op === "Squeeze" &&
  !n.inputs[1] &&
  !(n.attrs.axes as readonly number[] | undefined)?.length &&
  !dim.isConcrete(n.inputs[0]?.shape ?? []);

export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i]);

export function sameQuant(a: Quantization | undefined, b: Quantization | undefined): boolean {
  if (!a || !b) return a === b;
  const equal = (x: readonly number[], y: readonly number[]): boolean =>
    x.length === y.length && x.every((v, i) => v === y[i]);
  const perTensor = a.scale.length === 1 && a.zeroPoint.length === 1;
  return equal(a.scale, b.scale) && equal(a.zeroPoint, b.zeroPoint) && (perTensor || a.axis === b.axis);
}

/** Elements of a shape, with 64 for what is not known: for comparing costs. */
export const roughCount = (shape: Shape): number =>
  shape.reduce<number>((a, d) => a * (typeof d === "number" ? d : 64), 1);

export const concrete = (shape: Shape): readonly number[] | null => (dim.isConcrete(shape) ? shape : null);
