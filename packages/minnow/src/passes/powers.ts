// Cheaper forms of arithmetic with constants:
//
//   x ^ 2 = x²      x ^ 0.5 = √x      x / c = x · (1/c) where c is a power of two, so that 1/c is exact
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

function power(e: Editor, n: Node, x: Tensor, c: number): boolean {
  if (c !== 2 && c !== 0.5) return false;
  n.op = c === 2 ? "Square" : "Sqrt";
  n.attrs = {};
  e.setInputs(n, [x]);
  return true;
}

function divide(e: Editor, n: Node, x: Tensor, b: Tensor, c: number): boolean {
  const exponent = Math.log2(Math.abs(c));
  if (!Number.isInteger(exponent) || Math.abs(exponent) > 126 || c === 1) return false;
  n.op = "Mul";
  e.setInputs(n, [x, e.constant(`${b.name}/reciprocal`, "float32", [], Float32Array.of(1 / c))]);
  return true;
}
