// Every element type through the whole library: written to .minnow, loaded, run on each device, given
// and taken in the forms that are documented.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../index.js";
import { writeMinnow } from "../formats/minnow/writer.js";
import type { DType } from "../graph/dtype.js";
import { Graph, type Tensor, value } from "../graph/graph.js";
import type { InputValue, TensorData } from "./types.js";

function binary(op: string, dtype: DType, out: DType = dtype): Uint8Array {
  const g = new Graph();
  const input = (name: string): Tensor => ({ ...value(name, dtype, ["n"]), kind: "input" });
  const [a, b, y] = [input("a"), input("b"), value("y", out, ["n"])];
  g.inputs = [a, b];
  g.outputs = [y];
  g.nodes = [{ op, name: op, inputs: [a, b], outputs: [y], attrs: {} }];
  return writeMinnow(g);
}

const cases: [string, DType, DType, InputValue, InputValue, TensorData][] = [
  ["Add", "float32", "float32", [1, 2.5, -3], [1, 1, 1], Float32Array.of(2, 3.5, -2)],
  ["Add", "int32", "int32", [1, 2, -3], Int32Array.of(1, 1, 2 ** 30), Int32Array.of(2, 3, 2 ** 30 - 3)],
  [
    "Add",
    "int64",
    "int64",
    [1, 2, -3],
    BigInt64Array.of(1n, 2n ** 40n, 1n),
    BigInt64Array.of(2n, 2n ** 40n + 2n, -2n),
  ],
  ["Mul", "float16", "float16", [1, 2, 0.5], [3, 0.25, -8], Float32Array.of(3, 0.5, -4)],
  ["Less", "float32", "bool", [1, 2, 3], [2, 2, 2], Uint8Array.of(1, 0, 0)],
  ["And", "bool", "bool", [true, true, false], Uint8Array.of(1, 0, 1), Uint8Array.of(1, 0, 0)],
  ["Equal", "int64", "bool", [1, 2, 3], [1n, 5n, 3n], Uint8Array.of(1, 0, 1)],
  ["Max", "uint8", "uint8", [1, 200, 3], [2, 2, 255], Uint8Array.of(2, 200, 255)],
  ["Min", "int8", "int8", [1, -100, 3], [2, 2, -128], Int8Array.of(1, -100, -128)],
];

for (const device of ["cpu", "reference"])
  for (const [op, dtype, out, a, b, want] of cases)
    test(`${op} of ${dtype} on ${device}`, async () => {
      await using model = await load(binary(op, dtype, out), { device });
      assert.deepEqual(
        model.inputs.map((t) => [t.name, t.dtype, t.shape]),
        [
          ["a", dtype, ["n"]],
          ["b", dtype, ["n"]],
        ],
      );
      const { y } = await model.run({ a, b });
      assert.deepEqual(y, { data: want, shape: [3], dtype: out });
    });

test("a tensor without elements, and a scalar", async () => {
  await using model = await load(binary("Add", "float32"));
  assert.deepEqual((await model.run({ a: [], b: [] })).y, {
    data: new Float32Array(0),
    shape: [0],
    dtype: "float32",
  });
  assert.deepEqual((await model.run({ a: 1, b: 2 })).y, {
    data: Float32Array.of(3),
    shape: [1],
    dtype: "float32",
  });
});
