// Matrix products: MatMul as it is, Gemm as Dense where its second factor is constant.
import { dataOf } from "../../../graph/deferred.js";
import type { Quantization, Tensor } from "../../../graph/graph.js";
import { permuteData } from "../../../graph/permute.js";
import type { Call, Row, Table } from "../call.js";
import { einsum } from "./einsum.js";

/** alpha·A'·B' + beta·C */
const gemm: Row = (c) => {
  const [alpha, beta] = [c.float("alpha", 1), c.float("beta", 1)];
  const [transA, transB] = [c.int("transA", 0) !== 0, c.int("transB", 0) !== 0];
  c.ignore("broadcast"); // of C, before operator set 7
  const bias = c.opt(2);
  if (c.rank(c.raw(0)) !== 2 || c.rank(c.raw(1)) !== 2) c.bad("its factors must be matrices");
  const weights = denseWeights(c, transB);
  if (!weights || c.x(0).dtype !== "float32") {
    const y = c.emit("MatMul", [c.x(0), c.x(1)], { transposeA: transA, transposeB: transB });
    return addBias(c, c.scale(y, alpha), bias, beta);
  }
  const a = transA ? c.emit("Transpose", [c.x(0)], { perm: [1, 0] }) : c.x(0);
  if (bias && alpha === 1 && beta === 1 && isPerColumn(c, bias, c.shape(weights)[0]))
    return c.emit("Dense", [a, weights, c.rank(bias) === 1 ? bias : c.reshape(bias, [-1])]);
  return addBias(c, c.scale(c.emit("Dense", [a, weights]), alpha), bias, beta);
};

const addBias = (c: Call, y: Tensor, bias: Tensor | null, beta: number): Tensor =>
  bias && beta !== 0 ? c.emit("Add", [y, c.scale(bias, beta)]) : y;

const isPerColumn = (c: Call, bias: Tensor, columns: unknown): boolean => {
  const shape = c.shape(bias);
  return shape.at(-1) === columns && shape.slice(0, -1).every((d) => d === 1) && shape.length > 0;
};

/** Constant B as [N,K], real or quantised; undefined where it is computed. */
function denseWeights(c: Call, transposed: boolean): Tensor | undefined {
  const raw = c.raw(1);
  const source = c.builder.dequantized.get(raw) ?? raw;
  const data = source.kind === "constant" && dataOf(source);
  if (!data) return undefined;
  if (transposed) return c.x(1);
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

export const linear: Table = { MatMul: matMul, Gemm: gemm, Einsum: einsum };
