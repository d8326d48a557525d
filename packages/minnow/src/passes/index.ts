// The optimiser: every rewrite in an order in which each prepares the next, round after round until
// nothing changes. Fusion is not here: the compiler does it for each target.
import type { Graph } from "../graph/index.js";
import { annotate, type Known } from "../ops/infer.js";
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
import { Editor, type Pass } from "./pass.js";
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
  const editor = new Editor(graph);
  let known: Known | undefined = annotate(graph);
  let version = 0;
  const seen = new Map<Pass, number>(); // the version that each pass left
  for (let round = 0; round < maxRounds; round++) {
    const before = version;
    for (const pass of passes) {
      if (seen.get(pass) === version || (pass.inferenceOnly && options.training)) continue;
      const n = applies(pass, graph) ? pass.run(editor, known) : 0;
      if (n > 0) {
        version++;
        if (pass !== deadNodes) known = undefined; // what is left is known as before

        counts[pass.name] = (counts[pass.name] ?? 0) + n;
        options.onPass?.(pass.name, n);
      }
      seen.set(pass, n > 0 ? -1 : version); // what it did may give it more to do
    }
    if (version === before) break;
    known = annotate(graph); // passes give new tensors their shapes; this finds what became known
  }
  deadNodes.run(editor);
  return counts;
}

const applies = ({ ops }: Pass, graph: Graph): boolean => !ops || graph.nodes.some((n) => ops.includes(n.op));
