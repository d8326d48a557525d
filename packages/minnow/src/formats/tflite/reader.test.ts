// The TFLite reader on small files made here: what operators become, and what damaged or unsupported
// files say.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ModelError } from "../../error.js";
import { print } from "../../graph/text.js";
import { buildTflite, type ModelSpec, type TensorSpec } from "./build.test.helper.js";
import { readTflite } from "./reader.js";

const f32 = (name: string, shape: number[], data?: Float32Array): TensorSpec => ({
  name,
  type: "FLOAT32",
  shape,
  ...(data && { data }),
});
const i32 = (name: string, ...data: number[]): TensorSpec => ({
  name,
  type: "INT32",
  shape: [data.length],
  data: Int32Array.from(data),
});

/** One operator over the tensors: the last one is its output, the first its input. */
const single = (
  op: string,
  tensors: TensorSpec[],
  options?: Record<number, { i8: number } | { i32: number } | { f32: number }>,
): ModelSpec => ({
  tensors,
  ops: [
    {
      op,
      inputs: tensors.slice(0, -1).map((_, i) => i),
      outputs: [tensors.length - 1],
      ...(options && { options }),
    },
  ],
  inputs: [0],
  outputs: [tensors.length - 1],
});

const nodes = (spec: ModelSpec): string =>
  print(readTflite(buildTflite(spec)), { data: true })
    .split("\n")
    .slice(1, -2)
    .map((line) => line.trim())
    .join("\n");

function failure(spec: ModelSpec | Uint8Array): ModelError {
  try {
    readTflite(spec instanceof Uint8Array ? spec : buildTflite(spec));
  } catch (e) {
    assert.ok(e instanceof ModelError, String(e));
    return e;
  }
  return assert.fail("it was read");
}

test("a fused activation becomes a node; the output keeps its name", () => {
  const spec = single("ADD", [f32("x", [2]), f32("c", [2], Float32Array.of(1, 2)), f32("y", [2])], {
    0: { i8: 3 },
  });
  assert.equal(
    nodes(spec),
    `const %c: float32[2] = [1, 2]
%y/add: float32[2] = Add(%x, %c) @"ADD:y/add"
%y: float32[2] = Clip(%y/add) {max: 6, min: 0} @"ADD:y"`,
  );
});

test("depth-wise weights are transposed, their scales with them", () => {
  const w = Int8Array.from({ length: 12 }, (_, i) => i); // [1, 2, 2, 3]
  const q = { scale: [0.5] };
  const spec = single(
    "DEPTHWISE_CONV_2D",
    [
      { name: "x", type: "INT8", shape: [1, 4, 4, 3], quant: q },
      { name: "w", type: "INT8", shape: [1, 2, 2, 3], data: w, quant: { scale: [0.25, 0.5, 1], axis: 3 } },
      {
        name: "b",
        type: "INT32",
        shape: [3],
        data: Int32Array.of(1, 2, 3),
        quant: { scale: [0.125, 0.25, 0.5], axis: 3 },
      },
      { name: "y", type: "INT8", shape: [1, 2, 2, 3], quant: q },
    ],
    { 0: { i8: 0 }, 1: { i32: 2 }, 2: { i32: 2 }, 3: { i32: 1 } },
  );
  assert.equal(
    nodes(spec),
    `const %w/transposed: int8[3, 2, 2, 1] q([0.25, 0.5, 1], [0, 0, 0], 0) = [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]
const %b: int32[3] q([0.125, 0.25, 0.5], [0, 0, 0], 0) = [1, 2, 3]
%y: int8[1, 2, 2, 3] q(0.5, 0) = Conv2D(%x, %w/transposed, %b) {dilations: [1, 1], group: 3, padding: "same_upper", strides: [2, 2]} @"DEPTHWISE_CONV_2D:y"`,
  );
});

test("a transposed convolution gets the pads that its output shape asks for", () => {
  const spec: ModelSpec = {
    tensors: [
      f32("x", [1, 2, 2, 1]),
      i32("shape", 1, 5, 4, 2),
      f32("w", [2, 3, 3, 1], new Float32Array(18)),
      f32("y", [1, 5, 4, 2]),
    ],
    ops: [
      {
        op: "TRANSPOSE_CONV",
        inputs: [1, 2, 0],
        outputs: [3],
        options: { 0: { i8: 1 }, 1: { i32: 2 }, 2: { i32: 2 } },
      },
    ],
    inputs: [0],
    outputs: [3],
  };
  const e = failure(spec); // valid padding: 5 rows are right, 4 columns are not
  assert.match(e.message, /output of 4 needs 1 input rows, not 2/);
  const same = {
    ...spec,
    ops: [
      {
        ...spec.ops[0],
        op: "TRANSPOSE_CONV",
        inputs: [1, 2, 0],
        outputs: [3],
        options: { 0: { i8: 0 }, 1: { i32: 2 }, 2: { i32: 2 } },
      },
    ],
  };
  const four = {
    ...same,
    tensors: spec.tensors.map((t) =>
      t.name === "shape" ? i32("shape", 1, 4, 4, 2) : t.name === "y" ? f32("y", [1, 4, 4, 2]) : t,
    ),
  };
  const node = readTflite(buildTflite(four)).nodes[0];
  assert.deepEqual(node?.attrs.pads, [0, 0, 1, 1]);
  assert.deepEqual(node?.inputs[1]?.shape, [1, 3, 3, 2]);
});

test("pads of a dimension become all begins, then all ends", () => {
  const pads: TensorSpec = { name: "pads", type: "INT32", shape: [2, 2], data: Int32Array.of(1, 2, 3, 4) };
  const value = f32("v", [], Float32Array.of(7));
  const node = readTflite(buildTflite(single("PADV2", [f32("x", [2, 2]), pads, value, f32("y", [5, 9])])))
    .nodes[0];
  assert.deepEqual(node?.attrs, { pads: [1, 3, 2, 4], mode: "constant", value: 7 });
});

test("slice sizes of −1 run to the end", () => {
  const spec = single("SLICE", [f32("x", [4, 5]), i32("begin", 1, 2), i32("size", -1, 2), f32("y", [3, 2])]);
  const g = readTflite(buildTflite(spec));
  assert.deepEqual(g.nodes[0]?.attrs, { starts: [1, 2], ends: [2 ** 31 - 1, 4], axes: [0, 1] });
  assert.deepEqual(g.outputs[0]?.shape, [3, 2]);
});

test("open dimensions become symbols, or the file's shape where the graph only holds for that", () => {
  const x = { ...f32("x", [1, 3]), signature: [-1, 3] };
  assert.deepEqual(readTflite(buildTflite(single("ABS", [x, f32("y", [1, 3])]))).outputs[0]?.shape, [
    "batch",
    3,
  ]);
  const two: ModelSpec = {
    tensors: [x, { ...f32("z", [1, 3]), signature: [-1, -1] }, f32("y", [1, 3])],
    ops: [{ op: "ADD", inputs: [0, 1], outputs: [2] }],
    inputs: [0, 1],
    outputs: [2],
  };
  assert.deepEqual(
    readTflite(buildTflite(two)).inputs.map((t) => t.shape),
    [
      ["x_0", 3],
      ["z_0", "z_1"],
    ],
  );
  const fixed = single("CONCATENATION", [x, f32("c", [1, 2], new Float32Array(2)), f32("y", [1, 5])], {
    0: { i32: 1 },
  });
  assert.deepEqual(readTflite(buildTflite(fixed)).outputs[0]?.shape.at(-1), 5);
});

test("names are made unique, empty ones made up", () => {
  const g = readTflite(
    buildTflite(single("ADD", [f32("", [2]), f32("a", [2], new Float32Array(2)), f32("a", [2])])),
  );
  assert.deepEqual(
    g.tensors().map((t) => t.name),
    ["tensor_0", "a", "a_1"],
  );
  assert.equal(g.nodes[0]?.name, "ADD:a_1");
});

test("int4 constants become int8", () => {
  const spec: ModelSpec = {
    tensors: [
      f32("x", [3]),
      { name: "w", type: "INT4", shape: [3], data: Uint8Array.of(0x8f, 0x07), quant: { scale: [0.5] } },
      f32("d", [3]),
      f32("y", [3]),
    ],
    ops: [
      { op: "DEQUANTIZE", inputs: [1], outputs: [2] },
      { op: "MUL", inputs: [0, 2], outputs: [3] },
    ],
    inputs: [0],
    outputs: [3],
  };
  const w = readTflite(buildTflite(spec)).nodes[0]?.inputs[0];
  assert.equal(w?.dtype, "int8");
  assert.deepEqual(w.data, Int8Array.of(-1, -8, 7));
});

test("one scale of integer weights under float activations is dequantised, one a channel refused", () => {
  const make = (scale: number[]): ModelSpec =>
    single("FULLY_CONNECTED", [
      f32("x", [1, 2]),
      { name: "w", type: "INT8", shape: [2, 2], data: new Int8Array(4), quant: { scale } },
      f32("y", [1, 2]),
    ]);
  assert.deepEqual(
    readTflite(buildTflite(make([0.5]))).nodes.map((n) => n.op),
    ["Dequantize", "Dense"],
  );
  assert.match(
    failure(make([0.5, 1])).problems?.[0]?.reason ?? "",
    /dynamic-range quantisation: int8 weights/,
  );
});

test("all problems are reported at once", () => {
  const q16 = { scale: [0.5] };
  const spec: ModelSpec = {
    tensors: [
      { name: "x", type: "INT16", shape: [2], quant: q16 },
      { name: "a", type: "INT16", shape: [2], quant: q16 },
      { name: "b", type: "FLOAT64", shape: [2] },
      f32("c", [2]),
      f32("d", [2]),
    ],
    ops: [
      { op: "RELU", inputs: [0], outputs: [1] },
      { op: "CAST", inputs: [1], outputs: [2] },
      { op: "SVDF", inputs: [2], outputs: [3] },
      { op: "MyOp", inputs: [3], outputs: [4] },
    ],
    inputs: [0],
    outputs: [4],
  };
  const e = failure(spec);
  assert.equal(e.code, "unsupported");
  assert.deepEqual(
    e.problems?.map((p) => [p.op, p.node]),
    [
      ["RELU", "a"],
      ["CAST", "b"],
      ["SVDF", "c"],
      ["MyOp", "d"],
    ],
  );
  assert.match(e.problems?.[0]?.reason ?? "", /int16/);
  assert.match(e.problems?.[1]?.reason ?? "", /FLOAT64/);
  assert.match(e.problems?.[2]?.hint ?? "", /state from run to run/);
});

test("several sub-graphs and loops are refused", () => {
  const spec = single("ABS", [f32("x", [2]), f32("y", [2])]);
  assert.match(failure({ ...spec, branches: [spec] }).message, /2 sub-graphs/);
  assert.match(failure(single("WHILE", [f32("x", [2]), f32("y", [2])])).hint ?? "", /loops and calls/);
});

/** y = c ? then(x) : else(x) */
const either = (condition: Partial<TensorSpec>, branches: readonly ModelSpec[]): ModelSpec => ({
  tensors: [f32("x", [2]), { name: "c", type: "BOOL", shape: [1], ...condition }, f32("y", [2])],
  ops: [{ op: "IF", inputs: [1, 0], outputs: [2], options: { 0: { i32: 1 }, 1: { i32: 2 } } }],
  inputs: condition.data ? [0] : [0, 1],
  outputs: [2],
  branches,
});
const unary = (op: string): ModelSpec => single(op, [f32("x", [2]), f32("y", [2])]);

test("IF computes both branches and picks; a constant decides; names stay apart", () => {
  assert.equal(
    nodes(either({}, [unary("ABS"), unary("NEG")])),
    `%y_1: float32[2] = Abs(%x) @"ABS:y_1"
%y_2: float32[2] = Neg(%x) @"NEG:y_2"
%c/scalar: bool[] = Reshape(%c) {shape: []} @"IF:c/scalar"
%y: float32[2] = Where(%c/scalar, %y_1, %y_2) @"IF:y"`,
  );
  assert.match(
    nodes(either({ data: Uint8Array.of(0) }, [unary("ABS"), unary("NEG")])),
    /%y: float32\[2\] = Identity\(%y_2\)/,
  );
});

test("IF whose branches cannot be", () => {
  const shorter: ModelSpec = {
    tensors: [f32("x", [2]), f32("k", [1], Float32Array.of(5))],
    ops: [],
    inputs: [0],
    outputs: [1],
  };
  assert.match(failure(either({}, [unary("ABS"), shorter])).message, /its branches give \[2\] and \[1\]/);
  assert.match(failure(either({}, [unary("ABS"), unary("LSTM")])).message, /LSTM/);
  const lookup: ModelSpec = {
    tensors: [f32("x", [2]), { name: "i", type: "INT32", shape: [2] }, f32("y", [2])],
    ops: [
      { op: "CAST", inputs: [0], outputs: [1] },
      { op: "GATHER", inputs: [0, 1], outputs: [2] },
    ],
    inputs: [0],
    outputs: [2],
  };
  assert.match(
    failure(either({}, [unary("ABS"), lookup])).message,
    /Gather of computed indices, which may fail/,
  );
  assert.match(failure(either({}, [unary("ABS")])).message, /has no branch 2/);
  assert.match(failure(either({ shape: [3] }, [unary("ABS"), unary("NEG")])).message, /3 elements/);
  const again: ModelSpec = { ...either({}, []), inputs: [0], ops: unary("ABS").ops };
  const itself = { ...either({ data: Uint8Array.of(1) }, []), branches: [] as ModelSpec[] };
  itself.branches.push({ ...itself }, again);
  assert.match(failure(itself).message, /nested too deep/);
});

test("variables are refused by name", () => {
  const state: TensorSpec = { ...f32("state", [2]), variable: true };
  assert.match(
    failure(single("ADD", [f32("x", [2]), state, f32("y", [2])])).problems?.[0]?.reason ?? "",
    /state/,
  );
});

const xy = [f32("x", [2]), f32("y", [2])];
// biome-ignore format: one case a line
const broken: [string, ModelSpec, string, RegExp][] = [
  ["an old schema", { ...single("ABS", xy), version: 2 }, "unsupported", /version 2/],
  ["a cycle", { tensors: [...xy, f32("a", [2]), f32("b", [2])], ops: [{ op: "ADD", inputs: [0, 3], outputs: [2] }, { op: "ABS", inputs: [2], outputs: [3] }], inputs: [0], outputs: [3] }, "bad_graph", /reads b before/],
  ["an operator on itself", { tensors: xy, ops: [{ op: "ABS", inputs: [1], outputs: [1] }], inputs: [0], outputs: [1] }, "bad_graph", /reads y before/],
  ["two writers", { tensors: xy, ops: [{ op: "ABS", inputs: [0], outputs: [1] }, { op: "NEG", inputs: [0], outputs: [1] }], inputs: [0], outputs: [1] }, "bad_graph", /has a value already/],
  ["a written input", { tensors: xy, ops: [{ op: "ABS", inputs: [1], outputs: [0] }], inputs: [0], outputs: [0] }, "bad_graph", /has a value already|before/],
  ["an output from nowhere", { tensors: xy, ops: [], inputs: [0], outputs: [1] }, "bad_graph", /made by no operator/],
  ["a tensor that is not there", single("ABS", [f32("x", [2])]), "bad_graph", /has a value already/],
  ["an index outside", { tensors: xy, ops: [{ op: "ABS", inputs: [9], outputs: [1] }], inputs: [0], outputs: [1] }, "bad_file", /tensor 9/],
  ["a shape larger than its data", single("ADD", [f32("x", [2]), { ...f32("c", [1 << 20, 1 << 20]), data: new Float32Array(2) }, f32("y", [2])]), "bad_file", /has 8 bytes/],
  ["scales for no axis", single("DEQUANTIZE", [{ name: "x", type: "INT8", shape: [3, 2], quant: { scale: [1, 2], axis: 0 } }, f32("y", [3, 2])]), "bad_file", /2 scales along axis 0/],
  ["a scale that is no number", single("DEQUANTIZE", [{ name: "x", type: "INT8", shape: [1], quant: { scale: [NaN] } }, f32("y", [1])]), "bad_file", /scale is not/],
  ["too many dimensions", single("ABS", [f32("x", Array<number>(40).fill(1)), f32("y", Array<number>(40).fill(1))]), "unsupported", /40 dimensions/],
  ["an output of another type", single("ABS", [f32("x", [2]), { name: "y", type: "INT32", shape: [2] }]), "bad_graph", /y is int32/],
  ["a stride of zero", single("MAX_POOL_2D", [f32("x", [1, 2, 2, 1]), f32("y", [1, 1, 1, 1])], { 3: { i32: 1 }, 4: { i32: 1 } }), "bad_file", /stride/],
];
for (const [what, spec, code, message] of broken)
  test(`${what} is an error`, () => {
    const e = failure(spec);
    assert.equal(e.code, code, e.message);
    assert.match(e.message, message);
  });

test("a file cut anywhere is an error", () => {
  const bytes = buildTflite(
    single("ADD", [f32("x", [2]), f32("c", [2], new Float32Array(2)), f32("y", [2])]),
  );
  for (let n = 0; n < bytes.length - 4; n++)
    assert.match(failure(bytes.slice(0, n)).code, /^bad_|unsupported/);
});
