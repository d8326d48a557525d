// Reorders the weights of a dense layer instead of its input:
//
//   Dense(Reshape(Transpose(x[N, …], p), [N, K]), w) = Dense(Reshape(x, [N, K]), w′)
//
// where p keeps the first axis: w′ has the columns of w in the order in which x stores them. This is what
// is left of NCHW between the last feature map of a classic network and its classifier.
import { type Data, dataOf, dim, type Node, permuteData, type Tensor } from "../graph/index.js";
import { constantOf } from "./constants.js";
import { type Editor, type Pass, reshapeAttr } from "./pass.js";
import { inverse, type Perm, permOf, rankOf } from "./perm.js";

export const flattenWeights: Pass = {
  name: "flatten_weights",
  ops: ["Transpose"],
  inferenceOnly: true,
  run(e) {
    let rewrites = 0;
    for (const n of [...e.graph.nodes]) if (n.op === "Dense" && reorder(e, n)) rewrites++;
    return rewrites;
  },
};

function reorder(e: Editor, n: Node): boolean {
  const flat = n.inputs[0] as Tensor;
  const reshape = e.producerOf(flat, "Reshape", "Flatten");
  const turned = reshape?.inputs[0];
  const transpose = e.producerOf(turned, "Transpose");
  const x = transpose?.inputs[0];
  const [w, stored] = [n.inputs[1] as Tensor, constantOf(e, n.inputs[1])];
  if (!reshape || !turned || !x || !stored || stored.dtype === "int4" || flat.shape.length !== 2)
    return false;
  if (e.soleReader(flat) !== n || e.soleReader(turned) !== reshape) return false;
  const perm = permOf(transpose.attrs.perm, rankOf(x));
  const inner = turned.shape.slice(1);
  const [rows, columns] = stored.shape as readonly number[];
  if (perm?.[0] !== 0 || !dim.isConcrete(inner) || dim.count(inner) !== columns || flat.shape[1] !== columns)
    return false;
  const shape = reshapeAttr(x.shape, flat.shape);
  if (!shape || (stored.quant && stored.quant.scale.length > 1 && stored.quant.axis !== 0)) return false;
  e.setInput(n, 1, turnedWeights(e, n, w, stored, [rows as number, ...inner], perm));
  reshape.op = "Reshape";
  reshape.attrs = { shape };
  e.setInputs(reshape, [x]);
  e.remove(transpose);
  return true;
}

/** Columns of w, seen as [rows, …inner], back in the order before the transpose. */
function turnedWeights(
  e: Editor,
  n: Node,
  w: Tensor,
  stored: Tensor,
  shape: readonly number[],
  perm: Perm,
): Tensor {
  const data = permuteData(dataOf(stored) as Data, stored.dtype, shape, inverse(perm));
  const t = e.constant(
    `${stored.name}~columns`,
    stored.dtype,
    stored.shape as readonly number[],
    data,
    stored.quant,
  );
  if (w === stored) return t;
  const like = { name: `${w.name}~columns`, dtype: w.dtype, shape: w.shape };
  return e.insertBefore(n, { op: "Cast", inputs: [t], attrs: { to: w.dtype } }, like);
}
