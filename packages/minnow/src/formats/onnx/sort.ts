// Source nodes in an order that can run. ONNX asks for sorted nodes, but files are met that are not.
import { ModelError } from "../../error.js";
import type { SourceNode } from "./call.js";
import type { NodeProto } from "./proto.js";

/** Names that a set or map holds. */
type Names = { has(name: string): boolean };

/** What a node reads: its inputs, and what its branches read of the graphs around them. */
export function readsOf(n: NodeProto): Set<string> {
  const reads = new Set(n.input);
  for (const { g } of n.attribute) {
    if (!g) continue;
    const own = new Set([...g.initializer, ...g.input].map((t) => t.name ?? ""));
    for (const m of g.node) for (const t of m.output) own.add(t);
    const take = (name: string): unknown => own.has(name) || reads.add(name);
    for (const m of g.node) readsOf(m).forEach(take);
    for (const v of g.output) take(v.name ?? "");
  }
  return reads;
}

/**
 * Nodes, each after those that make its inputs; a sorted list comes back as it was.
 * @param given names of graph inputs and initialisers, and of all that lies around a branch
 * @throws ModelError "bad_graph" for cycles and for tensors defined twice or never
 */
export function sortNodes(nodes: readonly SourceNode[], given: Names): SourceNode[] {
  const makers = producers(nodes, given);
  const waiting = nodes.map(() => 0);
  const readers: number[][] = nodes.map(() => []);
  let sorted = true;
  nodes.forEach(({ proto, name }, i) => {
    for (const t of readsOf(proto)) {
      if (t === "" || given.has(t)) continue;
      const maker = makers.get(t);
      if (maker === undefined)
        throw new ModelError(
          "bad_graph",
          `${proto.opType} ${JSON.stringify(name)} reads ${JSON.stringify(t)}, which nothing defines`,
          {
            op: proto.opType ?? "",
            tensor: t,
          },
        );
      if (maker >= i) sorted = false;
      waiting[i] = (waiting[i] as number) + 1;
      (readers[maker] as number[]).push(i);
    }
  });
  if (sorted) return [...nodes];
  const order = [...nodes.keys()].filter((i) => waiting[i] === 0);
  for (let k = 0; k < order.length; k++)
    for (const r of readers[order[k] as number] as number[]) {
      waiting[r] = (waiting[r] as number) - 1;
      if (waiting[r] === 0) order.push(r);
    }
  if (order.length < nodes.length) {
    const stuck = nodes[waiting.findIndex((n) => n > 0)] as SourceNode;
    throw new ModelError(
      "bad_graph",
      `${stuck.proto.opType} ${JSON.stringify(stuck.name)} is part of a cycle`,
      {
        op: stuck.proto.opType ?? "",
      },
    );
  }
  return order.map((i) => nodes[i] as SourceNode);
}

function producers(nodes: readonly SourceNode[], given: Names): Map<string, number> {
  const makers = new Map<string, number>();
  nodes.forEach(({ proto }, i) => {
    for (const t of proto.output) {
      if (t === "") continue;
      if (makers.has(t) || given.has(t))
        throw new ModelError("bad_graph", `tensor ${JSON.stringify(t)} is defined twice`, { tensor: t });
      makers.set(t, i);
    }
  });
  return makers;
}
