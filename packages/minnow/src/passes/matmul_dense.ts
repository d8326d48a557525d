// A product with stored weights is a dense layer; one of two computed tensors reads the right one transposed as well
// as not, which spares a copy of it (what a decoder keeps of earlier steps: [batch, heads, steps, 64]):
//
//   MatMul(a[…, M, K], b[K, N]) = Dense(a, bᵀ[N, K])          b constant, of rank 2
//   MatMul(a, Transpose(b))  =  MatMul(a, b, transposeB)      the last two axes change places
import { type Data, dataOf, type Node, permuteData, type Tensor } from "../graph/index.js";
import { constantOf } from "./constants.js";
import type { Editor, Pass } from "./pass.js";
import { permOf, rankOf } from "./perm.js";

export const matmulDense: Pass = {
  name: "matmul_dense",
  ops: ["MatMul"],
  run(e) {
    let rewrites = 0;
    for (const n of [...e.graph.nodes])
      if (n.op === "MatMul" && (toDense(e, n) || readTransposed(e, n))) rewrites++;
    return rewrites;
  },
};

function toDense(e: Editor, n: Node): boolean {
  const [a, b] = n.inputs;
  const w = constantOf(e, b);
  if (
    !a ||
    !b ||
    !w ||
    w.dtype === "int4" ||
    w.shape.length !== 2 ||
    a.shape.length < 2 ||
    n.attrs.transposeA
  )
    return false;
  if (a.dtype !== "float32" && !(a.quant && w.quant)) return false;
  if (w.quant && w.quant.scale.length > 1 && w.quant.axis !== (n.attrs.transposeB ? 0 : 1)) return false;
  const weights = n.attrs.transposeB ? b : transposed(e, n, b, w);
  n.op = "Dense";
  n.attrs = { keepDims: true };
  e.setInputs(n, [a, weights]);
  return true;
}

/** bᵀ in the storage type of `w`, which `b` is or is cast from. */
function transposed(e: Editor, n: Node, b: Tensor, w: Tensor): Tensor {
  const shape = w.shape as readonly number[];
  const data = permuteData(dataOf(w) as Data, w.dtype, shape, [1, 0]);
  const turned = [shape[1] as number, shape[0] as number];
  const quant = w.quant && { ...w.quant, axis: 0 };
  const t = e.constant(`${w.name}~10`, w.dtype, turned, data, quant);
  if (w === b) return t;
  return e.insertBefore(
    n,
    { op: "Cast", inputs: [t], attrs: { to: b.dtype } },
    { name: `${b.name}~10`, dtype: b.dtype, shape: turned },
  );
}

function readTransposed(e: Editor, n: Node): boolean {
  const transpose = e.producerOf(n.inputs[1], "Transpose");
  const b = transpose?.inputs[0];
  if (!transpose || b?.dtype !== "float32") return false;
  const last = rankOf(b) - 1;
  const perm = permOf(transpose.attrs.perm, last + 1);
  if (!perm?.every((axis, i) => axis === (i < last - 1 ? i : 2 * last - 1 - i))) return false;
  n.attrs = { ...n.attrs, transposeB: !n.attrs.transposeB };
  e.setInput(n, 1, b);
  return true;
}
