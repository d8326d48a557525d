// SpaceToDepth and its kin: expected values from TensorFlow's and ONNX's operator pages; both ways round
// give the input back.
import assert from "node:assert/strict";
import test from "node:test";
import { ModelError } from "../error.js";
import type { DType } from "../graph/dtype.js";
import { inferGraph } from "./infer.js";
import { affine, type Case, check, graphOf, t } from "./movement.test.kit.js";

const i32 = (shape: number[], data: number[]) => t(shape, { dtype: "int32", data });

test("SpaceToDepth, DepthToSpace", async () => {
  await check("SpaceToDepth", {
    inputs: [t([1, 2, 2, 1])],
    attrs: { block: 2 },
    expect: [[1, 2, 3, 4]],
    shape: [1, 1, 1, 4],
  });
  await check("SpaceToDepth", {
    inputs: [t([1, 2, 2, 3])],
    attrs: { block: 2 },
    expect: [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]],
  });
  await check("DepthToSpace", {
    inputs: [t([1, 1, 1, 12])],
    attrs: { block: 2 },
    expect: [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]],
    shape: [1, 2, 2, 3],
  });
  // channel k·4 + 2·dy + dx
  await check("DepthToSpace", {
    inputs: [t([1, 1, 1, 8])],
    attrs: { block: 2, mode: "CRD" },
    expect: [[1, 5, 2, 6, 3, 7, 4, 8]],
  });
  for (const dtype of ["float32", "float16", "int8", "int64"] as DType[])
    for (const mode of ["DCR", "CRD"])
      for (const block of [1, 2, 3]) {
        const data = Array.from({ length: 2 * 6 * 6 * 9 }, (_, i) => (i * 31) % 97);
        const x = t([2, 6, 6, 9], { dtype, data, input: true });
        const [deep] = await check("SpaceToDepth", { inputs: [x], attrs: { block, mode } });
        const shape = [2, 6 / block, 6 / block, 9 * block * block];
        const [back] = await check("DepthToSpace", {
          inputs: [t(shape, { dtype, data: deep as number[], input: true })],
          attrs: { block, mode },
        });
        assert.deepEqual(back, data);
      }
});

test("SpaceToBatch, BatchToSpace", async () => {
  const block = i32([2], [2, 2]);
  const none = i32([2, 2], [0, 0, 0, 0]);
  await check("SpaceToBatch", {
    inputs: [t([1, 4, 4, 1]), block, none],
    shape: [4, 2, 2, 1],
    expect: [[1, 3, 9, 11, 2, 4, 10, 12, 5, 7, 13, 15, 6, 8, 14, 16]],
  });
  await check("SpaceToBatch", {
    inputs: [t([2, 2, 4, 1]), block, i32([2, 2], [0, 0, 2, 0])],
    shape: [8, 1, 3, 1],
    expect: [[0, 1, 3, 0, 9, 11, 0, 2, 4, 0, 10, 12, 0, 5, 7, 0, 13, 15, 0, 6, 8, 0, 14, 16]],
  });
  await check("BatchToSpace", {
    inputs: [
      t([8, 1, 3, 1], {
        data: [0, 1, 3, 0, 9, 11, 0, 2, 4, 0, 10, 12, 0, 5, 7, 0, 13, 15, 0, 6, 8, 0, 14, 16],
      }),
      block,
      i32([2, 2], [0, 0, 2, 0]),
    ],
    shape: [2, 2, 4, 1],
    expect: [Array.from({ length: 16 }, (_, i) => i + 1)],
  });
  const data = Array.from({ length: 3 * 5 * 7 * 2 }, (_, i) => (i * 31) % 97);
  for (const dtype of ["float32", "int8", "int64"] as DType[])
    for (const [blocks, edges] of [
      [
        [3, 2],
        [1, 0, 0, 1],
      ],
      [
        [1, 4],
        [0, 0, 1, 0],
      ],
      [[3], [0, 1]],
    ] as const) {
      const [b, p] = [i32([blocks.length], [...blocks]), i32([blocks.length, 2], [...edges])];
      const [split] = await check("SpaceToBatch", {
        inputs: [t([3, 5, 7, 2], { dtype, data, input: true }), b, p],
      });
      const shape = [
        3 * blocks.reduce((x: number, y) => x * y, 1),
        ...[5, 7].map((d, i) => (d + (edges[2 * i] ?? 0) + (edges[2 * i + 1] ?? 0)) / (blocks[i] ?? 1)),
        2,
      ];
      const [back] = await check("BatchToSpace", {
        inputs: [t(shape, { dtype, data: split as number[], input: true }), b, p],
      });
      assert.deepEqual(back, data);
    }
  await check("SpaceToBatch", {
    inputs: [t([1, 2], { dtype: "uint8", quant: affine(0.5, 7) }), i32([1], [2]), i32([1, 2], [1, 1])],
    expect: [[7, 2, 1, 7]],
    shape: [2, 2],
  });
});

test("block operators refuse what does not divide", () => {
  const bad = (op: string, c: Case) => assert.throws(() => inferGraph(graphOf(op, c).graph), ModelError);
  bad("SpaceToDepth", { inputs: [t([1, 3, 2, 1])], attrs: { block: 2 } });
  bad("SpaceToDepth", { inputs: [t([1, 2, 2, 1])], attrs: { block: 0 } });
  bad("DepthToSpace", { inputs: [t([1, 2, 2, 3])], attrs: { block: 2 } });
  bad("SpaceToBatch", { inputs: [t([1, 3, 1]), i32([1], [2]), i32([1, 2], [0, 0])] });
  bad("BatchToSpace", { inputs: [t([3, 3, 1]), i32([1], [2]), i32([1, 2], [0, 0])] });
  bad("BatchToSpace", { inputs: [t([2, 1, 1]), i32([1], [2]), i32([1, 2], [2, 1])] });
  bad("SpaceToBatch", { inputs: [t([1, 3, 1]), i32([1], [0]), i32([1, 2], [0, 0])] });
});
