// Matrix products: MatMul as it is, Gemm as Dense where its second factor is constant.
import { dataOf } from "../../../graph/deferred.js";
import type { Quantization, Tensor } from "../../../graph/graph.js";
import { permuteData } from "../../../graph/permute.js";
import type { Call, Row, Table } from "../call.js";
import { einsum } from "./einsum.js";

/** alpha·A'·B' + beta·C */
export function gemm(c: Call, x: Tensor, b: Tensor, bias: Tensor | null): Tensor {
  const [alpha, beta] = [c.float("alpha", 1), c.float("beta", 1)];
  const [transA, transB] = [c.int("transA", 0) !== 0, c.int("transB", 0) !== 0];
  c.ignore("broadcast"); // of C, before operator set 7
  if (c.rank(x) !== 2 || c.rank(b) !== 2) c.bad("its factors must be matrices");
  const weights = denseWeights(c, b, transB);
  if (!weights || x.dtype !== "float32") {
    const y = c.emit("MatMul", [x, c.computed(b)], { transposeA: transA, transposeB: transB });
    return addBias(c, c.scale(y, alpha), bias, beta);
  }
  const a = transA ? c.emit("Transpose", [x], { perm: [1, 0] }) : x;
  if (bias && alpha === 1 && beta === 1 && isPerColumn(c, bias, c.shape(weights)[0]))
    return c.emit("Dense", [a, weights, c.rank(bias) === 1 ? bias : c.reshape(bias, [-1])]);
  return addBias(c, c.scale(c.emit("Dense", [a, weights]), alpha), bias, beta);
}

const addBias = (c: Call, y: Tensor, bias: Tensor | null, beta: number): Tensor =>
  bias && beta !== 0 ? c.emit("Add", [y, c.scale(bias, beta)]) : y;

const isPerColumn = (c: Call, bias: Tensor, columns: unknown): boolean => {
  const shape = c.shape(bias);
  return shape.at(-1) === columns && shape.slice(0, -1).every((d) => d === 1) && shape.length > 0;
};

/** Constant B as [N,K], real or quantised; undefined where it is computed. */
function denseWeights(c: Call, raw: Tensor, transposed: boolean): Tensor | undefined {
  const source = c.builder.dequantized.get(raw) ?? raw;
  const data = source.kind === "constant" && dataOf(source);
  if (!data) return undefined;
  if (transposed) return c.computed(raw);
  const [k, n] = source.shape as [number, number];
  const out = c.builder.permuted(source, () => ({
    shape: [n, k],
    data: permuteData(data, source.dtype, [k, n], [1, 0]),
  }));
  if (source === raw) return c.builder.compute(out);
  out.quant = { ...(source.quant as Quantization), axis: source.quant?.axis === 1 ? 0 : 1 };
  return c.emit("Dequantize", [out], { to: "float32" }, { dtype: "float32" });
}

const matMul: Row = (c) => c.emit("MatMul", [c.x(0), c.x(1)]);

export const linear: Table = {
  MatMul: matMul,
  Gemm: (c) => gemm(c, c.x(0), c.raw(1), c.opt(2)),
  Einsum: einsum,
};
