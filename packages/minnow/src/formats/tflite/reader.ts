// Reads a TFLite file into a Graph. The file is a FlatBuffer of operators over numbered tensors; every
// operator becomes nodes by its row in operators.ts. All that cannot run is reported at once, and
// nothing in the file is believed before it is checked against the bytes.
import { ModelError, type Problem } from "../../error.js";
import { type Attrs, Graph, type Node, type Tensor } from "../../graph/graph.js";
import { annotate } from "../../ops/infer.js";
import { registry } from "../../ops/registry.js";
import { failsOnData } from "../branches.js";
import { FlatBuffer, type Table } from "../flatbuffer.js";
import { Buffers } from "./buffers.js";
import { readMetadata } from "./metadata.js";
import { Op } from "./op.js";
import { builtins, customs, hintFor } from "./operators.js";
import * as schema from "./schema.js";
import { Tensors, Unsupported } from "./tensors.js";

const maxOutputs = 4096;
/** A file that is all problems is cut short. */
const maxProblems = 2000;
const maxText = 400;
/** Branches within branches; a file that calls itself ends here. */
const maxDepth = 16;
/** Bytes of file that reading a branch must be worth: many operators may share one. */
const branchCost = 256;

/**
 * Reads a TFLite model.
 * @param bytes the whole file; constants are views of it where alignment allows
 * @param name the graph's name; default: the file's own
 * @throws ModelError bad_file, bad_graph, bad_shape; "unsupported" with every problem listed
 */
export function readTflite(bytes: Uint8Array, name?: string): Graph {
  const file = new FlatBuffer(bytes, "TFLite file");
  const model = file.root();
  const version = model.num(schema.model.version, "u32");
  if (version !== 3) throw new ModelError("unsupported", `TFLite schema version ${version}, only 3 is known`);
  const subgraphs = model.tables(schema.model.subgraphs);
  const main = subgraphs[0];
  if (!main) return file.fail("it has no sub-graph");
  return new Reader(model, main, subgraphs, file).read(name);
}

/** What the readers of a file's sub-graphs have in common. */
class Shared {
  readonly problems: Problem[] = [];
  readonly nodes: Node[] = [];
  /** Sub-graphs that are branches. */
  readonly branches = new Set<number>();
  /** Nodes that pick between the results of two branches, whose shapes must be equal. */
  readonly picks: Node[] = [];
}

class Reader {
  readonly #tensors: Tensors;
  readonly #problems: Problem[];
  readonly #nodes: Node[];
  /** Per tensor index: an input, a constant, or made by an operator that was already read. */
  readonly #ready: boolean[] = [];

  constructor(
    readonly model: Table,
    readonly main: Table,
    readonly subgraphs: readonly Table[],
    readonly file: FlatBuffer,
    readonly shared = new Shared(),
    outer?: Tensors,
    readonly depth = 0,
  ) {
    this.#problems = shared.problems;
    this.#nodes = shared.nodes;
    this.#tensors = new Tensors(main, outer?.buffers ?? new Buffers(file, model), outer?.names);
  }

  read(name: string | undefined): Graph {
    const graph = new Graph();
    graph.name = name ?? (this.main.string(schema.subgraph.name) || "main");
    const inputs = this.main.nums(schema.subgraph.inputs, "i32") ?? [];
    const fixed = this.#inputs(graph, inputs);
    this.#operators();
    graph.outputs = this.#outputs().filter((t) => t !== undefined);
    graph.nodes = this.#nodes;
    this.#report(graph);
    graph.meta = readMetadata(this.model, this.#tensors.buffers, {
      inputs: graph.inputs.map((t) => t.name),
      outputs: graph.outputs.map((t) => t.name),
      tensor: (i) => this.#tensors.name(i),
    });
    infer(graph, fixed);
    for (const n of this.shared.picks) this.#checkPick(n);
    if (this.#problems.length > 0) throw this.#problemsError();
    return graph;
  }

  #outputs(): (Tensor | undefined)[] {
    return (this.main.nums(schema.subgraph.outputs, "i32") ?? []).map((i) => {
      const t = this.#tensor(i, "OUTPUT");
      if (t && !this.#ready[i] && t.kind === "value") this.#fail(`output ${t.name} is made by no operator`);
      return t;
    });
  }

  /** Reads this sub-graph as part of another, for these inputs. */
  branch(inputs: readonly Tensor[]): (Tensor | undefined)[] {
    const own = this.main.nums(schema.subgraph.inputs, "i32") ?? [];
    if (own.length !== inputs.length)
      this.#fail(`a branch of ${own.length} inputs is given ${inputs.length}`);
    own.forEach((index, i) => {
      this.#tensors.bind(index, inputs[i] as Tensor);
      this.#ready[index] = true;
    });
    this.#operators();
    return this.#outputs();
  }

  /** IF computes both branches and picks, which is right where nothing in them fails; a constant decides. */
  #either(
    options: Table | undefined,
    inputs: readonly (Tensor | null)[],
    outs: Tensor[],
    place: string,
  ): void {
    const [condition, ...given] = inputs;
    const args = given.filter((t) => t !== null);
    if (!condition || args.length < given.length) this.#fail(`${place} lacks an input`);
    const read = (slot: number): (Tensor | undefined)[] => {
      const index = options?.num(slot, "i32") ?? -1;
      const sub = this.subgraphs[index] ?? this.#fail(`${place} has no branch ${index}`);
      if (this.depth >= maxDepth) this.#fail("its branches are nested too deep");
      this.file.spend(branchCost);
      this.shared.branches.add(index);
      const { model, subgraphs, file, shared, depth } = this;
      const results = new Reader(model, sub, subgraphs, file, shared, this.#tensors, depth + 1).branch(args);
      if (results.length !== outs.length) this.#fail(`a branch of ${place} gives ${results.length} outputs`);
      return results;
    };
    const start = this.#nodes.length;
    const [a, b] = [read(0), read(1)];
    const known = condition.kind === "constant" ? condition.data : undefined;
    const why = !known && failsOnData(this.#nodes.slice(start), (t) => t.kind === "constant");
    if (why) throw new Unsupported(why);
    const node = (op: string, inputs: Tensor[], out: Tensor, attrs: Attrs = {}): Node => {
      this.file.spend(branchCost);
      const n: Node = { op, name: `IF:${out.name}`, inputs, outputs: [out], attrs };
      this.#nodes.push(n);
      return n;
    };
    const scalar: Tensor = {
      ...condition,
      name: this.#tensors.nameFor(condition.name, "scalar"),
      shape: [],
      kind: "value",
    };
    if (!known) node("Reshape", [condition], scalar, { shape: [] });
    outs.forEach((out, i) => {
      const [x, y] = [a[i], b[i]];
      if (!x || !y) return; // the problem is noted
      if (known) node("Identity", [known[0] ? x : y], out);
      else this.shared.picks.push(node("Where", [scalar, x, y], out));
    });
  }

  #checkPick({ name, inputs: [, a, b] }: Node): void {
    if (String(a?.shape) !== String(b?.shape))
      this.#note("IF", name, new Unsupported(`its branches give [${a?.shape}] and [${b?.shape}]`));
  }

  #fail(message: string): never {
    throw new ModelError("bad_graph", `${this.file.what}: ${message}`);
  }

  /** A tensor, or undefined with the problem noted. */
  #tensor(index: number, user: string): Tensor | undefined {
    try {
      return this.#tensors.get(index);
    } catch (e) {
      this.#note(user, this.#tensors.name(index), e);
      return undefined;
    }
  }

  #note(op: string, node: string, e: unknown): void {
    if (!(e instanceof Unsupported)) throw e;
    const hint = e.hint ?? hintFor(op);
    const reason = e.reason.slice(0, maxText);
    this.#problems.push({ op, node: node.slice(0, maxText), reason, ...(hint && { hint }) });
    if (this.#problems.length >= maxProblems) throw this.#problemsError();
  }

  /** Returns the shapes that the file holds for inputs with open dimensions. */
  #inputs(graph: Graph, indices: readonly number[]): Map<Tensor, readonly number[]> {
    const fixed = new Map<Tensor, readonly number[]>();
    const tensors = indices.map((i) => this.#tensor(i, "INPUT"));
    const batches = tensors.filter((t) => t?.shape[0] === "?").length;
    const seen = new Set<Tensor>();
    tensors.forEach((t, i) => {
      const index = indices[i] as number;
      this.#ready[index] = true;
      if (!t) return;
      if (seen.has(t)) this.#fail(`input ${t.name} comes twice`);
      if (t.kind === "constant") return; // some converters list them; nobody can give them a value
      if (t.kind === "variable") return this.#note("INPUT", t.name, new Unsupported(`${t.name} is state`));
      seen.add(t);
      fixed.set(t, this.#tensors.openInput(index, batches === 1));
      graph.inputs.push(t);
    });
    return fixed;
  }

  #operators(): void {
    const codes = this.model.tables(schema.model.operatorCodes).map(operatorName);
    for (const t of this.main.tables(schema.subgraph.operators)) {
      const index = t.num(schema.operator.opcodeIndex, "u32");
      const code = codes[index] ?? this.file.fail(`an operator has code ${index} of ${codes.length}`);
      this.#operator(t, code);
    }
  }

  #operator(t: Table, code: OperatorName): void {
    const ins = t.nums(schema.operator.inputs, "i32") ?? [];
    const outs = t.nums(schema.operator.outputs, "i32") ?? [];
    if (outs.length > maxOutputs) this.file.fail(`${code.name} has ${outs.length} outputs`);
    const node = outs.map((i) => this.#tensors.name(i)).join(", ");
    const place = `${code.name} ${JSON.stringify(node)}`;
    try {
      // Before anything else, so that what follows an operator that cannot run is still checked.
      const fresh = outs.filter((i) => !this.#ready[i]);
      if (fresh.length !== outs.length || new Set(outs).size !== outs.length)
        this.#fail(`${place} writes a tensor that has a value already`);
      for (const i of outs) this.#ready[i] = true;
      const row = code.custom ? customs.get(code.name) : builtins.get(code.name);
      if (!row && code.name !== "DENSIFY" && code.name !== "IF")
        throw new Unsupported("the operator is not supported");
      const own = /_SEQUENCE_/.test(code.name);
      const inputs = ins.map((i) =>
        i === -1 || (own && this.#state(i)) ? null : this.#value(i, place, outs),
      );
      if (code.name === "DENSIFY") return this.#densify(inputs, outs, place);
      const outputs = outs.map((i) => this.#output(i, place));
      const options = t.num(schema.operator.optionsType, "u8") ? t.table(schema.operator.options) : undefined;
      if (code.name === "IF") return this.#either(options, inputs, outputs, place);
      this.#checkTypes([...inputs, ...outputs]);
      row?.(new Op(code.name, inputs, outputs, options, this.#customOptions(t), this.#tensors, this.#nodes));
    } catch (e) {
      this.#note(code.name, node, e);
    }
  }

  /** State of a recurrent layer alone, which each run begins with zeros. */
  #state(index: number): boolean {
    const first = this.#tensors.get(index).kind === "variable" && !this.#ready[index];
    if (first) this.#ready[index] = true;
    return first;
  }

  /** An operand: it must be there before the operator runs. */
  #value(index: number, place: string, outs: readonly number[]): Tensor {
    const t = this.#tensors.get(index);
    if (t.kind === "variable") throw new Unsupported(`${t.name} is state that lasts from run to run`);
    if (t.kind !== "constant" && (!this.#ready[index] || outs.includes(index)))
      this.#fail(`${place} reads ${t.name} before any operator makes it`);
    return t;
  }

  #output(index: number, place: string): Tensor {
    const t = this.#tensors.get(index);
    if (t.kind !== "value") this.#fail(`${place} writes ${t.name}, a ${t.kind}`);
    return t;
  }

  /** Sparse constants are made dense when read: their DENSIFY is the same tensor. */
  #densify(inputs: readonly (Tensor | null)[], outs: readonly number[], place: string): void {
    const x = inputs[0];
    const [out] = outs;
    if (!x || out === undefined || x.kind !== "constant") this.#fail(`${place} has no constant input`);
    this.#tensors.alias(out, x);
  }

  #checkTypes(tensors: readonly (Tensor | null)[]): void {
    for (const t of tensors)
      if (t?.dtype === "int16" && t.quant)
        throw new Unsupported(
          `${t.name} is int16: quantisation to 16-bit activations (int16x8) is not supported`,
          "convert with int8 activations",
        );
      else if (t && t.dtype === "int4" && t.kind === "value") throw new Unsupported(`${t.name} is int4`);
  }

  #customOptions(t: Table): Uint8Array {
    const offset = t.num(schema.operator.largeCustomOptionsOffset, "u64");
    if (offset <= 1) return t.bytes(schema.operator.customOptions) ?? new Uint8Array();
    const size = t.num(schema.operator.largeCustomOptionsSize, "u64");
    this.file.range(offset, size);
    return this.file.bytes.subarray(offset, offset + size);
  }

  #report(graph: Graph): void {
    for (const n of graph.nodes)
      if (!registry.has(n.op))
        this.#note(n.op, n.outputs[0]?.name ?? "", new Unsupported("the operator is not known"));
    const loose = this.subgraphs.length - 1 - this.shared.branches.size;
    if (loose > 0 && this.#problems.length === 0)
      this.#problems.push({
        op: "SUBGRAPHS",
        node: graph.name,
        reason: `the file holds ${this.subgraphs.length} sub-graphs`,
        hint: "convert one function (signature) to a file of its own",
      });
    if (this.#problems.length > 0) throw this.#problemsError();
  }

  #problemsError(): ModelError {
    const ops = [...new Set(this.#problems.map((p) => `${p.op} (${p.reason})`))];
    const shown = ops.slice(0, 5).join("; ") + (ops.length > 5 ? `; and ${ops.length - 5} more` : "");
    return new ModelError(
      "unsupported",
      `${this.#problems.length} of the model's parts cannot run: ${shown}`,
      {
        op: this.#problems[0]?.op,
        hint: this.#problems.find((p) => p.hint)?.hint,
        problems: this.#problems,
      },
    );
  }
}

interface OperatorName {
  name: string;
  custom: boolean;
}

function operatorName(t: Table): OperatorName {
  const code = Math.max(
    t.num(schema.operatorCode.builtinCode, "i32"),
    t.num(schema.operatorCode.deprecatedBuiltinCode, "i8"),
  );
  const name = schema.builtinNames[code] ?? `STABLEHLO_${code}`;
  return name === "CUSTOM"
    ? { name: (t.string(schema.operatorCode.customCode) ?? "").slice(0, maxText), custom: true }
    : { name, custom: false };
}

/**
 * Infers shapes and types. Where the graph only holds for the shapes in the file (a batch of one written
 * into its reshapes), open dimensions are closed to these. Shapes that the file declares for values are not
 * compared: TFLite computes them again too, and files exist where they are stale.
 */
function infer(graph: Graph, fixed: ReadonlyMap<Tensor, readonly number[]>): void {
  const declared = new Map(graph.nodes.flatMap((n) => n.outputs).map((t) => [t, t.dtype]));
  const open = graph.inputs.some((t) => t.shape.some((d) => typeof d === "string"));
  try {
    annotate(graph);
  } catch (e) {
    if (!open || !(e instanceof ModelError)) throw e;
    for (const t of graph.inputs) t.shape = fixed.get(t) ?? t.shape;
    annotate(graph);
  }
  for (const [t, dtype] of declared)
    if (t.dtype !== dtype)
      throw new ModelError(
        "bad_graph",
        `TFLite file: tensor ${t.name} is ${dtype}, its operator gives ${t.dtype}`,
        {
          tensor: t.name,
        },
      );
}
