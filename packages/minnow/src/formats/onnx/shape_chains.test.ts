// Shapes computed by the graph itself, as exporters of transformers write them: with dynamic dimensions they
// stay open, and once these are bound they follow.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Tensor } from "../../graph/graph.js";
import { inferGraph } from "../../ops/infer.js";
import { type ModelSpec, modelBytes, type NodeSpec, type TensorSpec } from "./model.test.helper.js";
import { readOnnx } from "./reader.js";

const vector = (name: string, ...v: number[]): TensorSpec => ({ name, type: 7, dims: [v.length], int64s: v });
const scalar = (name: string, v: number): TensorSpec => ({ name, type: 7, dims: [], int64s: [v] });
const common = [scalar("zero", 0), scalar("one", 1), vector("[0]", 0), vector("[1]", 1)];

/** batch and seq of x, as scalars b, q and vectors [b], [q]. */
const sizes: NodeSpec[] = [
  { op: "Shape", inputs: ["x"], outputs: ["shape"] },
  { op: "Gather", inputs: ["shape", "zero"], outputs: ["b"] },
  { op: "Gather", inputs: ["shape", "one"], outputs: ["q"] },
  { op: "Unsqueeze", inputs: ["b", "[0]"], outputs: ["[b]"] },
  { op: "Unsqueeze", inputs: ["q", "[0]"], outputs: ["[q]"] },
];

/** Output shapes with batch = 2 and seq = 5. */
function bound(m: ModelSpec): Record<string, readonly (number | string)[]> {
  const g = readOnnx(modelBytes(m));
  const known = inferGraph(g, { dims: { batch: 2, seq: 5 } });
  return Object.fromEntries(g.outputs.map((t) => [t.name, known.get(t as Tensor)?.shape ?? []]));
}

test("heads of attention, positions, a slice of a table", () => {
  const m: ModelSpec = {
    nodes: [
      ...sizes,
      { op: "Concat", inputs: ["[b]", "[q]", "heads", "width"], outputs: ["split"], attrs: { axis: 0 } },
      { op: "Reshape", inputs: ["x", "split"], outputs: ["h"] },
      { op: "Transpose", inputs: ["h"], outputs: ["t"], attrs: { perm: [0, 2, 1, 3] } },
      { op: "Range", inputs: ["zero", "q", "one"], outputs: ["positions"] },
      { op: "Slice", inputs: ["table", "[0]", "[q]"], outputs: ["rows"] },
    ],
    inputs: [{ name: "x", shape: ["batch", "seq", 64] }],
    outputs: [{ name: "t" }, { name: "positions", type: 7 }, { name: "rows" }],
    initializers: [
      ...common,
      vector("heads", 4),
      vector("width", 16),
      { name: "table", dims: [8, 2], floats: Array(16).fill(0) },
    ],
  };
  assert.deepEqual(bound(m), { t: [2, 4, 5, 16], positions: [5], rows: [5, 2] });
  const open = readOnnx(modelBytes(m)).outputs.map((t) => t.shape);
  assert.deepEqual(open.slice(0, 2), [["batch", 4, "seq", 16], ["seq"]]);
});

test("Expand by a shape whose −1 are replaced by Where (PyTorch's expand)", () => {
  const m: ModelSpec = {
    nodes: [
      ...sizes,
      { op: "Concat", inputs: ["[b]", "[1]", "[q]", "[q]"], outputs: ["to"], attrs: { axis: 0 } },
      { op: "Shape", inputs: ["to"], outputs: ["rank"] },
      {
        op: "ConstantOfShape",
        inputs: ["rank"],
        outputs: ["ones"],
        attrs: { value: { tensor: { type: 7, dims: [1], int64s: [1] } } },
      },
      { op: "Mul", inputs: ["ones", "-1"], outputs: ["minus"] },
      { op: "Equal", inputs: ["to", "minus"], outputs: ["open"] },
      { op: "Where", inputs: ["open", "ones", "to"], outputs: ["size"] },
      { op: "Unsqueeze", inputs: ["x", "[1,2]"], outputs: ["x4"] },
      { op: "Expand", inputs: ["x4", "size"], outputs: ["y"] },
    ],
    inputs: [{ name: "x", shape: ["batch", "seq"] }],
    outputs: [{ name: "y" }],
    initializers: [...common, scalar("-1", -1), vector("[1,2]", 1, 2)],
  };
  assert.deepEqual(bound(m), { y: [2, 1, 5, 5] });
});

test("halves of a dynamic axis by integer division", () => {
  const half = (start: string, end: string, out: string): NodeSpec => ({
    op: "Slice",
    inputs: ["x", start, end, "[1]"],
    outputs: [out],
  });
  const m: ModelSpec = {
    nodes: [
      ...sizes,
      { op: "Div", inputs: ["q", "two"], outputs: ["middle"] },
      { op: "Unsqueeze", inputs: ["middle", "[0]"], outputs: ["[middle]"] },
      half("[0]", "[middle]", "left"),
      half("[middle]", "end", "right"),
      { op: "Concat", inputs: ["right", "left"], outputs: ["both"], attrs: { axis: 1 } },
      { op: "Add", inputs: ["both", "x"], outputs: ["y"] },
    ],
    inputs: [{ name: "x", shape: ["batch", "seq", 64] }],
    outputs: [{ name: "left" }, { name: "right" }, { name: "y" }],
    initializers: [...common, scalar("two", 2), vector("end", Number.MAX_SAFE_INTEGER)],
  };
  assert.deepEqual(bound(m), { left: [2, 2, 64], right: [2, 3, 64], y: [2, 5, 64] });
});
