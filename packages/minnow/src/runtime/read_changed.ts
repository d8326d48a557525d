// A .minnow file's graph, with other outputs or shapes if they are asked for. With the planner (planner.ts) it is
// what a file without plans and code needs.
import { readMinnow } from "../formats/minnow/reader.js";
import type { Graph } from "../graph/graph.js";
import { known, learn } from "../ops/common.js";
import { fixShapes, type GraphChanges, selectOutputs } from "./specialize.js";

export async function readChanged(bytes: Uint8Array, changes: GraphChanges): Promise<Graph> {
  const graph = readMinnow(bytes);
  if (needsMore(graph)) learn((await import("../ops/rare.js")).rare);
  if (changes.outputs) selectOutputs(graph, changes.outputs);
  fixShapes(graph, changes);
  return graph;
}

const needsMore = (g: Graph): boolean => g.nodes.some((n) => !known.has(n.op) || n.graphs?.some(needsMore));
