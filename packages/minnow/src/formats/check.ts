// What every reader must have made sure of before a Graph leaves it: names are unique, a tensor gets its
// value once and before it is read, and graphs inside nodes see what lies around them.
import { ModelError } from "../error.js";
import type { Graph, Tensor } from "../graph/graph.js";

/** @throws ModelError bad_graph; `what` names the source in the message */
export function checkGraph(graph: Graph, what: string, outer: (t: Tensor) => boolean = () => false): void {
  const fail = (why: string): never => {
    throw new ModelError("bad_graph", `${what}: ${why}`);
  };
  const names = new Set<string>();
  const named = new Set<Tensor>();
  const own = new Set<Tensor>();
  const has = (t: Tensor) => t.kind === "constant" || t.kind === "variable" || own.has(t) || outer(t);
  const name = (t: Tensor) => {
    if (named.has(t) || outer(t)) return;
    if (names.has(t.name)) fail(`two tensors are named ${JSON.stringify(t.name)}`);
    named.add(t);
    names.add(t.name);
  };
  for (const t of graph.inputs) {
    if (t.kind !== "input" || own.has(t))
      fail(`input ${JSON.stringify(t.name)} comes twice or is a ${t.kind}`);
    own.add(t);
    name(t);
  }
  for (const n of graph.nodes) {
    for (const t of n.inputs) {
      if (!t) continue;
      if (!has(t)) fail(`${n.op} ${JSON.stringify(n.name)} reads ${t.name} before any node makes it`);
      name(t);
    }
    for (const g of n.graphs ?? []) checkGraph(g, what, (t) => own.has(t) || outer(t));
    for (const t of n.outputs) {
      if (t.kind !== "value" || own.has(t) || outer(t))
        fail(`${n.op} ${JSON.stringify(n.name)} writes ${t.name}, which has a value`);
      own.add(t);
      name(t);
    }
  }
  for (const t of graph.outputs) {
    if (!has(t)) fail(`output ${t.name} is made by no node`);
    name(t);
  }
}
