// What load() and convert() change in a graph that was read: other outputs, fixed input shapes and values.
import { setData } from "../graph/deferred.js";
import { count, isConcrete, symbol } from "../graph/dim.js";
import { newArray } from "../graph/dtype.js";
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
  /** Input name → its elements, or one for all of them: the model has that input no more. */
  readonly values?: Readonly<Record<string, number | boolean | readonly number[]>>;
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

/** Makes inputs constants. */
function fixValues(graph: Graph, values: NonNullable<GraphChanges["values"]>): void {
  for (const [name, given] of Object.entries(values)) {
    const t = inputNamed(graph, name, "values");
    const { shape, dtype } = t;
    const list = [given].flat().map(Number);
    const n = isConcrete(shape) ? count(shape) : -1;
    const plain = !t.quant && dtype !== "string" && dtype !== "float16" && !graph.outputs.includes(t);
    const whole = dtype === "float32" || list.every(Number.isSafeInteger);
    if (!plain || !whole || n < 0 || (list.length !== n && list.length !== 1))
      throw new ModelError(
        "bad_option",
        `values: ${list.length} numbers do not fit input ${JSON.stringify(name)}, ${dtype} [${shape.join(", ")}]`,
        { tensor: t.name },
      );
    const data = newArray(dtype, n);
    for (let i = 0; i < n; i++) {
      const v = list[list.length === 1 ? 0 : i] as number;
      data[i] = (dtype === "int64" ? BigInt(v) : v) as never;
    }
    t.kind = "constant";
    setData(t, data);
    graph.inputs = graph.inputs.filter((x) => x !== t);
  }
}

function inputNamed(graph: Graph, name: string, option: string): Tensor {
  const t = graph.inputs.find((x) => x.name === name || x.aliases?.includes(name));
  if (t) return t;
  throw new ModelError("bad_option", `${option}: no input is named ${JSON.stringify(name)}`, {
    hint: suggestion(
      name,
      graph.inputs.map((x) => x.name),
    ),
  });
}

/**
 * Writes `shapes`, `dims` and `values` into the inputs and infers the rest anew.
 * @returns whether anything changed
 * @throws ModelError bad_option for names and sizes that do not fit
 */
export function fixShapes(graph: Graph, { shapes = {}, dims = {}, values = {} }: GraphChanges): boolean {
  for (const [name, shape] of Object.entries(shapes)) {
    const t = inputNamed(graph, name, "shapes");
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
  fixValues(graph, values);
  const changed = Object.keys({ ...shapes, ...values }).length + sizes.size > 0;
  if (changed) annotate(graph);
  return changed;
}

const isSize = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;
