// Slice and StridedSlice: every start, end and step on a small axis against a walk of the definition;
// masks of StridedSlice against values from TensorFlow's documentation and numpy.
import assert from "node:assert/strict";
import test from "node:test";
import { ModelError } from "../error.js";
import type { Dim } from "../graph/dim.js";
import type { Tensor } from "../graph/graph.js";
import { inferGraph } from "./infer.js";
import { type Case, check, graphOf, list, t } from "./movement.test.kit.js";
import { span } from "./slice.js";

/** Python's slice of [0, 1, …, n−1]: its own clamping, element by element. */
function python(n: number, start: number | null, stop: number | null, step: number): number[] {
  const bound = (v: number | null, whole: number): number => {
    if (v === null) return whole;
    const w = v < 0 ? v + n : v;
    return step > 0 ? Math.min(Math.max(w, 0), n) : Math.min(Math.max(w, -1), n - 1);
  };
  const out: number[] = [];
  const end = bound(stop, step > 0 ? n : -1);
  for (let i = bound(start, step > 0 ? 0 : n - 1); step > 0 ? i < end : i > end; i += step) out.push(i);
  return out;
}

test("span is Python's slice", () => {
  const bounds = [null, -9, -4, -2, -1, 0, 1, 3, 4, 9];
  for (const n of [0, 1, 4])
    for (const start of bounds)
      for (const stop of bounds)
        for (const step of [-3, -2, -1, 1, 2, 3]) {
          const s = span(n, start, stop, step, -1);
          const got = Array.from({ length: s?.length as number }, (_, i) => (s?.start as number) + i * step);
          assert.deepEqual(got, python(n, start, stop, step), `[${start}:${stop}:${step}] of ${n}`);
        }
});

test("Slice", async () => {
  await check("Slice", { inputs: [t([2, 4]), list(1), list(3), list(1)], expect: [[2, 3, 6, 7]] });
  await check("Slice", {
    inputs: [t([2, 4])],
    attrs: { starts: [0, -3], ends: [1, 2 ** 53] },
    expect: [[2, 3, 4]],
  });
  await check("Slice", {
    inputs: [t([5]), list(-1), list(-(2 ** 53)), list(0), list(-2)],
    expect: [[5, 3, 1]],
  });
  await check("Slice", { inputs: [t([5]), list(9), list(9)], expect: [[]] });
  await check("Slice", { inputs: [t([5]), list(20), list(0), list(0), list(-1)], expect: [[5, 4, 3, 2]] });
  for (const dtype of ["float16", "int8", "int64", "bool"] as const)
    await check("Slice", {
      inputs: [
        t([3, 4, 2], {
          dtype,
          input: true,
          data: Array.from({ length: 24 }, (_, i) => (dtype === "bool" ? i % 2 : i)),
        }),
      ],
      attrs: { starts: [1, -1], ends: [3, 0], axes: [0, 1], steps: [1, -2] },
    });
});

test("Slice refuses nonsense", () => {
  const bad = (c: Case) => assert.throws(() => inferGraph(graphOf("Slice", c).graph), ModelError);
  bad({ inputs: [t([5]), list(0), list(1), list(0), list(0)] });
  bad({ inputs: [t([5]), list(0), list(1, 2)] });
  bad({ inputs: [t([5]), list(0), list(1), list(1)] });
  bad({ inputs: [t([5]), list(0, 0), list(1, 1), list(0, 0)] });
});

const inferred = (dim: Dim, starts: number[], ends: number[], steps: number[] = [1]): readonly Dim[] => {
  const { graph } = graphOf("Slice", {
    inputs: [{ shape: [dim] as number[] }],
    attrs: { starts, ends, axes: [0], steps },
  });
  return inferGraph(graph).get(graph.outputs[0] as Tensor)?.shape ?? [];
};

test("Slice of a symbolic axis", () => {
  assert.deepEqual(inferred("N", [0], [2 ** 31 - 1]), ["N"]);
  assert.deepEqual(inferred("N", [0], [10]), ["min(10, N)"]);
  assert.deepEqual(inferred("N", [-3], [2 ** 40]), ["min(3, N)"]);
  assert.deepEqual(inferred("2*N", [0], [2 ** 31 - 1], [2]), ["N"]);
  assert.deepEqual(inferred("N", [-1], [-(2 ** 40)], [-1]), ["N"]);
});

const strided = (
  shape: number[],
  begin: number[],
  end: number[],
  strides: number[],
  attrs = {},
  expect?: number[],
  outShape?: number[],
) =>
  check("StridedSlice", {
    inputs: [t(shape), ...[begin, end, strides].map((data) => t([data.length], { dtype: "int32", data }))],
    attrs,
    ...(expect && { expect: [expect] }),
    ...(outShape && { shape: outShape }),
  });

test("StridedSlice", async () => {
  // 'input' of TensorFlow's documentation is [3, 2, 3]
  await strided([3, 2, 3], [1, 0, 0], [2, 1, 3], [1, 1, 1], {}, [7, 8, 9], [1, 1, 3]);
  await strided([3, 2, 3], [1, -1, 0], [2, -3, 3], [1, -1, 1], {}, [10, 11, 12, 7, 8, 9], [1, 2, 3]);
  await strided([3, 2, 3], [1], [2], [1], { shrinkAxisMask: 1 }, [7, 8, 9, 10, 11, 12], [2, 3]);
  await strided(
    [3, 2, 3],
    [0, 1],
    [0, 2],
    [1, 1],
    { ellipsisMask: 1, shrinkAxisMask: 2 },
    [2, 5, 8, 11, 14, 17],
    [3, 2],
  );
  await strided(
    [3, 2, 3],
    [0, 0, 0],
    [0, 0, 1],
    [1, 1, 1],
    { newAxisMask: 1, endMask: 2, beginMask: 2 },
    undefined,
    [1, 3, 1, 3],
  );
  await strided(
    [2, 3],
    [0, 0, 0],
    [0, 0, 0],
    [1, 1, 1],
    { newAxisMask: 2, beginMask: 5, endMask: 5 },
    [1, 2, 3, 4, 5, 6],
    [2, 1, 3],
  );
  await strided([2, 3], [0, 1], [2, 2], [1, 1], { offset: true }, [2, 3, 5, 6], [2, 2]);
  await strided([4], [-1], [-9], [-1], {}, [4, 3, 2, 1], [4]);
  await strided([4], [-1], [0], [1], { shrinkAxisMask: 1 }, [4], []);
  await strided(
    [2, 3],
    [0, 0, 0],
    [0, 0, 2],
    [1, 1, 1],
    { ellipsisMask: 1, newAxisMask: 2 },
    [1, 2, 4, 5],
    [2, 1, 2],
  );
  await strided(
    [2, 2, 3],
    [0, 1, 2],
    [0, 0, 0],
    [1, 1, 1],
    { ellipsisMask: 1, shrinkAxisMask: 6 },
    [6, 12],
    [2],
  );
  await assert.rejects(strided([4], [4], [5], [1], { shrinkAxisMask: 1 }), ModelError);
  await assert.rejects(strided([4], [0, 0], [1, 1], [1, 1]), ModelError);
  await assert.rejects(strided([4], [0], [1], [0]), ModelError);
});
