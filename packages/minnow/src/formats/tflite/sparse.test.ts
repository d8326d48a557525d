// Sparse tensors made dense: each format by an encoder written here, and levels that lie.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ModelError } from "../../error.js";
import { buildTflite, type Fields } from "./build.test.helper.js";
import { readTflite } from "./reader.js";
import * as schema from "./schema.js";

const dense = (size: number): Fields => ({
  [schema.dimMetadata.format]: { i8: 0 },
  [schema.dimMetadata.denseSize]: { i32: size },
});
/** `type` 1 = int32; segments and indices are a union. */
const compressed = (segments: number[], indices: number[]): Fields => ({
  [schema.dimMetadata.format]: { i8: 1 },
  [schema.dimMetadata.segmentsType]: { i8: 1 },
  [schema.dimMetadata.segments]: { table: { 0: { i32s: segments } } },
  [schema.dimMetadata.indicesType]: { i8: 1 },
  [schema.dimMetadata.indices]: { table: { 0: { i32s: indices } } },
});

interface Spec {
  shape: number[];
  values: number[];
  order: number[];
  blockMap?: number[];
  levels: Fields[];
}

/** The dense values of a constant that a DENSIFY reads. */
function read({ shape, values, order, blockMap, levels }: Spec): number[] {
  const sparsity: Fields = {
    [schema.sparsity.traversalOrder]: { i32s: order },
    [schema.sparsity.blockMap]: blockMap && { i32s: blockMap },
    [schema.sparsity.dimMetadata]: { tables: levels },
  };
  const g = readTflite(
    buildTflite({
      tensors: [
        { name: "x", type: "FLOAT32", shape },
        { name: "w", type: "FLOAT32", shape, data: Float32Array.from(values), sparsity },
        { name: "d", type: "FLOAT32", shape },
        { name: "y", type: "FLOAT32", shape },
      ],
      ops: [
        { op: "DENSIFY", inputs: [1], outputs: [2] },
        { op: "ADD", inputs: [0, 2], outputs: [3] },
      ],
      inputs: [0],
      outputs: [3],
    }),
  );
  const w = g.nodes[0]?.inputs[1];
  assert.deepEqual([g.nodes.length, w?.name, w?.aliases], [1, "w", ["d"]]);
  return Array.from(w?.data as Float32Array);
}

test("rows of compressed columns", () => {
  // [[1, 0, 2], [0, 0, 0], [0, 3, 0]]
  const levels = [dense(3), compressed([0, 2, 2, 3], [0, 2, 1])];
  assert.deepEqual(
    read({ shape: [3, 3], values: [1, 2, 3], order: [0, 1], levels }),
    [1, 0, 2, 0, 0, 0, 0, 3, 0],
  );
});

test("columns first", () => {
  // The same matrix, walked down the columns.
  const levels = [dense(3), compressed([0, 1, 2, 3], [0, 2, 0])];
  assert.deepEqual(
    read({ shape: [3, 3], values: [1, 3, 2], order: [1, 0], levels }),
    [1, 0, 2, 0, 0, 0, 0, 3, 0],
  );
});

test("blocks of 2 × 2", () => {
  // One block at rows 2–3, columns 0–1 of a 4 × 4 matrix.
  const levels = [dense(2), compressed([0, 0, 1], [0]), dense(2), dense(2)];
  const got = read({ shape: [4, 4], values: [1, 2, 3, 4], order: [0, 1, 2, 3], blockMap: [0, 1], levels });
  assert.deepEqual(got, [0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0, 0]);
});

test("levels that lie are errors", () => {
  const good: Spec = {
    shape: [3, 3],
    values: [1, 2, 3],
    order: [0, 1],
    levels: [dense(3), compressed([0, 2, 2, 3], [0, 2, 1])],
  };
  const bad: [Partial<Spec>, RegExp][] = [
    [{ order: [0, 0] }, /levels do not fit/],
    [{ order: [0, 7] }, /no dimension/],
    [{ levels: [dense(3)] }, /levels do not fit/],
    [{ levels: [dense(2), compressed([0, 2, 2, 3], [0, 2, 1])] }, /another size/],
    [{ levels: [dense(3), compressed([0, 2, 2, 4], [0, 2, 1])] }, /outside its level/],
    [{ levels: [dense(3), compressed([0, 2, 1, 3], [0, 2, 1])] }, /outside its level/],
    [{ levels: [dense(3), compressed([0, 2, 2, 3], [0, 3, 1])] }, /outside its level/],
    [{ levels: [dense(3), compressed([0, 2], [0, 2, 1])] }, /too few segments/],
    [{ values: [1, 2] }, /fewer values/],
    [{ blockMap: [5], order: [0, 1, 2], levels: [dense(3), dense(3), dense(1)] }, /block map/],
    [{ blockMap: [0], order: [0, 1, 2], levels: [dense(3), dense(3), dense(0)] }, /divide/],
    [
      { shape: [3000, 3000, 3000], order: [0, 1, 2], levels: [dense(3000), dense(3000), dense(3000)] },
      /much larger/,
    ],
  ];
  for (const [change, message] of bad)
    assert.throws(
      () => read({ ...good, ...change }),
      (e) => e instanceof ModelError && e.code === "bad_file" && message.test(e.message),
      String(message),
    );
});
