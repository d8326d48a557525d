// ONNX file → Graph. Reads the protobuf, sorts the nodes, translates each by its row of the table in
// operators/, and reports everything that is not supported at once.
import "../../ops/registry.js"; // inference here meets every operator
import { ModelError, type Problem } from "../../error.js";
import { type Dim, symbol } from "../../graph/dim.js";
import type { Attrs, Graph, Node, Tensor } from "../../graph/graph.js";
import { Builder } from "./builder.js";
import { Call, type Row, type SourceNode, Unsupported } from "./call.js";
import { labelledOutput, labelsOf } from "./labels.js";
import { tables } from "./operators/index.js";
import {
  decodeModel,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type ValueInfoProto,
} from "./proto.js";
import { sortNodes } from "./sort.js";
import { constantFrom, readTensor } from "./tensor.js";
import { boundaryType, computeType, typeName } from "./types.js";

/** The newest operator set whose meaning is known: ONNX 1.23's. */
export const newestOpset = 28;

/**
 * Reads a .onnx file. Constants may be views of `bytes`.
 * @param name of the graph in messages; default: the file's
 * @param fix told the inputs before the nodes are read, where sizes decide how: branches, volumes
 * @throws ModelError "bad_file", "bad_graph", "bad_shape", or "unsupported" with every `problems`
 */
export function readOnnx(bytes: Uint8Array, name?: string, fix?: (inputs: Graph) => void): Graph {
  const model = decodeModel(bytes);
  if (!model.graph) throw new ModelError("bad_file", "not a readable ONNX file: it holds no graph");
  const reader = new Reader(model, model.graph);
  const graph = reader.read(fix);
  graph.name = name ?? model.graph.name ?? "main";
  return graph;
}

class Reader {
  readonly builder: Builder;
  readonly opset: number;
  /** Source name → tensor; null where it could not be made. */
  readonly tensors = new Map<string, Tensor | null>();
  readonly problems: Problem[] = [];
  /** How often each name is read; outputs that nobody reads need not be made. */
  readonly uses = new Map<string, number>();
  /** Inside a branch, whose names others may have too. */
  #nested = false;

  constructor(
    readonly model: ModelProto,
    readonly proto: GraphProto,
  ) {
    this.opset = model.opsetImport.find((o) => isDefault(o.domain))?.version ?? 1;
    const names = new Set<string>();
    for (const t of [...proto.initializer, ...proto.input]) names.add(t.name ?? "");
    for (const n of proto.node) for (const t of n.output) names.add(t);
    this.builder = new Builder(names);
    this.countUses(proto);
  }

  countUses({ node, output }: GraphProto): void {
    const read = [...node.flatMap((n) => n.input), ...output.map((v) => v.name ?? "")];
    for (const t of read) this.uses.set(t, (this.uses.get(t) ?? 0) + 1);
    for (const n of node) for (const { g } of n.attribute) if (g) this.countUses(g);
  }

  read(fix?: (inputs: Graph) => void): Graph {
    if (this.opset > newestOpset)
      this.problem(
        "",
        "model",
        `operator set ${this.opset} is newer than ${newestOpset}`,
        "export it with an older opset",
      );
    this.readInitializers(this.proto);
    for (const v of this.proto.input) if (!this.tensors.has(v.name ?? "")) this.readInput(v);
    const { graph } = this.builder;
    const bySize =
      graph.inputs.some((t) => t.shape.length === 5) || this.proto.node.some((n) => n.opType === "If");
    if (bySize) fix?.(graph);
    this.builder.symbolic = graph.inputs.some((t) => t.shape.some((d) => typeof d === "string"));
    this.readNodes(this.proto.node);
    for (const v of this.proto.output) this.readOutput(v);
    if (this.problems.length > 0) throw unsupported(this.problems);
    this.readMetadata();
    return graph;
  }

  readNodes(protos: readonly NodeProto[]): void {
    const nodes = protos.map((proto, i): SourceNode => {
      const name = this.builder.nodeName(proto.name || `${proto.opType ?? "node"}_${i}`);
      return { proto, name };
    });
    for (const n of sortNodes(nodes, this.tensors)) this.readNode(n);
  }

  /** A branch's nodes as part of the graph; its names are forgotten again, for other branches may have them. */
  readBranch(branch: GraphProto): (Tensor | null)[] {
    const names = [...branch.initializer.map((t) => t.name ?? ""), ...branch.node.flatMap((n) => n.output)];
    const outer = this.#nested;
    this.#nested = true;
    try {
      this.readInitializers(branch);
      this.readNodes(branch.node);
      return branch.output.map(({ name = "" }) => this.made(name));
    } finally {
      this.#nested = outer;
      for (const t of names) this.tensors.delete(t);
    }
  }

  /** The tensor of an output; null where it could not be made. */
  made(name: string): Tensor | null {
    const t = this.tensors.get(name);
    if (t === undefined)
      throw new ModelError("bad_graph", `graph output ${JSON.stringify(name)} is never made`, {
        tensor: name,
      });
    return t;
  }

  /** Source names are tensors' names, those of branches unless they are taken. */
  nameOf(source: string): string {
    return this.#nested ? this.builder.tensorName(source) : source;
  }

  problem(op: string, node: string, reason: string, hint?: string): void {
    this.problems.push({ op, node, reason, ...(hint && { hint }) });
  }

  readInitializers({ initializer, sparseInitializer }: GraphProto): void {
    if (sparseInitializer) this.problem("", "model", "sparse initialisers are not supported");
    for (const t of initializer) {
      const name = t.name ?? "";
      if (this.tensors.has(name))
        throw new ModelError("bad_graph", `tensor ${JSON.stringify(name)} is defined twice`, {
          tensor: name,
        });
      try {
        this.tensors.set(name, constantFrom(this.nameOf(name), readTensor(t)));
      } catch (e) {
        if (!(e instanceof ModelError) || e.code !== "unsupported") throw e;
        this.problem("", name, e.message);
        this.tensors.set(name, null);
      }
    }
  }

  readInput(v: ValueInfoProto): void {
    const name = v.name ?? "";
    const type = v.type?.tensorType;
    const dtype = boundaryType(type?.elemType);
    if (!type || !dtype || !type.shape) {
      const reason = !type
        ? kindOf(v)
        : !dtype
          ? `has type ${typeName(type.elemType)}`
          : "has no shape: not even its rank is known";
      this.problem("", name, `graph input ${JSON.stringify(name)} ${reason}`);
      this.tensors.set(name, null);
      return;
    }
    const shape = type.shape.dim.map(({ dimValue, dimParam }, i): Dim => {
      if (/\w/.test(dimParam ?? "")) return symbol(dimParam as string); // "?" is no name: sizes may differ
      return dimValue !== undefined && dimValue >= 0 ? dimValue : symbol(`${name}_${i}`);
    });
    const t: Tensor = { name, dtype, shape, kind: "input" };
    this.tensors.set(name, t);
    this.builder.graph.inputs.push(t);
  }

  readNode(source: SourceNode): void {
    const { proto, name } = source;
    const op = proto.opType ?? "";
    const table = Object.hasOwn(tables, proto.domain ?? "") ? tables[proto.domain ?? ""] : undefined;
    const row = table && Object.hasOwn(table, op) ? table[op] : undefined;
    const readable = proto.input.every((t) => t === "" || this.tensors.get(t));
    try {
      if (!row) throw new Unsupported(...this.missing(source));
      if (readable) {
        this.translate(source, row);
        return;
      }
    } catch (e) {
      if (e instanceof Unsupported) this.problem(op, name, e.message, e.hint);
      else if (e instanceof ModelError && e.code === "unsupported")
        this.problem(op, name, e.message); // names its hint
      else throw e;
    }
    for (const t of proto.output) if (t) this.tensors.set(t, null);
  }

  missing({ proto }: SourceNode): [reason: string, hint: string] {
    const op = proto.opType ?? "";
    if (this.model.functions.some((f) => f.name === op && (f.domain ?? "") === (proto.domain ?? "")))
      return [
        "functions inside the model are not supported yet",
        "inline them: onnx.inliner.inline_local_functions(model)",
      ];
    if (!isDefault(proto.domain))
      return [
        `the operator of domain ${proto.domain} is not supported`,
        "export the model with standard ONNX operators only",
      ];
    if (op === "Loop" || op === "Scan")
      return [
        "loops are not supported",
        "simplify the model with fixed shapes (onnxsim) where it only serves shapes",
      ];
    return [
      "the operator is not supported",
      "replace it by other operators, or run this part outside the model",
    ];
  }

  /** Runs the row, and gives its results the source's names. */
  translate(source: SourceNode, row: Row): void {
    const nodes = this.builder.graph.nodes;
    const start = nodes.length;
    const call = new Call(
      this.builder,
      source,
      this.opset,
      (t) => this.tensors.get(t) as Tensor,
      this.uses,
      (branch) => this.readBranch(branch),
    );
    const results = [row(call)].flat();
    call.checkAttributes();
    const mine = new Set(nodes.slice(start).flatMap((n) => n.outputs));
    source.proto.output.forEach((name, i) => {
      if (name === "") return;
      let t = results[i];
      if (!t) {
        if (this.uses.has(name)) call.unsupported(`its output ${i} is not supported`);
        return;
      }
      if (!mine.delete(t) && call.op !== "Constant") t = call.emit("Identity", [t]);
      t.name = this.nameOf(name);
      this.tensors.set(name, t);
    });
    if (call.op !== "If") nameMain(nodes.slice(start), source.name);
  }

  readOutput(v: ValueInfoProto): void {
    const name = v.name ?? "";
    let t = this.made(name);
    if (!t) return;
    const code = v.type?.tensorType?.elemType;
    const dtype = code ? boundaryType(code) : t.dtype;
    if (!dtype || (v.type && !v.type.tensorType && code === undefined && kindOf(v))) {
      const reason = v.type?.tensorType ? `has type ${typeName(code)}` : kindOf(v);
      this.problem("", name, `graph output ${JSON.stringify(name)} ${reason}`);
      return;
    }
    if (dtype === "float16" && t.dtype === computeType(code))
      t = this.castOutput("Cast", t, name, { to: "float16" });
    else if (t.kind === "constant") t = this.castOutput("Identity", t, name, {});
    this.builder.graph.outputs.push(t);
  }

  /** A float16 output is cast back, a constant copied; the tensor behind it gives its name away. */
  castOutput(op: string, t: Tensor, name: string, attrs: Attrs): Tensor {
    t.name = this.builder.tensorName(`${name}/${t.dtype}`);
    const out = this.builder.emit(op, name, [t], attrs);
    out.name = name;
    return out;
  }

  readMetadata(): void {
    const { graph } = this.builder;
    const { producerName, producerVersion, docString, metadataProps } = this.model;
    const description = docString || this.proto.docString;
    graph.meta = {
      format: "onnx",
      layout: "NCHW",
      ...(producerName && {
        producer: producerVersion ? `${producerName} ${producerVersion}` : producerName,
      }),
      ...(description && { description }),
    };
    const labels = labelsOf(metadataProps);
    const output = labels && labelledOutput(graph.outputs, labels.length);
    if (output) graph.meta.labels = Object.assign(Object.create(null), { [output]: labels });
  }
}

const isDefault = (domain: string | undefined): boolean => !domain || domain === "ai.onnx";

const kindOf = ({ type }: ValueInfoProto): string =>
  type?.sequenceType
    ? "is a sequence"
    : type?.mapType
      ? "is a map"
      : type?.optionalType
        ? "is optional"
        : type?.sparseTensorType
          ? "is a sparse tensor"
          : "has no type";

/** Of the nodes one source node became, the one that computes carries its name. */
function nameMain(nodes: readonly Node[], name: string): void {
  const moves = new Set(["Transpose", "Reshape", "Squeeze", "Unsqueeze", "Cast", "Identity"]);
  const main = nodes.findLast((n) => !moves.has(n.op)) ?? nodes.at(-1);
  if (main) main.name = name;
}

function unsupported(problems: readonly Problem[]): ModelError {
  const shown = problems
    .slice(0, 8)
    .map((p) => `${p.op ? `${p.op} ` : ""}${JSON.stringify(p.node)}: ${p.reason}`);
  const more = problems.length > shown.length ? `; and ${problems.length - shown.length} more` : "";
  const first = problems[0] as Problem;
  return new ModelError("unsupported", `the model cannot run: ${shown.join("; ")}${more}`, {
    problems,
    ...(first.op && { op: first.op }),
    ...(first.hint && { hint: first.hint }),
  });
}
