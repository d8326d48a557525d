// If: branches taken by sizes, by values that are fixed, and by data; names, nesting and what is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { convert, toGraph } from "../../convert.js";
import { ModelError } from "../../error.js";
import { load, type Model, type ModelInputs } from "../../index.js";
import { type GraphSpec, type ModelSpec, modelBytes, type NodeSpec } from "./model.test.helper.js";
import { readOnnx } from "./reader.js";

const node = (op: string, inputs: string[], output: string, attrs: NodeSpec["attrs"] = {}): NodeSpec => ({
  op,
  inputs,
  outputs: [output],
  attrs,
});
const branch = (nodes: NodeSpec[], output: string, more: Partial<GraphSpec> = {}): GraphSpec => ({
  nodes,
  outputs: [{ name: output }],
  ...more,
});
const either = (condition: string, a: GraphSpec, b: GraphSpec, output = "y"): NodeSpec =>
  node("If", [condition], output, { then_branch: { graph: a }, else_branch: { graph: b } });

/** torch's Squeeze of axis 1 where it is 1. */
const squeeze: ModelSpec = {
  nodes: [
    node("Shape", ["x"], "s"),
    node("Gather", ["s", "one"], "n"),
    node("Equal", ["n", "one"], "c"),
    either(
      "c",
      branch([node("Squeeze", ["x", "axes"], "t")], "t", {
        initializers: [{ name: "axes", type: 7, dims: [1], int64s: [1] }],
      }),
      branch([node("Identity", ["x"], "t")], "t"),
      "z",
    ),
    node("Relu", ["z"], "y"),
  ],
  inputs: [{ name: "x", shape: [2, "n"] }],
  outputs: [{ name: "y" }],
  initializers: [{ name: "one", type: 7, dims: [], int64s: [1] }],
};

test("sizes that are given decide, ranks and all", () => {
  for (const [n, shape] of [
    [1, [2]],
    [3, [2, 3]],
  ] as const) {
    const g = toGraph(modelBytes(squeeze), { dims: { n } });
    assert.deepEqual(g.outputs[0]?.shape, shape);
    assert.equal(
      g.nodes.some((x) => x.op === "Where"),
      false,
    );
  }
  assert.throws(
    () => readOnnx(modelBytes(squeeze)),
    (e) =>
      e instanceof ModelError &&
      e.code === "unsupported" &&
      /give sizes and inputs that decide/.test(e.hint ?? ""),
  );
});

/** y = r > 0 ? (r > 5 ? x + x : −x) : x · k; both branches of the outer name their tensors alike. */
const byData: ModelSpec = {
  nodes: [
    either(
      "c",
      branch(
        [
          node("Greater", ["r", "five"], "t"),
          either(
            "t",
            branch([node("Add", ["x", "x"], "u")], "u"),
            branch([node("Neg", ["x"], "u")], "u"),
            "v",
          ),
        ],
        "v",
        { initializers: [{ name: "five", type: 7, dims: [], int64s: [5] }] },
      ),
      branch([node("Mul", ["x", "t"], "v")], "v", { initializers: [{ name: "t", dims: [], floats: [3] }] }),
    ),
    node("Greater", ["r", "zero"], "c"), // after its reader: sorted by what branches read
  ],
  inputs: [
    { name: "x", shape: ["n"] },
    { name: "r", type: 7, shape: [1] },
  ],
  outputs: [{ name: "y" }],
  initializers: [{ name: "zero", type: 7, dims: [1], int64s: [0] }],
};

const answer = async (model: Model, inputs: ModelInputs): Promise<unknown[]> =>
  Array.from((await model.run(inputs)).y?.data as Float32Array);

const x = Float32Array.of(1, -2, Number.POSITIVE_INFINITY);

test("where data decide, both branches are computed and one is picked", async () => {
  for (const source of [modelBytes(byData), await convert(modelBytes(byData))]) {
    await using model = await load(source);
    for (const [r, want] of [
      [0, [3, -6, Number.POSITIVE_INFINITY]],
      [1, [-1, 2, Number.NEGATIVE_INFINITY]],
      [6, [2, -4, Number.POSITIVE_INFINITY]],
    ] as const)
      assert.deepEqual(await answer(model, { x, r: [r] }), want);
  }
});

test("a value that is fixed decides: the other branch is gone, from .onnx and from .minnow", async () => {
  for (const source of [modelBytes(byData), await convert(modelBytes(byData))]) {
    const g = toGraph(source, { values: { r: 6 } });
    assert.deepEqual(
      g.inputs.map((t) => t.name),
      ["x"],
    );
    assert.deepEqual(
      g.nodes.map((n) => n.op),
      ["Add"],
    );
    await using model = await load(source, { values: { r: [1] } });
    assert.deepEqual(await answer(model, { x }), [-1, 2, Number.NEGATIVE_INFINITY]);
  }
});

test("values that do not fit", () => {
  const bad = (values: Record<string, number | number[]>, message: RegExp): void =>
    assert.throws(
      () => toGraph(modelBytes(byData), { values }),
      (e) => e instanceof ModelError && e.code === "bad_option" && message.test(e.message),
    );
  bad({ q: 1 }, /no input is named "q"/);
  bad({ r: [1, 2] }, /2 numbers do not fit/);
  bad({ r: 0.5 }, /do not fit/);
  bad({ x: 1 }, /do not fit input "x", float32 \[n\]/);
});

test("branches that cannot be", () => {
  const fails = (nodes: NodeSpec[], code: string, message: RegExp): void =>
    assert.throws(
      () => readOnnx(modelBytes({ ...byData, nodes: [node("Greater", ["r", "zero"], "c"), ...nodes] })),
      (e) => e instanceof ModelError && e.code === code && message.test(e.message),
    );
  const good = branch([node("Neg", ["x"], "v")], "v");
  fails([either("c", good, branch([], "w"))], "bad_graph", /reads "w", which nothing defines/);
  fails([either("c", good, branch([node("Neg", ["w"], "v")], "v"))], "bad_graph", /reads "w"/);
  fails([either("c", good, branch([node("Neg", ["r"], "x")], "x"))], "bad_graph", /"x" is defined twice/);
  fails(
    [either("c", good, branch([node("Neg", ["r"], "v")], "v"))],
    "unsupported",
    /float32 \[n\] and int64 \[1\]/,
  );
  fails([node("If", ["c"], "y", { then_branch: { graph: good } })], "bad_graph", /else_branch is missing/);
  fails(
    [either("c", good, branch([node("NonZero", ["x"], "v")], "v"))],
    "unsupported",
    /NonZero.*else_branch cannot run/,
  );
  const wide = branch([node("MatMul", ["five", "five"], "v")], "v", {
    initializers: [{ name: "five", dims: [2, 3], floats: [1, 2, 3, 4, 5, 6] }],
  });
  fails([either("c", good, wide)], "unsupported", /its else_branch does not fit these sizes: MatMul/);
  const lookup = branch([node("Gather", ["x", "r"], "v")], "v");
  fails([either("c", lookup, lookup)], "unsupported", /Gather of computed indices, which may fail/);
  let deep = good;
  for (let i = 0; i < 40; i++) deep = branch([either("c", deep, good, `v${i}`)], `v${i}`);
  fails([either("c", deep, good)], "bad_file", /nested too deep/);
});
