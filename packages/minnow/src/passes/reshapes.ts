// Shortens chains of operators that only rename axes, and gives computed shapes as numbers:
//
//   reshape₂(reshape₁(x)) = reshape₂(x)         Reshape(x, s) = Reshape(x) {shape} where s is known
//
// for Reshape, Flatten, Squeeze and Unsqueeze. A symbolic size is written 0 (same axis of x) or −1.
import type { Node, Tensor } from "../graph/index.js";
import { type Editor, isOpenSqueeze, type Pass, reshapeAttr } from "./pass.js";

const renames = new Set(["Reshape", "Flatten", "Squeeze", "Unsqueeze"]);

export const reshapes: Pass = {
  name: "reshapes",
  run(e) {
    let rewrites = 0;
    for (const n of e.graph.nodes) if (renames.has(n.op) && !isOpenSqueeze(n) && simplify(e, n)) rewrites++;
    return rewrites;
  },
};

function simplify(e: Editor, n: Node): boolean {
  const y = n.outputs[0] as Tensor;
  let x = n.inputs[0] as Tensor;
  for (;;) {
    const before = e.producerOf(x, ...renames);
    const source = before?.inputs[0];
    if (!source || isOpenSqueeze(before) || source.dtype !== x.dtype || (source.quant?.scale.length ?? 1) > 1)
      break;
    x = source;
  }
  if (x === n.inputs[0] && (n.op !== "Reshape" || !n.inputs[1])) return false;
  const shape = reshapeAttr(x.shape, y.shape);
  if (!shape) return false;
  n.op = "Reshape";
  n.attrs = { shape };
  e.setInputs(n, [x]);
  return true;
}
