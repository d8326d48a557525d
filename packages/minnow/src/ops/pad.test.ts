// Pad: expected values from numpy.pad, then sweeps.
import assert from "node:assert/strict";
import test from "node:test";
import { ModelError } from "../error.js";
import type { DType } from "../graph/dtype.js";
import { Graph, type Tensor, value } from "../graph/graph.js";
import { runGraph } from "../runtime/run_graph.js";
import { inferGraph } from "./infer.js";
import { affine, type Case, check, graphOf, list, scalar, t } from "./movement.test.kit.js";

const one = (mode: string, n: number, before: number, after: number, expect: number[]) =>
  check("Pad", { inputs: [t([n])], attrs: { pads: [before, after], mode }, expect: [expect] });

test("Pad modes on one axis", async () => {
  await one("constant", 2, 1, 2, [0, 1, 2, 0, 0]);
  await one("constant", 4, -1, -2, [2]);
  await one("constant", 4, -1, 2, [2, 3, 4, 0, 0]);
  await one("constant", 3, -3, 1, [0]);
  await one("constant", 0, 1, 1, [0, 0]);
  await one("edge", 2, 2, 3, [1, 1, 1, 2, 2, 2, 2]);
  await one("reflect", 3, 2, 2, [3, 2, 1, 2, 3, 2, 1]);
  await one("reflect", 3, 5, 4, [2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3]);
  await one("reflect", 1, 2, 1, [1, 1, 1, 1]);
  await one("symmetric", 3, 2, 4, [2, 1, 1, 2, 3, 3, 2, 1, 1]);
  await one("wrap", 3, 2, 4, [2, 3, 1, 2, 3, 1, 2, 3, 1]);
  await one("edge", 4, -1, 1, [2, 3, 4, 4]);
});

test("Pad of several axes, by input, value and pairs", async () => {
  await check("Pad", {
    inputs: [t([1, 2]), list(1, 0, 0, 1), scalar(7, "float32")],
    expect: [[7, 7, 7, 1, 2, 7]],
    shape: [2, 3],
  });
  await check("Pad", {
    inputs: [t([1, 2]), t([2, 2], { dtype: "int32", data: [1, 0, 0, 1] })],
    expect: [[0, 0, 0, 1, 2, 0]],
  });
  await check("Pad", { inputs: [t([], {})], attrs: { pads: [] }, shape: [] });
  for (const mode of ["constant", "reflect", "symmetric", "edge", "wrap"])
    for (const dtype of ["float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool"] as DType[])
      for (const pads of [
        [1, 1, 1, 1, 1, 1, 1, 1],
        [0, 2, 0, 0, 0, 1, 2, 0],
        [0, -1, 1, 0, 0, 1, -1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
      ]) {
        const data = Array.from({ length: 2 * 3 * 4 * 2 }, (_, i) => (dtype === "bool" ? i % 2 : i));
        await check("Pad", {
          inputs: [t([2, 3, 4, 2], { dtype, data, input: true })],
          attrs: { pads, mode },
        });
      }
});

test("Pad of quantised tensors fills with the zero point or the given stored value", async () => {
  const x = t([2], { dtype: "uint8", data: [10, 20], quant: affine(0.5, 128) });
  await check("Pad", { inputs: [x], attrs: { pads: [1, 1] }, expect: [[128, 10, 20, 128]] });
  await check("Pad", { inputs: [x], attrs: { pads: [1, 0], value: 2 }, expect: [[132, 10, 20]] });
  const v = t([], { dtype: "uint8", data: [3], quant: affine(0.5, 128) });
  await check("Pad", { inputs: [x, list(1, 0), v], expect: [[3, 10, 20]] });
});

test("Pad refuses what cannot be", () => {
  const bad = (c: Case) => assert.throws(() => inferGraph(graphOf("Pad", c).graph), ModelError);
  bad({ inputs: [t([2])], attrs: { pads: [1] } });
  bad({ inputs: [t([2])], attrs: { pads: [-2, -1] } });
  bad({ inputs: [t([0])], attrs: { pads: [1, 0], mode: "edge" } });
  bad({ inputs: [t([2])], attrs: { pads: [1, 0], mode: "mirror" } });
  bad({ inputs: [t([2, 2])], attrs: { pads: [2 ** 40, 2 ** 40, 0, 0] } });
});

test("a part of a padded tensor is read from all of it", async () => {
  const x: Tensor = { name: "x", dtype: "float32", shape: [4], kind: "input" };
  const [padded, y] = [value("p", "float32"), value("y", "float32")];
  const graph = new Graph();
  graph.inputs = [x];
  graph.outputs = [y];
  graph.nodes = [
    { op: "Pad", name: "p", inputs: [x], outputs: [padded], attrs: { pads: [0, 4], value: 5 } },
    {
      op: "Slice",
      name: "s",
      inputs: [padded],
      outputs: [y],
      attrs: { starts: [0], ends: [8], axes: [0], steps: [3] },
    },
  ];
  const { y: out } = await runGraph(graph, { x: { data: Float32Array.of(1, 2, 3, 4), shape: [4] } });
  assert.deepEqual([...(out?.data ?? [])], [1, 4, 5]);
});
