// Removes nodes that nobody reads:   y = f(x), y unused  ⇒  nothing.
// Nodes that write variables stay. Works from the end, so whole dead branches go in one pass.
import type { Graph, Tensor } from "../graph/index.js";
import type { Pass } from "./pass.js";

export const deadNodes: Pass = {
  name: "dead_nodes",
  run(e) {
    const { graph } = e;
    const live = new Set<Tensor>(graph.outputs);
    const before = graph.nodes.length;
    const kept = [...e.graph.nodes].reverse().filter((n) => {
      const needed = n.outputs.length === 0 || n.outputs.some((t) => live.has(t) || t.kind === "variable");
      if (!needed) return false;
      for (const t of n.inputs) if (t) live.add(t);
      for (const g of n.graphs ?? []) markCaptured(g, live);
      return true;
    });
    if (kept.length < before) e.setNodes(kept.reverse());
    return before - kept.length;
  },
};

function markCaptured(g: Graph, live: Set<Tensor>): void {
  for (const t of g.tensors()) live.add(t);
  for (const n of g.nodes) for (const inner of n.graphs ?? []) markCaptured(inner, live);
}
