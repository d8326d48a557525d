// Cheaper forms of arithmetic with constants:
//
//   x ^ 2 = x²      x ^ 0.5 = √x      x ^ 3 = x² · x, and others of `forms`
//   x / c = x · (1/c) where c is a power of two, so that 1/c is exact
import type { Node, Tensor } from "../graph/index.js";
import { uniformOf } from "./constants.js";
import { type Editor, type Pass, sameShape } from "./pass.js";

export const powers: Pass = {
  name: "powers",
  ops: ["Pow", "Div"],
  run(e) {
    let rewrites = 0;
    for (const n of [...e.graph.nodes]) {
      const [x, b] = n.inputs;
      if (!x || !b || x.dtype !== "float32" || x.quant || !sameShape(x.shape, (n.outputs[0] as Tensor).shape))
        continue;
      const c = n.op === "Pow" || n.op === "Div" ? uniformOf(e, b) : null;
      if (c !== null && (n.op === "Pow" ? power(e, n, x, c) : divide(e, n, x, b, c))) rewrites++;
    }
    return rewrites;
  },
};

/** Operators one after the other; Mul takes x as well. A general power takes a logarithm: ten times as long. */
const forms: ReadonlyMap<number, readonly string[]> = new Map([
  [2, ["Square"]],
  [3, ["Square", "Mul"]], // the cubes of GELU's tanh form
  [4, ["Square", "Square"]],
  [0.5, ["Sqrt"]],
  [1.5, ["Sqrt", "Mul"]],
  [-0.5, ["Rsqrt"]],
  [-1, ["Reciprocal"]],
  [-2, ["Square", "Reciprocal"]],
]);

function power(e: Editor, n: Node, x: Tensor, c: number): boolean {
  const form = forms.get(c);
  if (!form) return false;
  const { name, dtype, shape } = n.outputs[0] as Tensor;
  const inputs = (op: string, t: Tensor): Tensor[] => (op === "Mul" ? [t, x] : [t]);
  let t = x;
  for (const op of form.slice(0, -1))
    t = e.insertBefore(n, { op, inputs: inputs(op, t) }, { name: `${name}/${op}`, dtype, shape });
  n.op = form.at(-1) as string;
  n.attrs = {};
  e.setInputs(n, inputs(n.op, t));
  return true;
}

function divide(e: Editor, n: Node, x: Tensor, b: Tensor, c: number): boolean {
  const exponent = Math.log2(Math.abs(c));
  if (!Number.isInteger(exponent) || Math.abs(exponent) > 126 || c === 1) return false;
  n.op = "Mul";
  e.setInputs(n, [x, e.constant(`${b.name}/reciprocal`, "float32", [], Float32Array.of(1 / c))]);
  return true;
}
