// Removes operators that change nothing:
//
//   Identity(x), Reshape to the same shape, Transpose [0, 1, …], Cast to the same type, x + 0, x − 0,
//   x · 1, x / 1, x ^ 1, Pad by nothing, Slice of everything, Concat and Split of one,
//   Clip(−∞, ∞), Expand and Tile to the same shape, Where(true, x, y)            ⇒  x
//
// (−0 + 0 is +0; that sign of zero is the one thing that may change.)
import type { Node, Tensor } from "../graph/index.js";
import { constantOf, listOf, padsOf, uniformOf } from "./constants.js";
import { type Editor, isOpenSqueeze, type Pass, sameQuant, sameShape } from "./pass.js";
import { isIdentity, permOf, rankOf } from "./perm.js";

export const identities: Pass = {
  name: "identities",
  run(e) {
    let rewrites = 0;
    for (const n of [...e.graph.nodes]) {
      const x = unchanged(e, n);
      const y = n.outputs[0];
      if (!x || !y || x.dtype !== y.dtype || !sameQuant(x.quant, y.quant) || !e.replace(y, x)) continue;
      e.remove(n);
      rewrites++;
    }
    return rewrites;
  },
};

/** The input that the node's only output equals. */
function unchanged(e: Editor, n: Node): Tensor | null {
  const [x, b] = n.inputs;
  const y = n.outputs[0];
  if (!x || !y || n.outputs.length !== 1) return null;
  const same = sameShape(x.shape, y.shape) && !isOpenSqueeze(n) ? x : null;
  switch (n.op) {
    case "Identity":
    case "Cast":
    case "Quantize":
      return same;
    case "Reshape":
    case "Flatten":
    case "Squeeze":
    case "Unsqueeze":
    case "Expand":
    case "Tile":
      return same;
    case "Transpose": {
      const perm = permOf(n.attrs.perm, rankOf(x));
      return perm && isIdentity(perm) ? x : null;
    }
    case "Add":
      return same && uniformOf(e, b) === 0
        ? x
        : b && sameShape(b.shape, y.shape) && uniformOf(e, x) === 0
          ? b
          : null;
    case "Mul":
      return same && uniformOf(e, b) === 1
        ? x
        : b && sameShape(b.shape, y.shape) && uniformOf(e, x) === 1
          ? b
          : null;
    case "Sub":
      return same && uniformOf(e, b) === 0 ? x : null;
    case "Div":
    case "Pow":
      return same && uniformOf(e, b) === 1 ? x : null;
    case "Pad":
      return same && padsOf(n)?.every(([before, after]) => before === 0 && after === 0) ? x : null;
    case "Slice":
      return same && listOf(n.inputs[4], n.attrs.steps)?.every((s) => s === 1) ? x : null;
    case "StridedSlice":
      return same &&
        listOf(n.inputs[3], undefined)?.every((s) => s === 1) &&
        !n.attrs.newAxisMask &&
        !n.attrs.shrinkAxisMask
        ? x
        : null;
    case "Concat":
      return n.inputs.length === 1 ? x : null;
    case "Split":
      return same;
    case "Clip":
      return (n.attrs.min ?? -Infinity) === -Infinity && (n.attrs.max ?? Infinity) === Infinity ? x : null;
    case "Where": {
      const picks = constantOf(e, x)?.data;
      const picked = n.inputs[picks?.[0] ? 1 : 2];
      const always = picked && picks?.every((v) => !v === !picks[0]);
      return always && sameShape(picked.shape, y.shape) ? picked : null;
    }
    default:
      return null;
  }
}
