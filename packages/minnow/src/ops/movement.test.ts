// Transpose, Reverse, Concat, Split, Expand, Tile: expected values by hand or numpy, then sweeps over
// ranks and types in which reference, interpreter and WebAssembly must agree.
import assert from "node:assert/strict";
import test from "node:test";
import { ModelError } from "../error.js";
import type { DType } from "../graph/dtype.js";
import { count } from "../graph/dim.js";
import { inferGraph } from "./infer.js";
import { affine, check, type Case, graphOf, list, t } from "./movement.test.kit.js";

const types: DType[] = ["float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool"];
const oddShapes: number[][] = [
  [],
  [5],
  [2, 3],
  [3, 1, 4],
  [2, 3, 2, 2],
  [1, 2, 3, 1, 2],
  [2, 1, 2, 3, 1, 2],
  [0, 3],
  [2, 0, 4],
];
const sample = (shape: number[], dtype: DType): number[] =>
  Array.from({ length: count(shape) }, (_, i) =>
    dtype === "bool" ? i % 2 : ((i * 37) % 101) - (dtype === "uint8" ? 0 : 50),
  );
const of = (shape: number[], dtype: DType, input = true) =>
  t(shape, { dtype, data: sample(shape, dtype), input });
const rejects = (op: string, c: Case, code = "bad_shape"): void =>
  assert.throws(
    () => inferGraph(graphOf(op, c).graph),
    (e: unknown) => e instanceof ModelError && e.code === code,
    op,
  );

test("Transpose", async () => {
  await check("Transpose", { inputs: [t([2, 3])], expect: [[1, 4, 2, 5, 3, 6]] });
  await check("Transpose", {
    inputs: [t([1, 2, 2, 2])],
    attrs: { perm: [0, 3, 1, 2] },
    expect: [[1, 3, 5, 7, 2, 4, 6, 8]],
  });
  rejects("Transpose", { inputs: [t([2, 3])], attrs: { perm: [0, 0] } });
  rejects("Transpose", { inputs: [t([2, 3])], attrs: { perm: [0] } });
});

test("Transpose over ranks and types", async () => {
  for (const shape of oddShapes)
    for (const dtype of types) {
      await check("Transpose", { inputs: [of(shape, dtype)] });
      const perm = shape.map((_, i) => (i + 1) % shape.length);
      await check("Transpose", { inputs: [of(shape, dtype)], attrs: { perm } });
    }
});

test("Reverse", async () => {
  await check("Reverse", { inputs: [t([2, 3])], attrs: { axes: [1] }, expect: [[3, 2, 1, 6, 5, 4]] });
  for (const shape of oddShapes)
    for (const dtype of ["float32", "int8", "int64"] as const)
      await check("Reverse", {
        inputs: [of(shape, dtype)],
        attrs: { axes: shape.length ? [0, -1].slice(0, shape.length) : [] },
      });
});

test("Concat", async () => {
  await check("Concat", { inputs: [t([2, 1]), t([2, 2])], attrs: { axis: 1 }, expect: [[1, 1, 2, 2, 3, 4]] });
  await check("Concat", { inputs: [t([2]), t([0]), t([1])], attrs: { axis: -1 }, expect: [[1, 2, 1]] });
  await check("Concat", { inputs: [t([2, 3])], attrs: { axis: 0 } });
  rejects("Concat", { inputs: [t([2, 3]), t([2, 4])], attrs: { axis: 0 } });
  rejects("Concat", { inputs: [t([2, 3]), t([2])], attrs: { axis: 0 } });
  rejects("Concat", { inputs: [t([2]), t([2], { dtype: "int8" })], attrs: { axis: 0 } });
  for (const shape of oddShapes.slice(1))
    for (const dtype of types)
      for (let axis = 0; axis < shape.length; axis++) {
        const other = shape.map((d, i) => (i === axis ? d + 1 : d));
        await check("Concat", {
          inputs: [of(shape, dtype), of(other, dtype), of(shape, dtype)],
          attrs: { axis },
        });
      }
});

test("Concat of quantised tensors with other parameters requantises", async () => {
  const a = t([3], { dtype: "uint8", data: [0, 128, 255], quant: affine(0.5, 128) });
  const b = t([2], { dtype: "uint8", data: [10, 200], quant: affine(0.25, 0) });
  // real: −64, 0, 63.5; 2.5, 50 → /1 + 100
  await check("Concat", {
    inputs: [a, b],
    attrs: { axis: 0 },
    outputs: [{ quant: affine(1, 100) }],
    expect: [[36, 100, 164, 102, 150]],
  });
  await check("Concat", { inputs: [a, a], attrs: { axis: 0 }, expect: [[0, 128, 255, 0, 128, 255]] });
});

test("Split", async () => {
  const two = [{}, {}];
  await check("Split", {
    inputs: [t([2, 4])],
    attrs: { axis: 1 },
    outputs: two,
    expect: [
      [1, 2, 5, 6],
      [3, 4, 7, 8],
    ],
  });
  await check("Split", { inputs: [t([5]), list(1, 4)], outputs: two, expect: [[1], [2, 3, 4, 5]] });
  await check("Split", {
    inputs: [t([5])],
    attrs: { sizes: [-1, 4] },
    outputs: two,
    expect: [[1], [2, 3, 4, 5]],
  });
  await check("Split", { inputs: [t([5])], outputs: [{}, {}, {}], expect: [[1, 2], [3, 4], [5]] });
  await check("Split", { inputs: [t([2])], attrs: { sizes: [0, 2] }, outputs: two, expect: [[], [1, 2]] });
  rejects("Split", { inputs: [t([5])], attrs: { sizes: [1, 3] }, outputs: two });
  rejects("Split", { inputs: [t([5])], attrs: { sizes: [1, 3, 1] }, outputs: two });
  for (const dtype of types)
    for (const axis of [0, 1, 2, -1])
      await check("Split", { inputs: [of([2, 4, 6], dtype)], attrs: { axis }, outputs: two });
});

test("Expand", async () => {
  await check("Expand", {
    inputs: [t([3, 1]), list(2, 1, 2)],
    expect: [[1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3]],
    shape: [2, 3, 2],
  });
  await check("Expand", { inputs: [t([3, 1]), list(1)], shape: [3, 1] });
  await check("Expand", { inputs: [t([]), list(2, 0)], shape: [2, 0] });
  await check("Expand", { inputs: [t([]), t([0], { dtype: "int64" })], shape: [] });
  rejects("Expand", { inputs: [t([3]), list(2)] });
  for (const dtype of types) await check("Expand", { inputs: [of([2, 1, 3, 1], dtype), list(2, 4, 1, 5)] });
});

test("Tile", async () => {
  await check("Tile", { inputs: [t([2, 2]), list(1, 2)], expect: [[1, 2, 1, 2, 3, 4, 3, 4]] });
  await check("Tile", { inputs: [t([2]), list(0)], expect: [[]] });
  await check("Tile", { inputs: [t([]), t([0], { dtype: "int64" })], shape: [] });
  rejects("Tile", { inputs: [t([2]), list(1, 2)] });
  rejects("Tile", { inputs: [t([2]), list(-1)] });
  for (const dtype of types)
    for (const shape of oddShapes.slice(1))
      await check("Tile", { inputs: [of(shape, dtype), list(...shape.map((_, i) => (i * 2 + 1) % 4))] });
});

test("NaN, infinities and −0 are moved as they are", async () => {
  const data = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0, 1, 2];
  await check("Transpose", {
    inputs: [t([2, 3], { data })],
    expect: [[Number.NaN, -0, Number.POSITIVE_INFINITY, 1, Number.NEGATIVE_INFINITY, 2]],
  });
  await check("Tile", { inputs: [t([6], { data, dtype: "float16" }), list(2)] });
});
