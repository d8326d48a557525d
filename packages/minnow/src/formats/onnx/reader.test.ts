// What the reader does with small hand-written models: names, types, order, metadata, and every way to be wrong.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ErrorCode, ModelError } from "../../error.js";
import type { Tensor } from "../../graph/graph.js";
import { inferGraph } from "../../ops/infer.js";
import { evaluate } from "../../targets/reference/index.js";
import { parseLabels } from "./labels.js";
import { float32, modelBytes, type ModelSpec } from "./model.test.helper.js";
import { readOnnx } from "./reader.js";

const read = (m: ModelSpec) => readOnnx(modelBytes(m));

function fails(m: ModelSpec, code: ErrorCode, message: RegExp): ModelError {
  try {
    read(m);
  } catch (e) {
    assert.ok(e instanceof ModelError, String(e));
    assert.equal(e.code, code, e.message);
    assert.match(e.message, message);
    return e;
  }
  return assert.fail("it was read");
}

const x = { name: "x", shape: [1, 2] };
const y = { name: "y", shape: [1, 2] };
const relu = { op: "Relu", inputs: ["x"], outputs: ["y"] };

test("names, types and dynamic dims", () => {
  const g = read({
    nodes: [
      { op: "Relu", inputs: ["x"], outputs: ["a"] },
      { op: "Relu", name: "twice", inputs: ["a"], outputs: ["b"] },
      { op: "Relu", name: "twice", inputs: ["b"], outputs: ["y"] },
    ],
    inputs: [{ name: "x", shape: ["batch size", null, 3, "?", "?"] }],
    outputs: [{ name: "y" }],
  });
  assert.deepEqual(
    g.nodes.map((n) => n.name),
    ["Relu_0", "twice", "twice_1"],
  );
  assert.deepEqual(g.outputs[0]?.shape, ["batch_size", "x_1", 3, "x_3", "x_4"]);
  assert.equal(g.name, "test");
  assert.equal(g.meta.format, "onnx");
});

test("nodes are sorted", () => {
  const g = read({
    nodes: [
      { op: "Relu", inputs: ["a"], outputs: ["y"] },
      { op: "Neg", inputs: ["x"], outputs: ["a"] },
    ],
    inputs: [x],
    outputs: [y],
  });
  assert.deepEqual(
    g.nodes.map((n) => n.op),
    ["Neg", "Relu"],
  );
});

test("initialisers that are also inputs are constants; raw data is a view", () => {
  const bytes = modelBytes({
    nodes: [{ op: "Add", inputs: ["x", "w"], outputs: ["y"] }],
    inputs: [x, { name: "w", shape: [2] }],
    outputs: [y],
    initializers: [{ name: "w", type: 3, dims: [2], raw: Uint8Array.of(1, 255) }],
  });
  assert.throws(() => readOnnx(bytes), /float32 and int8/); // types are checked
  const g = readOnnx(
    modelBytes({
      nodes: [
        { op: "Cast", inputs: ["w"], outputs: ["f"], attrs: { to: 1 } },
        { op: "Add", inputs: ["x", "f"], outputs: ["y"] },
      ],
      inputs: [x, { name: "w", shape: [2], type: 3 }],
      outputs: [y],
      initializers: [{ name: "w", type: 3, dims: [2], raw: Uint8Array.of(1, 255) }],
    }),
  );
  assert.deepEqual(
    g.inputs.map((t) => t.name),
    ["x"],
  );
  const w = g.nodes[0]?.inputs[0];
  assert.deepEqual([...(w?.data ?? [])], [1, -1]);
  assert.ok((w?.data?.buffer.byteLength ?? 0) > 2, "it lies in the file");
});

test("float16: storage at the doors and in constants, float32 between", () => {
  const g = read({
    nodes: [{ op: "Add", inputs: ["x", "w"], outputs: ["y"] }],
    inputs: [{ ...x, type: 10 }],
    outputs: [{ ...y, type: 10 }],
    initializers: [{ name: "w", type: 10, dims: [1], int32s: [0x3c00] }],
  });
  assert.deepEqual(
    g.nodes.map((n) => n.op),
    ["Cast", "Cast", "Add", "Cast"],
  );
  assert.deepEqual(
    [g.inputs[0]?.dtype, g.outputs[0]?.dtype, g.outputs[0]?.name],
    ["float16", "float16", "y"],
  );
  const out = evaluate(g, { x: { data: Uint16Array.of(0x4000, 0xc000), shape: [1, 2] } });
  assert.deepEqual([...(out.get(g.outputs[0] as never)?.data ?? [])], [3, -1]);
});

test("convolution weights are permuted to [O,kh,kw,I]", () => {
  const g = read({
    nodes: [{ op: "Conv", name: "c", inputs: ["x", "w"], outputs: ["y"] }],
    inputs: [{ name: "x", shape: [1, 2, 5, 5] }],
    outputs: [{ name: "y" }],
    initializers: [{ name: "w", dims: [1, 2, 1, 3], raw: float32(1, 2, 3, 4, 5, 6) }],
  });
  const conv = g.nodes.find((n) => n.op === "Conv2D");
  assert.deepEqual(conv?.inputs[1]?.shape, [1, 1, 3, 2]);
  assert.deepEqual([...(conv?.inputs[1]?.data ?? [])], [1, 4, 2, 5, 3, 6]);
  assert.equal(conv?.name, "c");
  assert.deepEqual(g.outputs[0]?.shape, [1, 1, 5, 3]);
});

test("softmax before operator set 13 takes the axes from `axis` on together", () => {
  const model = (opset: number): ModelSpec => ({
    opset,
    nodes: [{ op: "Softmax", inputs: ["x"], outputs: ["y"], attrs: { axis: 1 } }],
    inputs: [{ name: "x", shape: [1, 2, 2] }],
    outputs: [{ name: "y" }],
  });
  const run = (opset: number): number[] => {
    const g = read(model(opset));
    const out = evaluate(g, { x: { data: [0, 0, 0, 0], shape: [1, 2, 2] } });
    return [...(out.get(g.outputs[0] as never)?.data ?? [])];
  };
  assert.deepEqual(run(12), [0.25, 0.25, 0.25, 0.25]);
  assert.deepEqual(run(13), [0.5, 0.5, 0.5, 0.5]);
});

test("quantised numbers are joined as they are stored", () => {
  const model = (second: string): ModelSpec => ({
    opset: 13,
    nodes: [
      { op: "QuantizeLinear", inputs: ["x", "s", "z"], outputs: ["a"] },
      { op: "QuantizeLinear", inputs: ["x", second, "z"], outputs: ["b"] },
      { op: "Concat", inputs: ["a", "b"], outputs: ["q"], attrs: { axis: 1 } },
      { op: "DequantizeLinear", inputs: ["q", "s", "z"], outputs: ["y"] },
    ],
    inputs: [x],
    outputs: [{ name: "y" }],
    initializers: [
      { name: "s", dims: [], raw: float32(0.5) },
      { name: "s2", dims: [], raw: float32(0.25) },
      { name: "z", dims: [], type: 3, raw: Uint8Array.of(0xff) },
    ],
  });
  const g = read(model("s"));
  assert.deepEqual(g.nodes.find((n) => n.op === "Concat")?.outputs[0]?.quant?.zeroPoint, [-1]);
  const out = evaluate(g, { x: { data: [1, -2], shape: [1, 2] } });
  assert.deepEqual([...(out.get(g.outputs[0] as never)?.data ?? [])], [1, -2, 1, -2]);
  fails(model("s2"), "unsupported", /different scales/);
});

test("sizes of a resize computed from shapes, as PyTorch writes them", () => {
  const model = (version: "sizes" | "scales"): ModelSpec => ({
    opset: version === "sizes" ? 13 : 10,
    nodes: [
      { op: "Shape", inputs: ["x"], outputs: ["shape"] },
      { op: "Slice", inputs: ["shape", "two", "four"], outputs: ["hw"] },
      { op: "Cast", inputs: ["hw"], outputs: ["hwf"], attrs: { to: 1 } },
      { op: "Mul", inputs: ["hwf", "factor"], outputs: ["scaled"] },
      ...(version === "sizes"
        ? [
            { op: "Floor", inputs: ["scaled"], outputs: ["floor"] },
            { op: "Cast", inputs: ["floor"], outputs: ["size"], attrs: { to: 7 } },
            { op: "Slice", inputs: ["shape", "zero", "two"], outputs: ["nc"] },
            { op: "Concat", inputs: ["nc", "size"], outputs: ["sizes"], attrs: { axis: 0 } },
            { op: "Resize", inputs: ["x", "", "", "sizes"], outputs: ["y"] },
          ]
        : [
            { op: "Div", inputs: ["scaled", "hwf"], outputs: ["ratio"] },
            { op: "Concat", inputs: ["ones", "ratio"], outputs: ["scales"], attrs: { axis: 0 } },
            { op: "Resize", inputs: ["x", "scales"], outputs: ["y"] },
          ]),
    ],
    inputs: [{ name: "x", shape: [1, 2, "h", "w"] }],
    outputs: [{ name: "y" }],
    initializers: [
      { name: "zero", type: 7, dims: [1], int64s: [0] },
      { name: "two", type: 7, dims: [1], int64s: [2] },
      { name: "four", type: 7, dims: [1], int64s: [4] },
      { name: "factor", dims: [1], floats: [1.5] },
      { name: "ones", dims: [2], floats: [1, 1] },
    ],
  });
  for (const version of ["sizes", "scales"] as const) {
    const g = read(model(version));
    const known = inferGraph(g, { dims: { h: 5, w: 8 } });
    assert.deepEqual(known.get(g.outputs[0] as Tensor)?.shape, [1, 2, 7, 12], version);
  }
});

test("labels out of metadata", () => {
  const g = read({ nodes: [relu], inputs: [x], outputs: [y], props: { names: "{0: 'cat', 1: \"dog's\"}" } });
  assert.deepEqual(g.meta.labels?.y, ["cat", "dog's"]);
  assert.deepEqual(parseLabels('["a", "b"]'), ["a", "b"]);
  assert.deepEqual(parseLabels("['a', 'b']"), ["a", "b"]);
  assert.deepEqual(parseLabels('{"1": "b", "0": "a"}'), ["a", "b"]);
  assert.deepEqual(parseLabels("a\nb c\n"), ["a", "b c"]);
  assert.equal(parseLabels("{0: 'a', 2: 'c'}"), undefined);
  assert.equal(parseLabels("[1, 2"), undefined);
});

test("everything unsupported is reported at once", () => {
  const e = fails(
    {
      nodes: [
        { op: "NonMaxSuppression", name: "nms", inputs: ["x"], outputs: ["a"] },
        { op: "Relu", inputs: ["a"], outputs: ["b"] },
        { op: "Inverse", domain: "com.microsoft", inputs: ["x"], outputs: ["c"] },
        { op: "Loop", inputs: ["", "x"], outputs: ["d"], attrs: { body: { graph: { nodes: [] } } } },
        { op: "MyFunction", domain: "local", inputs: ["x"], outputs: ["e"] },
        { op: "Relu", inputs: ["x"], outputs: ["f"], attrs: { strange: 1 } },
        { op: "Relu", inputs: ["x"], outputs: ["y"] },
      ],
      functions: ["MyFunction"],
      inputs: [x, { name: "z", type: 11, shape: [1] }],
      outputs: [y],
      initializers: [{ name: "far", dims: [2], external: true }],
    },
    "unsupported",
    /NonMaxSuppression "nms"/,
  );
  assert.deepEqual(
    e.problems?.map((p) => p.op || p.node),
    ["far", "z", "NonMaxSuppression", "Inverse", "Loop", "MyFunction", "Relu"],
  );
  assert.match(e.problems?.[0]?.reason ?? "", /another file.*save_as_external_data/);
  assert.match(e.problems?.[5]?.reason ?? "", /functions inside the model/);
  assert.match(e.problems?.[6]?.reason ?? "", /attribute strange/);
});

test("graphs that cannot be", () => {
  const io = { inputs: [x], outputs: [y] };
  fails(
    { nodes: [{ op: "Relu", inputs: ["q"], outputs: ["y"] }], ...io },
    "bad_graph",
    /"q", which nothing defines/,
  );
  fails({ nodes: [relu, relu], ...io }, "bad_graph", /"y" is defined twice/);
  fails(
    { nodes: [{ op: "Relu", inputs: ["y"], outputs: ["x"] }, relu], ...io },
    "bad_graph",
    /defined twice/,
  );
  fails(
    {
      nodes: [
        { op: "Add", inputs: ["x", "b"], outputs: ["a"] },
        { op: "Relu", inputs: ["a"], outputs: ["b"] },
        { op: "Relu", inputs: ["b"], outputs: ["y"] },
      ],
      ...io,
    },
    "bad_graph",
    /part of a cycle/,
  );
  fails({ nodes: [], ...io }, "bad_graph", /"y" is never made/);
  fails({ nodes: [{ op: "Relu", inputs: [], outputs: ["y"] }], ...io }, "bad_graph", /input 0 is missing/);
  fails({ opset: 99, nodes: [relu], ...io }, "unsupported", /operator set 99/);
});

test("tensors must hold what their dims say", () => {
  const io = { nodes: [relu], inputs: [x], outputs: [y] };
  fails(
    { ...io, initializers: [{ name: "w", dims: [3], raw: float32(1, 2) }] },
    "bad_file",
    /8 bytes of data, its shape \[3\] needs 12/,
  );
  fails(
    { ...io, initializers: [{ name: "w", dims: [3], floats: [1] }] },
    "bad_file",
    /1 numbers, its shape needs 3/,
  );
  fails(
    { ...io, initializers: [{ name: "w", type: 7, dims: [2], int64s: [1, 2, 3] }] },
    "bad_file",
    /3 numbers/,
  );
  fails({ ...io, initializers: [{ name: "w", dims: [-1], floats: [1] }] }, "bad_file", /a dimension is -1/);
  fails({ ...io, initializers: [{ name: "w", dims: [2 ** 40, 2 ** 40] }] }, "bad_file", /its shape is/);
  fails({ ...io, initializers: [{ name: "w", dims: [2 ** 40] }] }, "bad_file", /0 numbers/);
});

test("bytes that are not ONNX", () => {
  for (const bytes of [[], [1], [0xff, 0xff, 0xff, 0xff], [0x3a, 0xff, 0xff, 0xff, 0xff, 0x7f]])
    assert.throws(
      () => readOnnx(Uint8Array.from(bytes)),
      (e: unknown) => e instanceof ModelError && e.code === "bad_file",
    );
});

test("tensor data in every encoding", () => {
  const constant = (type: number, spec: object) => {
    const g = read({
      nodes: [
        {
          op: "Constant",
          inputs: [],
          outputs: ["c"],
          attrs: { value: { tensor: { type, dims: [2], ...spec } } },
        },
        relu,
      ],
      inputs: [x],
      outputs: [y, { name: "c" }],
    });
    const t = g.nodes.find((n) => n.op === "Identity")?.inputs[0] ?? g.nodes[0]?.inputs[0];
    return [t?.dtype, ...(t?.data ?? [])];
  };
  assert.deepEqual(constant(1, { floats: [1.5, -2] }), ["float32", 1.5, -2]);
  assert.deepEqual(constant(6, { int32s: [-7, 2 ** 31 - 1] }), ["int32", -7, 2 ** 31 - 1]);
  assert.deepEqual(constant(7, { int64s: [-7, 2 ** 52] }), ["int64", -7n, 2n ** 52n]);
  assert.deepEqual(constant(9, { int32s: [0, 3] }), ["bool", 0, 1]);
  assert.deepEqual(constant(9, { raw: Uint8Array.of(2, 0) }), ["bool", 1, 0]);
  assert.deepEqual(constant(11, { raw: new Uint8Array(Float64Array.of(0.5, -1).buffer) }), [
    "float32",
    0.5,
    -1,
  ]);
  assert.deepEqual(constant(16, { raw: Uint8Array.of(0x80, 0x3f, 0, 0xc0) }), ["float32", 1, -2]);
  assert.deepEqual(constant(4, { raw: Uint8Array.of(1, 2, 0xff, 0xff) }), ["int32", 513, 65535]);
  assert.deepEqual(constant(12, { raw: Uint8Array.of(1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff) }), [
    "int64",
    1n,
    2n ** 32n - 1n,
  ]);
});
