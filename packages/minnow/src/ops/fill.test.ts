// Shape, Size, Range, Fill.
import assert from "node:assert/strict";
import test from "node:test";
import { ModelError } from "../error.js";
import type { DType } from "../graph/dtype.js";
import { type Tensor, value } from "../graph/graph.js";
import { compile } from "../compiler/compile.js";
import { runGraph } from "../runtime/run_graph.js";
import { inferGraph } from "./infer.js";
import { affine, type Case, check, graphOf, scalar, t } from "./movement.test.kit.js";

test("Shape, Size", async () => {
  const int64 = [{ dtype: "int64" as DType }];
  await check("Shape", { inputs: [t([2, 0, 3])], outputs: int64, expect: [[2, 0, 3]] });
  await check("Shape", {
    inputs: [t([2, 4, 3])],
    attrs: { start: -2, end: -1 },
    outputs: int64,
    expect: [[4]],
  });
  await check("Shape", { inputs: [t([])], outputs: int64, shape: [0] });
  await check("Shape", {
    inputs: [t([2])],
    attrs: { to: "int32" },
    outputs: [{ dtype: "int32" }],
    expect: [[2]],
  });
  await check("Size", { inputs: [t([2, 4, 3])], outputs: int64, expect: [[24]], shape: [] });
});

test("Range", async () => {
  // The first input of the kit is given at run time; ranges need constants.
  const { graph } = graphOf("Range", { inputs: [scalar(0), scalar(5), scalar(2)] });
  assert.throws(
    () => inferGraph(graph),
    (e: unknown) => e instanceof ModelError && e.code === "unsupported",
  );
  const constants = (...v: number[]) =>
    v.map(
      (x, i): Tensor => ({
        name: `c${i}`,
        dtype: "float32",
        shape: [],
        kind: "constant",
        data: Float32Array.of(x),
      }),
    );
  const shape = (...v: number[]) => {
    const y = value("y", "float32");
    graph.inputs = [];
    graph.nodes = [{ op: "Range", name: "r", inputs: constants(...v), outputs: [y], attrs: {} }];
    graph.outputs = [y];
    return inferGraph(graph).get(y)?.shape;
  };
  assert.deepEqual(shape(0, 1, 0.25), [4]);
  assert.deepEqual(shape(0, 1, 0.3), [4]);
  assert.deepEqual(shape(1, 0, 0.5), [0]);
  assert.deepEqual(shape(3, 0, -1), [3]);
  assert.throws(() => shape(0, 1, 0), ModelError);
  assert.throws(() => shape(0, Number.POSITIVE_INFINITY, 1), ModelError);
  assert.throws(() => shape(Number.NaN, 1, 1), ModelError);
  assert.deepEqual(shape(0, 2 ** 40, 1), [2 ** 40]);
  assert.throws(() => compile(graph), ModelError); // and nothing is allocated
  shape(1, 3, 0.5);
  assert.deepEqual([...(Object.values(await runGraph(graph, {}))[0]?.data ?? [])], [1, 1.5, 2, 2.5]);
});

test("Fill", async () => {
  await check("Fill", {
    inputs: [null],
    attrs: { shape: [2, 2], value: 1.5 },
    expect: [[1.5, 1.5, 1.5, 1.5]],
  });
  await check("Fill", { inputs: [null, t([1], { data: [7] })], attrs: { shape: [3] }, expect: [[7, 7, 7]] });
  await check("Fill", {
    inputs: [null],
    attrs: { shape: [2], value: 3, to: "int64" },
    outputs: [{ dtype: "int64" }],
    expect: [[3, 3]],
  });
  await check("Fill", { inputs: [null], attrs: { shape: [0, 4] }, shape: [0, 4] });
  await check("Fill", {
    inputs: [null],
    attrs: { shape: [5000], value: 2, to: "int32" },
    outputs: [{ dtype: "int32" }],
  });
  await check("Fill", {
    inputs: [null],
    attrs: { shape: [2], to: "uint8" },
    outputs: [{ dtype: "uint8", quant: affine(1, 9) }],
    expect: [[9, 9]],
  });
  const bad = (c: Case) => assert.throws(() => inferGraph(graphOf("Fill", c).graph), ModelError);
  bad({ inputs: [null], attrs: { shape: [-1] } });
  bad({ inputs: [null], attrs: { shape: [2 ** 30, 2 ** 30] } });
  bad({ inputs: [null], attrs: { shape: [1, 1, 1, 1, 1, 1, 1, 1, 1] } });
});

test("values of shapes stay known through movement", () => {
  const { graph } = graphOf("Shape", { inputs: [{ shape: ["N", 3, "H", "W"] as unknown as number[] }] });
  let last = graph.outputs[0] as Tensor;
  const then = (op: string, attrs: Record<string, number[] | number>, ...more: Tensor[]): void => {
    const y = value(`${op}${graph.nodes.length}`, "int64");
    graph.nodes.push({ op, name: op, inputs: [last, ...more], outputs: [y], attrs });
    last = y;
  };
  const constant = (name: string, ...data: number[]): Tensor => ({
    name,
    dtype: "int64",
    shape: [data.length],
    kind: "constant",
    data: BigInt64Array.from(data, BigInt),
  });
  then("Slice", { starts: [2], ends: [4], axes: [0] });
  then("Concat", { axis: 0 }, constant("c", 5));
  then("Gather", { axis: 0 }, constant("g", 2, 0, -2));
  then("Unsqueeze", { axes: [0] });
  then("Transpose", {});
  then("Squeeze", { axes: [1] });
  then("Tile", { repeats: [2] });
  then("Reverse", { axes: [0] });
  then("Pad", { pads: [0, 1] });
  graph.outputs = [last];
  assert.deepEqual(inferGraph(graph).get(last)?.value, ["W", "H", 5, "W", "H", 5, 0]);
});
