// One source node on its way into the graph: checked access to inputs and attributes, and the means to
// emit our nodes. Every attribute must be read by the translation, so nothing is ignored silently.
import { ModelError } from "../../error.js";
import type { Shape } from "../../graph/dim.js";
import type { DType } from "../../graph/dtype.js";
import { type Attrs, type Tensor, value } from "../../graph/graph.js";
import { type Builder, type EmitOptions, numbersOf } from "./builder.js";
import type { AttributeProto, GraphProto, NodeProto, TensorProto } from "./proto.js";

/** Something Minnow lacks: becomes a Problem of the ModelError that lists them all. */
export class Unsupported extends Error {
  readonly hint: string | undefined;
  constructor(reason: string, hint?: string) {
    super(reason);
    this.hint = hint;
  }
}

export interface SourceNode {
  readonly proto: NodeProto;
  /** Unique name. */
  readonly name: string;
}

const text = new TextDecoder();

/** ONNX operators that only move what they read, so that quantised numbers keep their parameters. */
const carriesQuant: ReadonlySet<string> = new Set(
  [
    "Identity",
    "Dropout",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Slice",
    "Split",
    "Gather",
    "Expand",
  ].concat([
    "Tile",
    "Concat",
    "MaxPool",
    "GlobalMaxPool",
    "SpaceToDepth",
    "DepthToSpace",
    "Resize",
    "Pad",
    "ArgMax",
    "ArgMin",
    "QLinearConv",
    "QLinearMatMul",
  ]),
);

export class Call {
  readonly op: string;
  readonly name: string;
  readonly #attributes: Map<string, AttributeProto>;
  readonly #read = new Set<string>();

  /**
   * @param opset version of the operator set in force
   * @param resolve the tensor of a source name
   * @param uses how often each source name is read
   * @param inline reads a branch's nodes into the graph; null for what cannot run
   */
  constructor(
    readonly builder: Builder,
    source: SourceNode,
    readonly opset: number,
    readonly resolve: (name: string) => Tensor,
    readonly uses: ReadonlyMap<string, number>,
    readonly inline: (branch: GraphProto) => (Tensor | null)[],
  ) {
    this.op = source.proto.opType ?? "";
    this.name = source.name;
    this.inputNames = source.proto.input;
    this.outputNames = source.proto.output;
    this.#attributes = new Map(source.proto.attribute.map((a) => [a.name ?? "", a]));
  }
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];

  unsupported(reason: string, hint?: string): never {
    throw new Unsupported(reason, hint);
  }

  bad(message: string): never {
    throw new ModelError("bad_graph", `${this.op} ${JSON.stringify(this.name)}: ${message}`, { op: this.op });
  }

  // Inputs

  has(i: number): boolean {
    return (this.inputNames[i] ?? "") !== "";
  }

  /** Input i as the source gives it; float16 constants and graph inputs stay so. */
  raw(i: number): Tensor {
    if (!this.has(i)) this.bad(`input ${i} is missing`);
    return this.resolve(this.inputNames[i] as string);
  }

  /** Input i in its compute type. */
  x(i: number): Tensor {
    return this.computed(this.raw(i));
  }

  /** A tensor of the source in its compute type. */
  computed(t: Tensor): Tensor {
    // `quant` gives stored numbers a real meaning, which ONNX's integer arithmetic does not know
    if (t.quant && !carriesQuant.has(this.op))
      this.unsupported("arithmetic on quantised numbers is not supported");
    return this.builder.compute(t);
  }

  opt(i: number): Tensor | null {
    return this.has(i) ? this.x(i) : null;
  }

  /** All inputs in their compute type. */
  all(): Tensor[] {
    return this.inputNames.map((_, i) => this.x(i));
  }

  /** Elements of input i where it is a constant; undefined where it is missing or computed. */
  numbers(i: number): number[] | undefined {
    if (!this.has(i)) return undefined;
    const t = this.raw(i);
    return t.kind === "constant" && t.data ? numbersOf(t) : undefined;
  }

  // What is known

  shape(t: Tensor): Shape {
    return this.builder.info(t).shape;
  }

  rank(t: Tensor): number {
    return this.shape(t).length;
  }

  /** An axis in 0…rank−1. */
  axis(axis: number, rank: number): number {
    const a = axis < 0 ? axis + rank : axis;
    if (!Number.isInteger(a) || a < 0 || a >= rank) this.bad(`axis ${axis} is outside rank ${rank}`);
    return a;
  }

  // Attributes

  #attribute(name: string, type: number): AttributeProto | undefined {
    this.#read.add(name);
    const a = this.#attributes.get(name);
    if (!a) return undefined;
    if (a.refAttrName) this.unsupported(`attribute ${name} refers to a function's attribute`);
    if (a.type !== undefined && a.type !== 0 && a.type !== type)
      this.bad(`attribute ${name} has type ${a.type}, not ${type}`);
    return a;
  }

  hasAttr(name: string): boolean {
    return this.#attributes.has(name);
  }

  /** Marks attributes that change nothing here as read. */
  ignore(...names: string[]): void {
    for (const n of names) this.#read.add(n);
  }

  int(name: string, otherwise?: number): number {
    const a = this.#attribute(name, 2);
    const v = a ? (a.i ?? 0) : otherwise;
    if (v === undefined) this.bad(`attribute ${name} is missing`);
    return v;
  }

  float(name: string, otherwise?: number): number {
    const a = this.#attribute(name, 1);
    const v = a ? (a.f ?? 0) : otherwise;
    if (v === undefined) this.bad(`attribute ${name} is missing`);
    return v;
  }

  ints(name: string): readonly number[] | undefined {
    return this.#attribute(name, 7)?.ints;
  }

  floats(name: string): readonly number[] | undefined {
    return this.#attribute(name, 6)?.floats;
  }

  str(name: string, otherwise: string): string {
    const a = this.#attribute(name, 3);
    return a ? (a.s ? text.decode(a.s) : "") : otherwise;
  }

  strs(name: string): readonly string[] | undefined {
    return this.#attribute(name, 8)?.strings.map((s) => text.decode(s));
  }

  tensor(name: string): TensorProto | undefined {
    return this.#attribute(name, 4)?.t;
  }

  /** The results of a branch, whose nodes become part of this graph. */
  branch(name: string): Tensor[] {
    const graph = this.#attribute(name, 5)?.g ?? this.bad(`attribute ${name} is missing`);
    return this.inline(graph).map((t) => t ?? this.unsupported(`its ${name} cannot run`));
  }

  /** Fails where an attribute was never looked at. */
  checkAttributes(): void {
    for (const [name, a] of this.#attributes) {
      if (this.#read.has(name) || name === "consumed_inputs") continue; // the latter: in-place hints of 2016
      if (a.g || a.graphs) this.unsupported("sub-graphs are not supported yet");
      this.unsupported(`attribute ${name} is not known in operator set ${this.opset}`);
    }
  }

  // Emitting

  /** Adds a node with one output. */
  emit(op: string, inputs: (Tensor | null)[], attrs: Attrs = {}, options: EmitOptions = {}): Tensor {
    return this.builder.emit(op, `${this.name}/${op}`, inputs, attrs, options);
  }

  /** Adds a node with several outputs. */
  emitMany(op: string, inputs: (Tensor | null)[], attrs: Attrs, dtypes: readonly DType[]): Tensor[] {
    const name = `${this.name}/${op}`;
    const outputs = dtypes.map((t) => value(name, t, [], this.builder.quantAfter(op, inputs)));
    this.builder.add(op, this.builder.nodeName(name), inputs, attrs, outputs);
    for (const t of outputs) t.name = this.builder.tensorName(name);
    return outputs;
  }

  /** A float32 scalar. */
  scalar(v: number): Tensor {
    return this.builder.constant(`${this.name}/${v}`, "float32", [], Float32Array.of(v));
  }

  int64(values: readonly number[]): Tensor {
    return this.builder.int64(values);
  }

  cast(t: Tensor, to: DType): Tensor {
    return t.dtype === to ? t : this.emit("Cast", [t], { to }, { dtype: to });
  }

  reshape(t: Tensor, shape: readonly number[]): Tensor {
    return this.emit("Reshape", [t], { shape });
  }

  squeeze(t: Tensor, axes: readonly number[]): Tensor {
    return this.emit("Squeeze", [t], { axes });
  }

  unsqueeze(t: Tensor, axes: readonly number[]): Tensor {
    return this.emit("Unsqueeze", [t], { axes });
  }

  /** Multiplies by a constant; 1 changes nothing. */
  scale(t: Tensor, by: number): Tensor {
    return by === 1 ? t : this.emit("Mul", [t, this.cast(this.scalar(by), t.dtype)]);
  }

  /**
   * Runs an operator of channels-last images on x[N,C,W] or x[N,C,H,W]: the layout is changed around it,
   * and a missing height of 1 is added.
   */
  image(x: Tensor, f: (nhwc: Tensor) => Tensor): Tensor {
    const rank = this.rank(x);
    if (rank !== 3 && rank !== 4)
      this.unsupported(`its input has ${rank - 2} spatial dimensions`, "one and two are supported");
    const four = rank === 3 ? this.unsqueeze(x, [2]) : x;
    const out = this.builder.toNchw(f(this.builder.toNhwc(four)));
    return rank === 3 ? this.squeeze(out, [2]) : out;
  }

  /** Output i is named, and something reads it. */
  wants(i: number): boolean {
    return this.uses.has(this.outputNames[i] || "\0");
  }

  /** Fails where an output beyond n is wanted that is not made here. */
  onlyOutputs(n: number, what: string): void {
    for (let i = n; i < this.outputNames.length; i++) if (this.wants(i)) this.unsupported(what);
  }

  /** The shape of a tensor, as a tensor. */
  shapeOf(t: Tensor): Tensor {
    return this.emit("Shape", [t], { to: "int64" }, { dtype: "int64" });
  }
}

/** Translates one node; gives the tensors of its outputs. */
export type Row = (c: Call) => Tensor | readonly Tensor[];
export type Table = Record<string, Row>;
