// A product reads its right side transposed as well as not, and that spares a copy of it:
//
//   MatMul(a, Transpose(b))  =  MatMul(a, b, transposeB)          where the last two axes change places
//
// What a decoder keeps of earlier steps is such a right side: [batch, heads, steps, 64].
import type { Node } from "../graph/index.js";
import type { Editor, Pass } from "./pass.js";
import { permOf, rankOf } from "./perm.js";

export const matmulTransposes: Pass = {
  name: "matmul_transposes",
  ops: ["MatMul"],
  run(e) {
    let rewrites = 0;
    for (const n of [...e.graph.nodes]) if (n.op === "MatMul" && readTransposed(e, n)) rewrites++;
    return rewrites;
  },
};

function readTransposed(e: Editor, n: Node): boolean {
  const transpose = e.producerOf(n.inputs[1], "Transpose");
  const b = transpose?.inputs[0];
  if (!transpose || b?.dtype !== "float32") return false;
  const rank = rankOf(b);
  const perm = permOf(transpose.attrs.perm, rank);
  const swapped = [...Array.from({ length: rank - 2 }, (_, i) => i), rank - 1, rank - 2];
  if (rank < 2 || perm?.join() !== swapped.join()) return false;
  n.attrs = { ...n.attrs, transposeB: !n.attrs.transposeB };
  e.setInput(n, 1, b);
  return true;
}
