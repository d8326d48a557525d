import assert from "node:assert/strict";
import { test } from "node:test";
import { type DType, newArray } from "../graph/index.js";
import { materialize } from "../graph/deferred.js";
import { permuteData } from "../graph/permute.js";

/** The definition: out[i…] = data at the index whose axis perm[k] is i[k]. */
function plain(
  data: ArrayLike<number | bigint>,
  shape: readonly number[],
  perm: readonly number[],
): (number | bigint)[] {
  const out: (number | bigint)[] = [];
  const walk = (index: number[]): void => {
    if (index.length < perm.length) {
      for (let i = 0; i < (shape[perm[index.length] as number] as number); i++) walk([...index, i]);
      return;
    }
    let at = 0;
    shape.forEach((d, axis) => {
      at = at * d + (index[perm.indexOf(axis)] as number);
    });
    out.push(data[at] as number | bigint);
  };
  walk([]);
  return out;
}

test("permuted data follows the definition", () => {
  const cases: [DType, number[], number[]][] = [
    ["float32", [2, 3], [1, 0]],
    ["float32", [70, 45], [1, 0]],
    ["int8", [3, 40, 1, 35], [3, 0, 2, 1]],
    ["float16", [4, 3, 5, 6], [0, 2, 3, 1]],
    ["float16", [4, 3, 5, 6], [0, 3, 1, 2]],
    ["float16", [4, 3, 5, 6], [1, 0, 2, 3]],
    ["int64", [2, 3, 4], [2, 1, 0]],
    ["int32", [2, 3, 4, 2, 3], [4, 1, 3, 0, 2]],
    ["uint8", [1, 5, 1], [1, 2, 0]],
    ["float32", [0, 3], [1, 0]],
  ];
  for (const [dtype, shape, perm] of cases) {
    const n = shape.reduce((a, b) => a * b, 1);
    const data = newArray(dtype, n);
    for (let i = 0; i < n; i++) data[i] = (dtype === "int64" ? BigInt(i) : i % 120) as never;
    const got = materialize(permuteData(data, dtype, shape, perm));
    assert.equal(got.constructor, data.constructor);
    assert.deepEqual(
      Array.from(got as Int32Array),
      plain(data as Int32Array, shape, perm),
      `${shape} by ${perm}`,
    );
  }
});
