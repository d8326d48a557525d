// Gather, GatherElements, GatherND, OneHot, ScatterND, TopK: examples of the ONNX operator pages and
// numpy, sweeps, and indices that lie outside.
import assert from "node:assert/strict";
import test from "node:test";
import { compile } from "../compiler/compile.js";
import { ModelError } from "../error.js";
import type { DType } from "../graph/dtype.js";
import { inferGraph } from "./infer.js";
import { runGraph } from "../runtime/run_graph.js";
import { evaluate } from "../targets/reference/index.js";
import { interpretProgram } from "./harness.js";
import { type Case, check, graphOf, scalar, t } from "./movement.test.kit.js";

const ints = (shape: number[], data: number[], dtype: DType = "int64", input = true) =>
  t(shape, { dtype, data, input });

test("Gather", async () => {
  const x = t([3, 2], { data: [1, 1.5, 2.5, 3, 4.5, 6] });
  await check("Gather", {
    inputs: [x, ints([2, 2], [0, 1, 1, 2])],
    expect: [[1, 1.5, 2.5, 3, 2.5, 3, 4.5, 6]],
    shape: [2, 2, 2],
  });
  await check("Gather", { inputs: [x, ints([], [-1], "int32")], expect: [[4.5, 6]], shape: [2] });
  await check("Gather", {
    inputs: [x, ints([1], [1])],
    attrs: { axis: -1 },
    expect: [[1.5, 3, 6]],
    shape: [3, 1],
  });
  await check("Gather", { inputs: [x, ints([0], [])], shape: [0, 2] });
  await check("Gather", {
    inputs: [t([2, 3]), ints([2, 2], [2, 0, -1, 1])],
    attrs: { axis: 1, batchDims: 1 },
    expect: [[3, 1, 6, 5]],
  });
  for (const dtype of ["float16", "int8", "uint8", "int16", "int32", "int64", "bool"] as DType[])
    for (const axis of [0, 1, 2])
      await check("Gather", {
        inputs: [
          ints(
            [2, 3, 4],
            Array.from({ length: 24 }, (_, i) => i % (dtype === "bool" ? 2 : 24)),
            dtype,
          ),
          ints([2], [1, -2]),
        ],
        attrs: { axis },
      });
});

test("GatherElements", async () => {
  const x = t([2, 2]);
  await check("GatherElements", {
    inputs: [x, ints([2, 2], [0, 0, 1, 0])],
    attrs: { axis: 1 },
    expect: [[1, 1, 4, 3]],
  });
  await check("GatherElements", {
    inputs: [t([3, 3]), ints([2, 3], [-1, -2, 0, -2, 0, 0])],
    expect: [[7, 5, 3, 4, 2, 3]],
  });
});

test("GatherND", async () => {
  const x = t([2, 2, 2], { data: [0, 1, 2, 3, 4, 5, 6, 7] });
  await check("GatherND", { inputs: [x, ints([2, 2], [0, 1, 1, 0])], expect: [[2, 3, 4, 5]] });
  await check("GatherND", {
    inputs: [x, ints([2, 1], [1, 0])],
    attrs: { batchDims: 1 },
    expect: [[2, 3, 4, 5]],
  });
  await check("GatherND", {
    inputs: [x, ints([2, 1, 3], [0, 0, 1, -1, 0, 1], "int32")],
    expect: [[1, 5]],
    shape: [2, 1],
  });
});

test("indices outside fail the run", async () => {
  const outside = (e: unknown): boolean => e instanceof ModelError && e.code === "index_out_of_range";
  const fails = async (op: string, c: Case) => {
    const { graph, inputs } = graphOf(op, c);
    assert.throws(() => evaluate(graph, inputs), outside);
    assert.throws(() => interpretProgram(compile(graph), inputs), /out of range|in an axis/);
    await assert.rejects(runGraph(graph, inputs), outside);
  };
  for (const bad of [3, -4, 2 ** 31 - 1, -(2 ** 31)])
    await fails("Gather", { inputs: [t([3, 2]), ints([2], [0, bad])] });
  await fails("Gather", { inputs: [t([3, 2]), ints([2], [0, 2 ** 32])] });
  await fails("Gather", { inputs: [t([3, 2]), ints([2], [0, 2 ** 53 - 1])] });
  await fails("GatherElements", { inputs: [t([2, 2]), ints([1, 2], [0, 2], "int32")] });
  await fails("GatherND", { inputs: [t([2, 2]), ints([1, 2], [0, 2])] });
  await fails("ScatterND", { inputs: [t([3]), ints([1, 1], [3]), t([1])] });
  await fails("ScatterND", { inputs: [t([3]), ints([1, 1], [-4]), t([1])] });
  assert.throws(() => compile(graphOf("Gather", { inputs: [t([0, 2]), ints([1], [0])] }).graph), ModelError);
});

test("ScatterND", async () => {
  const x = t([4, 2]);
  const ind = ints([3, 1], [1, -1, 1]);
  const up = t([3, 2], { data: [10, 20, 30, 40, -5, 60] });
  await check("ScatterND", { inputs: [x, ind, up], expect: [[1, 2, -5, 60, 5, 6, 30, 40]] });
  const reduced = (reduction: string, expect: number[]) =>
    check("ScatterND", { inputs: [x, ind, up], attrs: { reduction }, expect: [expect] });
  await reduced("add", [1, 2, 8, 84, 5, 6, 37, 48]);
  await reduced("mul", [1, 2, -150, 4800, 5, 6, 210, 320]);
  await reduced("min", [1, 2, -5, 4, 5, 6, 7, 8]);
  await reduced("max", [1, 2, 10, 60, 5, 6, 30, 40]);
  await check("ScatterND", {
    inputs: [t([2, 2]), ints([1, 2], [1, 0]), t([1], { data: [9] })],
    expect: [[1, 2, 9, 4]],
  });
  for (const dtype of ["float16", "int8", "int32", "int64"] as DType[])
    for (const reduction of ["none", "add", "max"])
      await check("ScatterND", {
        inputs: [ints([4], [1, 2, 3, 4], dtype), ints([2, 1], [2, 2]), ints([2], [5, -6], dtype)],
        attrs: { reduction },
      });
});

test("OneHot", async () => {
  const on = (v: number, dtype: DType = "float32") => t([], { dtype, data: [v], input: true });
  const hot = (indices: Case["inputs"][0], attrs = {}, expect?: number[], shape?: number[]) =>
    check("OneHot", {
      inputs: [indices, scalar(3), on(5), on(2)],
      outputs: [{ dtype: "float32" }],
      attrs,
      ...(expect && { expect: [expect] }),
      ...(shape && { shape }),
    });
  await hot(ints([2], [0, 2]), {}, [5, 2, 2, 2, 2, 5], [2, 3]);
  await hot(ints([2], [-1, 7], "int32"), {}, [2, 2, 5, 2, 2, 2]);
  await hot(ints([2], [-1, 1]), { wrap: false }, [2, 2, 2, 2, 5, 2]);
  await hot(ints([2, 2], [0, 1, 2, 0]), { axis: 0 }, undefined, [3, 2, 2]);
  await hot(ints([2, 2], [0, 1, 2, 0]), { axis: 1 }, undefined, [2, 3, 2]);
  await hot(ints([], [1]), {}, [2, 5, 2], [3]);
  await hot(ints([2], [1, 2.9], "float32"), {}, [2, 5, 2, 2, 2, 5]);
  await check("OneHot", {
    inputs: [ints([2], [0, 1]), scalar(2), on(1, "int64"), on(0, "int64")],
    outputs: [{ dtype: "int64" }],
    expect: [[1, 0, 0, 1]],
  });
});

test("TopK", async () => {
  const both = [{}, { dtype: "int64" as DType }];
  const x = t([3, 4], { data: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] });
  await check("TopK", {
    inputs: [x, scalar(3)],
    outputs: both,
    expect: [
      [3, 2, 1, 7, 6, 5, 11, 10, 9],
      [3, 2, 1, 3, 2, 1, 3, 2, 1],
    ],
  });
  await check("TopK", {
    inputs: [x, scalar(2)],
    attrs: { axis: 0, largest: false },
    outputs: [{}, { dtype: "int32" }],
    expect: [
      [0, 1, 2, 3, 4, 5, 6, 7],
      [0, 0, 0, 0, 1, 1, 1, 1],
    ],
  });
  const ties = t([8], {
    data: [1, 3, Number.NaN, 3, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 3, -0],
  });
  await check("TopK", {
    inputs: [ties, scalar(5)],
    outputs: both,
    expect: [
      [Number.NaN, Number.POSITIVE_INFINITY, 3, 3, 3],
      [2, 5, 1, 3, 6],
    ],
  });
  await check("TopK", { inputs: [ties, scalar(8)], attrs: { largest: false }, outputs: both });
  await check("TopK", { inputs: [ties, scalar(0)], outputs: both, shape: [0] });
  const rejected = graphOf("TopK", { inputs: [ties, scalar(9)], outputs: both }).graph;
  assert.throws(() => inferGraph(rejected), ModelError);
  for (const dtype of ["float16", "int8", "uint8", "int32", "int64"] as DType[])
    for (const k of [1, 2, 7, 29, 30])
      for (const largest of [true, false])
        await check("TopK", {
          inputs: [
            ints(
              [2, 30, 3],
              Array.from({ length: 180 }, (_, i) => (i * 7919) % 61),
              dtype,
            ),
            scalar(k),
          ],
          attrs: { axis: 1, largest },
          outputs: both,
        });
});
