// Branches that are both computed, where data decide which is taken (ONNX's If, TFLite's IF).
import type { Node, Tensor } from "../graph/graph.js";

/**
 * Why these nodes must not run when their branch is not taken: gathers and scatters fail a run whose indices lie
 * outside, which a condition may be there to prevent. Nothing else fails on data.
 * @param known whether the elements of a tensor are
 */
export function failsOnData(nodes: readonly Node[], known: (t: Tensor) => boolean): string | undefined {
  const n = nodes.find(({ op, inputs: [, i] }) => /^(Gather|Scatter)/.test(op) && i && !known(i));
  return n && `a branch holds ${n.op} of computed indices, which may fail where it is not taken`;
}
