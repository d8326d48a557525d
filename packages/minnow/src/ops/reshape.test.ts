import assert from "node:assert/strict";
import test from "node:test";
import { ModelError } from "../error.js";
import { Graph, type Tensor, value } from "../graph/graph.js";
import type { Dim } from "../graph/dim.js";
import { inferGraph } from "./infer.js";
import { check, graphOf, list, t, type Case } from "./movement.test.kit.js";

const shapeOf = (op: string, c: Case): readonly Dim[] => {
  const { graph } = graphOf(op, c);
  return inferGraph(graph).get(graph.outputs[0] as Tensor)?.shape ?? [];
};

test("Reshape: 0 copies, −1 infers, by attribute or input", async () => {
  await check("Reshape", { inputs: [t([2, 3, 4]), list(4, -1)], shape: [4, 6] });
  await check("Reshape", { inputs: [t([2, 3, 4])], attrs: { shape: [0, -1] }, shape: [2, 12] });
  await check("Reshape", { inputs: [t([1])], attrs: { shape: [] }, shape: [] });
  await check("Reshape", {
    inputs: [t([2, 0, 3])],
    attrs: { shape: [0, 5, -1], allowZero: true },
    shape: [0, 5, 0],
  });
});

test("Reshape refuses what does not fit", () => {
  const bad = (shape: number[], x = [2, 3]) =>
    assert.throws(() => shapeOf("Reshape", { inputs: [t(x)], attrs: { shape } }), ModelError, `${shape}`);
  bad([7]);
  bad([-1, 4]);
  bad([-1, -1]);
  bad([-2, 3]);
  bad([2, 3, 0]);
  bad([1, 1, 1, 1, 1, 1, 1, 2, 3]); // rank 9
});

test("Reshape of symbolic shapes: equal dims cancel", () => {
  const x = (...shape: Dim[]): Case["inputs"] => [{ shape: shape as number[] }];
  assert.deepEqual(shapeOf("Reshape", { inputs: x("N", 12, "S", 64), attrs: { shape: [0, -1, 768] } }), [
    "N",
    "S",
    768,
  ]);
  assert.deepEqual(shapeOf("Reshape", { inputs: x("N", 16), attrs: { shape: [-1, 4, 4] } }), ["N", 4, 4]);
  assert.deepEqual(shapeOf("Flatten", { inputs: x("N", 3, 5) }), ["N", 15]);
});

test("Reshape to a shape not known: a fresh name while symbolic, else unsupported", () => {
  const build = (n: Dim): Graph => {
    const { graph } = graphOf("Reshape", {
      inputs: [t([n as number, 4]), t([2], { dtype: "int64", input: true })],
    });
    return graph;
  };
  const graph = build("N");
  const shape = inferGraph(graph).get(graph.outputs[0] as Tensor)?.shape ?? [];
  assert.equal(shape.length, 2);
  assert.ok(shape.every((d) => typeof d === "string"));
  assert.throws(
    () => inferGraph(build(3)),
    (e: ModelError) => e.code === "unsupported" && !!e.hint,
  );
});

test("Flatten, Squeeze, Unsqueeze", async () => {
  await check("Flatten", { inputs: [t([2, 3, 4])], attrs: { axis: -1 }, shape: [6, 4] });
  await check("Flatten", { inputs: [t([2, 3])], attrs: { axis: 0 }, shape: [1, 6] });
  await check("Flatten", { inputs: [t([])], attrs: { axis: 0 }, shape: [1, 1] });
  await check("Squeeze", { inputs: [t([1, 3, 1, 2])], shape: [3, 2] });
  await check("Squeeze", { inputs: [t([1, 3, 1, 2]), list(-2)], shape: [1, 3, 2] });
  await check("Unsqueeze", { inputs: [t([3, 2]), list(0, -1)], shape: [1, 3, 2, 1] });
  await check("Unsqueeze", { inputs: [t([])], attrs: { axes: [0] }, shape: [1] });
  assert.throws(() => shapeOf("Squeeze", { inputs: [t([2])], attrs: { axes: [0] } }), ModelError);
  assert.throws(() => shapeOf("Unsqueeze", { inputs: [t([2])], attrs: { axes: [0, 0] } }), ModelError);
  assert.throws(() => shapeOf("Unsqueeze", { inputs: [t([2])], attrs: { axes: [4] } }), ModelError);
});

test("the shape arithmetic of an exporter's flatten disappears", () => {
  // reshape(x, [shape(x)[0], -1]) with batch N
  const graph = new Graph();
  const x = { name: "x", dtype: "float32", shape: ["N", 3, 8], kind: "input" } as Tensor;
  const index = {
    name: "i",
    dtype: "int64",
    shape: [],
    kind: "constant",
    data: BigInt64Array.of(0n),
  } as Tensor;
  const rest = {
    name: "r",
    dtype: "int64",
    shape: [1],
    kind: "constant",
    data: BigInt64Array.of(-1n),
  } as Tensor;
  const v = (name: string) => value(name, "int64");
  const [shape, batch, row, wanted] = [v("s"), v("b"), v("u"), v("w")] as [Tensor, Tensor, Tensor, Tensor];
  const y = value("y", "float32");
  graph.inputs = [x];
  graph.outputs = [y];
  graph.nodes = [
    { op: "Shape", name: "1", inputs: [x], outputs: [shape], attrs: {} },
    { op: "Gather", name: "2", inputs: [shape, index], outputs: [batch], attrs: {} },
    { op: "Unsqueeze", name: "3", inputs: [batch], outputs: [row], attrs: { axes: [0] } },
    { op: "Concat", name: "4", inputs: [row, rest], outputs: [wanted], attrs: { axis: 0 } },
    { op: "Reshape", name: "5", inputs: [x, wanted], outputs: [y], attrs: {} },
  ];
  const known = inferGraph(graph);
  assert.deepEqual(known.get(wanted)?.value, ["N", -1]);
  assert.deepEqual(known.get(y)?.shape, ["N", 24]);
});
