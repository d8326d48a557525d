// Brings back tensors that passes keep in another axis order only: a .minnow file whose convolutions are
// NHWC can still be asked for the NCHW tensors of its source.
//
//   t = transpose("t~0231", [0, 3, 1, 2])
import type { Graph } from "../graph/index.js";
import { value } from "../graph/graph.js";
import { inverse, permute, rankOf, sourceOfMoved } from "./perm.js";

/** Adds a Transpose for each named tensor that is not there under its own name but in another order. */
export function restoreTensors(graph: Graph, names: readonly string[]): void {
  const tensors = graph.tensors();
  const known = new Set(tensors.flatMap((t) => [t.name, ...(t.aliases ?? [])]));
  for (const name of names) {
    if (known.has(name)) continue;
    for (const t of tensors) {
      const moved = [t.name, ...(t.aliases ?? [])]
        .map((n) => sourceOfMoved(n, rankOf(t)))
        .find((s) => s?.name === name);
      if (!moved || (t.quant?.scale.length ?? 1) > 1) continue;
      const perm = inverse(moved.layout);
      const out = value(name, t.dtype, permute(t.shape, perm), t.quant);
      graph.nodes.push({ op: "Transpose", name, inputs: [t], outputs: [out], attrs: { perm } });
      graph.outputs.push(out);
      break;
    }
  }
}
