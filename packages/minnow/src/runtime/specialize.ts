// What load() and convert() change in a graph that was read: other outputs, fixed input shapes.
import { symbol } from "../graph/dim.js";
import type { Graph, Node, Tensor } from "../graph/graph.js";
import { ModelError } from "../error.js";
import { annotate } from "../ops/infer.js";
import { suggestion } from "./names.js";

export interface GraphChanges {
  /** Tensors to give instead of the model's outputs, by name. */
  readonly outputs?: readonly string[];
  /** Input name → shape: overrides the declared one. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /** Symbolic dimension → size. */
  readonly dims?: Readonly<Record<string, number>>;
}

/**
 * Makes the named tensors the graph's outputs and drops the nodes that none of them needs.
 * @throws ModelError bad_option when there is no such tensor
 */
export function selectOutputs(graph: Graph, names: readonly string[]): void {
  if (names.length === 0) throw new ModelError("bad_option", "outputs: the list is empty");
  const byName = new Map<string, Tensor>();
  const tensors = graph.tensors();
  for (const t of tensors) for (const a of t.aliases ?? []) byName.set(a, t);
  for (const t of tensors) byName.set(t.name, t);
  graph.outputs = names.map((name) => {
    const t = byName.get(name);
    if (!t)
      throw new ModelError("bad_option", `outputs: the model has no tensor ${JSON.stringify(name)}`, {
        hint: suggestion(name, [...byName.keys()]),
      });
    return t;
  });
  const needed = new Set<Tensor>(graph.outputs);
  const kept: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((t) => needed.has(t))) continue;
    kept.push(node);
    for (const t of node.inputs) if (t) needed.add(t);
    for (const g of node.graphs ?? []) for (const t of g.tensors()) needed.add(t);
  }
  graph.nodes = kept.reverse();
}

/**
 * Writes `shapes` and `dims` into the inputs and infers the rest anew.
 * @returns whether anything changed
 * @throws ModelError bad_option for names and sizes that do not fit
 */
export function fixShapes(graph: Graph, { shapes = {}, dims = {} }: GraphChanges): boolean {
  const names = graph.inputs.map((t) => t.name);
  for (const [name, shape] of Object.entries(shapes)) {
    const t = graph.inputs.find((x) => x.name === name || x.aliases?.includes(name));
    if (!t)
      throw new ModelError("bad_option", `shapes: no input is named ${JSON.stringify(name)}`, {
        hint: suggestion(name, names),
      });
    if (shape.length !== t.shape.length || !shape.every(isSize))
      throw new ModelError(
        "bad_option",
        `shapes: [${shape}] does not fit input ${JSON.stringify(name)} [${t.shape.join(", ")}]`,
        {
          tensor: t.name,
        },
      );
    t.shape = [...shape];
  }
  const symbols = new Set(graph.inputs.flatMap((t) => t.shape.filter((d) => typeof d === "string")));
  const sizes = new Map<string, number>();
  for (const [name, size] of Object.entries(dims)) {
    const key = symbols.has(name) ? name : String(symbol(name));
    if (!symbols.has(key))
      throw new ModelError("bad_option", `dims: no input has a free dimension ${JSON.stringify(name)}`, {
        hint: suggestion(name, [...symbols]),
      });
    if (!isSize(size)) throw new ModelError("bad_option", `dims: ${name} is ${size}, not a size`);
    sizes.set(key, size);
  }
  for (const t of graph.inputs)
    t.shape = t.shape.map((d) => (typeof d === "string" ? (sizes.get(d) ?? d) : d));
  const changed = Object.keys(shapes).length + sizes.size > 0;
  if (changed) annotate(graph);
  return changed;
}

const isSize = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;
