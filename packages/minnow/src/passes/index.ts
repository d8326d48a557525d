// The optimiser: every rewrite in an order in which each prepares the next, round after round until
// nothing changes. Fusion is not here: the compiler does it for each target.
import type { Graph } from "../graph/index.js";
import { annotate } from "../ops/infer.js";
import { affine, biases } from "./affine.js";
import { batchNorm } from "./batch_norm.js";
import { commonSubexpressions } from "./common_subexpressions.js";
import { deadNodes } from "./dead_nodes.js";
import { dilations } from "./dilations.js";
import { flattenWeights } from "./flatten_weights.js";
import { foldConstants } from "./fold_constants.js";
import { identities } from "./identities.js";
import { matmulDense } from "./matmul_dense.js";
import { pads } from "./pads.js";
import type { Pass } from "./pass.js";
import { powers } from "./powers.js";
import { quantizeOperators } from "./quantize_operators.js";
import { quantizePairs } from "./quantize_pairs.js";
import { reshapes } from "./reshapes.js";
import { transposes } from "./transposes.js";

export type { Pass } from "./pass.js";

/** In the order they run. */
export const passes: readonly Pass[] = [
  deadNodes,
  foldConstants,
  identities,
  commonSubexpressions,
  reshapes,
  batchNorm,
  transposes,
  quantizeOperators,
  quantizePairs,
  powers,
  matmulDense,
  flattenWeights,
  pads,
  dilations,
  affine,
  biases,
];

export interface OptimizeOptions {
  /** Weights will change: leave out rewrites that hold for inference only. */
  training?: boolean;
  /** Told after each pass that did something. */
  onPass?: (name: string, rewrites: number) => void;
}

const maxRounds = 12;

/**
 * Rewrites the graph in place until nothing changes.
 * @returns pass name → number of rewrites, of those that did something
 */
export function optimize(graph: Graph, options: OptimizeOptions = {}): Record<string, number> {
  const counts: Record<string, number> = {};
  annotate(graph);
  for (let round = 0; round < maxRounds; round++) {
    let changed = 0;
    for (const pass of passes) {
      if (pass.inferenceOnly && options.training) continue;
      const n = pass.run(graph);
      if (n === 0) continue;
      counts[pass.name] = (counts[pass.name] ?? 0) + n;
      changed += n;
      options.onPass?.(pass.name, n);
    }
    if (changed === 0) break;
    annotate(graph); // passes give new tensors their shapes; this finds what became known
  }
  deadNodes.run(graph);
  return counts;
}
