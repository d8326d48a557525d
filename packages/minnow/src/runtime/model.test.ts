// What a user may give to run() and gets back: names, shapes, dtypes, `into`, and every way to be wrong.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Graph } from "../graph/graph.js";
import { floatToHalf } from "../graph/dtype.js";
import { ModelError } from "../error.js";
import { fakeGraph, fakeSetup, type FakeLog, noWorker, port } from "./fake.test.helper.js";
import { loadWith } from "./load.js";
import type { InputValue, LoadOptions, Model, ModelInputs } from "./types.js";

const bytes = new Uint8Array(8);

async function open(graph: () => Graph, options: LoadOptions = {}): Promise<{ model: Model; log: FakeLog }> {
  const { setup, log } = fakeSetup(graph);
  return { model: await loadWith(setup, noWorker, bytes, options), log };
}
const one = (dtype: Parameters<typeof port>[1], shape: readonly (number | string)[] = [3]) =>
  open(() => fakeGraph([port("x", dtype, shape)]));

/** Runs and returns the error, whose code must be `code`. */
async function fails(model: Model, inputs: unknown, code = "bad_input"): Promise<ModelError> {
  const error = await model.run(inputs as ModelInputs).then(
    () => assert.fail("did not fail"),
    (e: unknown) => e,
  );
  assert.ok(error instanceof ModelError);
  assert.equal(error.code, code, error.message);
  return error;
}

test("float32 takes typed arrays, numbers, nested arrays and { data, shape }", async () => {
  const { model } = await one("float32", [1, 2, 2]);
  const want = Float32Array.of(2, 4, 6, 8);
  const values: InputValue[] = [
    Float32Array.of(1, 2, 3, 4),
    Float64Array.of(1, 2, 3, 4),
    [1, 2, 3, 4],
    [
      [
        [1, 2],
        [3, 4],
      ],
    ],
    { data: [1, 2, 3, 4], shape: [1, 2, 2] },
    { data: Float32Array.of(1, 2, 3, 4), shape: [1, 2, 2] },
  ];
  for (const x of values) {
    const record = await model.run({ x });
    assert.deepEqual(record.y0?.data, want);
    assert.deepEqual((await model.run(x)).y0, { data: want, shape: [1, 2, 2], dtype: "float32" });
    assert.equal(Object.getPrototypeOf(record), null);
  }
});

test("other dtypes are taken as their arrays or plain values and come back as documented", async () => {
  const cases: [Parameters<typeof port>[1], unknown[], unknown][] = [
    [
      "int8",
      [Int8Array.of(-3, 0, 60), [-3, 0, 60], Int32Array.of(-3, 0, 60), [-3n, 0n, 60n]],
      Int8Array.of(-6, 0, 120),
    ],
    ["uint8", [Uint8Array.of(1, 2, 3), Uint8ClampedArray.of(1, 2, 3), [1, 2, 3]], Uint8Array.of(2, 4, 6)],
    ["int16", [Int16Array.of(-300, 0, 300), [-300, 0, 300]], Int16Array.of(-600, 0, 600)],
    ["int32", [Int32Array.of(-70000, 0, 1), [-70000, 0, 1], Uint8Array.of(1, 2, 3)], null],
    [
      "int64",
      [BigInt64Array.of(-1n, 0n, 2n ** 40n), [-1, 0, 2 ** 40], [-1n, 0n, 2n ** 40n]],
      BigInt64Array.of(-2n, 0n, 2n ** 41n),
    ],
    ["float16", [Float32Array.of(1, -0.5, 65504), [1, -0.5, 65504]], Float32Array.of(1, -0.5, 65504)],
  ];
  for (const [dtype, given, want] of cases) {
    const { model } = await one(dtype);
    for (const x of given) {
      const { data } = (await model.run({ x: x as number[] })).y0 ?? assert.fail();
      if (want) assert.deepEqual(data, want, dtype);
    }
  }
});

test("bool is stored as 0 and 1, float16 as its bits", async () => {
  const flags = await one("bool");
  await flags.model.run({ x: [true, false, true] });
  assert.deepEqual(flags.log.inputs[0], Uint8Array.of(1, 0, 1));
  await flags.model.run({ x: Uint8Array.of(7, 0, 1) });
  assert.deepEqual(flags.log.inputs[0], Uint8Array.of(1, 0, 1));
  const half = await one("float16");
  await half.model.run({ x: [1, 2, 3.5] });
  assert.deepEqual(half.log.inputs[0], Uint16Array.of(0x3c00, 0x4000, floatToHalf(3.5)));
});

test("the right typed array is passed through, not copied", async () => {
  const { model, log } = await one("float32");
  const x = Float32Array.of(1, 2, 3);
  await model.run({ x });
  assert.equal(log.inputs[0], x);
});

test("wrong elements are named", async () => {
  const bad: [Parameters<typeof port>[1], unknown, RegExp][] = [
    ["uint8", [1, 2, 256], /element 2 is 256, not from 0 to 255/],
    ["int8", [1, 2, 1.5], /element 2 is 1.5, not an integer/],
    ["int8", Float32Array.of(1, 2, 3), /Float32Array of 3, not Int8Array/],
    ["int64", [1, 2, 0.5], /element 2 is 0.5/],
    ["int64", [1, 2, 2n ** 63n], /range of int64/],
    ["float32", Uint8Array.of(1, 2, 3), /Uint8Array of 3, not Float32Array or numbers.*fromPixels/],
    ["float32", [1, "2", 3], /element 1 is "2", not a number/],
    ["bool", ["yes", "no", "x"], /element 0 is "yes", not a boolean/],
    ["string", [1, 2, 3], /a number among strings/],
    ["float32", [[1, 2], [3]], /different lengths/],
    ["float32", null, /input "x" is null/],
  ];
  for (const [dtype, x, message] of bad) {
    const { model } = await one(dtype);
    assert.match((await fails(model, { x })).message, message);
  }
});

test("missing and unknown names are told at once, with what was meant", async () => {
  const { model } = await open(() =>
    fakeGraph([port("image", "float32", [2, 2]), port("mask", "bool", [2])]),
  );
  const { message } = await fails(model, { imgae: [1, 2, 3, 4], msk: [true, false] });
  assert.match(message, /unknown input "imgae": did you mean "image"\?/);
  assert.match(message, /unknown input "msk": did you mean "mask"\?/);
  assert.match(message, /missing input "image" \(float32 \[2, 2\]\)/);
  assert.match(message, /missing input "mask" \(bool \[2\]\)/);
  assert.match((await fails(model, [1, 2])).message, /has 2 inputs, one value was given/);
  assert.match((await fails(model, undefined)).message, /was given undefined/);
});

test("wrong lengths and shapes say what was expected and what came", async () => {
  const { model } = await one("float32", [1, 2, 3]);
  assert.match((await fails(model, [1, 2])).message, /input "x" has 2 elements, not 6 \(\[1, 2, 3\]\)/);
  assert.match(
    (await fails(model, { data: [1, 2, 3, 4, 5, 6], shape: [2, 3] })).message,
    /has shape \[2, 3\], not \[1, 2, 3\]/,
  );
  assert.match(
    (await fails(model, { data: [1, 2], shape: [6] })).message,
    /shape \[6\] holds 6 elements, data has 2/,
  );
  assert.match((await fails(model, { data: [1], shape: [-1] })).message, /not a list of sizes/);
  assert.equal((await fails(model, [1])).tensor, "x");
});

test("short names, aliases and signatures", async () => {
  const graph = (): Graph => {
    const g = fakeGraph(
      [
        port("serving_default_image:0", "float32", [2]),
        port("net/mask:0", "float32", [1], { aliases: ["m"] }),
      ],
      [
        { name: "StatefulPartitionedCall:0", dtype: "float32", shape: [2], kind: "value" },
        { name: "StatefulPartitionedCall:1", dtype: "float32", shape: [1], kind: "value" },
      ],
    );
    g.meta.signatures = {
      serve: {
        inputs: { pixels: "serving_default_image:0", keep: "net/mask:0" },
        outputs: { scores: "StatefulPartitionedCall:0" },
      },
    };
    return g;
  };
  const { model } = await open(graph);
  for (const [a, b] of [
    ["serving_default_image:0", "net/mask:0"],
    ["image", "mask"],
    ["pixels", "keep"],
    ["serving_default_image", "m"],
  ] as const) {
    const out = await model.run({ [a]: [1, 2], [b]: [3] });
    assert.deepEqual(Object.keys(out), ["StatefulPartitionedCall:0", "StatefulPartitionedCall:1"]);
  }
  const out = await model.run({ pixels: [1, 2], keep: [3] }, { signature: "serve" });
  assert.deepEqual({ ...out }, { scores: { data: Float32Array.of(2, 4), shape: [2], dtype: "float32" } });
  await assert.rejects(
    model.run({ pixels: [1, 2], keep: [3] }, { signature: "sevre" }),
    /did you mean "serve"/,
  );
  assert.match((await fails(model, { StatefulPartitionedCall: [1] })).message, /unknown input/);
});

test("an ambiguous short name is refused", async () => {
  const { model } = await open(() => fakeGraph([port("a/x", "float32", [1]), port("b/x", "float32", [1])]));
  assert.match((await fails(model, { x: [1] })).message, /unknown input "x"/);
  await model.run({ "a/x": [1], "b/x": [2] });
});

test("an input called data is not mistaken for { data, shape }", async () => {
  const { model } = await open(() => fakeGraph([port("data", "float32", [2])]));
  for (const x of [
    [1, 2],
    { data: [1, 2] },
    { data: { data: [1, 2], shape: [2] } },
    { data: [1, 2], shape: [2] },
  ])
    assert.deepEqual((await model.run(x as ModelInputs)).y0?.data, Float32Array.of(2, 4));
});

test("symbolic dimensions are settled by shapes, lengths and other inputs", async () => {
  const { model, log } = await open(() =>
    fakeGraph([port("ids", "int32", ["batch", "seq"]), port("mask", "int32", ["batch", "seq"])]),
  );
  assert.equal(log.plans.length, 0);
  const ids = { data: Int32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] };
  const out = await model.run({ ids, mask: Int32Array.of(1, 1, 1, 1, 1, 1) });
  assert.deepEqual(out.y1?.shape, [2, 3]);
  assert.deepEqual(log.plans[0]?.dims, { batch: 2, seq: 3 });
  const { message } = await fails(model, { ids: [1, 2], mask: [1, 2] });
  assert.match(message, /2 elements but batch, seq of \[batch, seq\] are open.*dims/);
  assert.match(
    (await fails(model, { ids, mask: { data: [1, 2, 3], shape: [1, 3] } })).message,
    /has shape \[1, 3\], not \[2, 3\]/,
  );
  const bound = await open(() => fakeGraph([port("ids", "int32", ["batch", "seq"])]), { dims: { batch: 2 } });
  assert.deepEqual(bound.model.inputs[0]?.shape, [2, "seq"]);
  assert.deepEqual((await bound.model.run([1, 2, 3, 4, 5, 6])).y0?.shape, [2, 3]);
  assert.match((await fails(bound.model, [1, 2, 3])).message, /not a multiple of 2/);
});

test("plans are made once a shape and the oldest leave", async () => {
  const { model, log } = await open(() => fakeGraph([port("x", "float32", ["n"])]));
  for (const n of [1, 2, 1, 2, 3, 1]) await model.run(new Float32Array(n));
  assert.equal(log.plans.length, 3);
  for (let n = 1; n <= 20; n++) await model.run(new Float32Array(n));
  assert.equal(log.plans.length, 20);
  assert.equal(log.released, 4);
  await model.run(new Float32Array(1));
  assert.equal(log.plans.length, 21);
});

test("resize plans ahead and admits shapes that the file does not declare", async () => {
  const { model, log } = await one("float32", [1, 2]);
  assert.equal(log.plans.length, 1);
  await assert.rejects(model.run({ x: { data: [1, 2, 3, 4], shape: [2, 2] } }), { code: "bad_input" });
  await model.resize({ x: [2, 2] });
  assert.equal(log.plans.length, 2);
  assert.deepEqual((await model.run({ x: { data: [1, 2, 3, 4], shape: [2, 2] } })).y0?.shape, [2, 2]);
  assert.deepEqual((await model.run([1, 2, 3, 4])).y0?.shape, [2, 2]);
  assert.deepEqual((await model.run([1, 2])).y0?.shape, [1, 2]);
  assert.equal(log.plans.length, 2);
  await assert.rejects(model.resize({ y: [1] }), /unknown input "y"/);
  await assert.rejects(model.resize({ x: [1] }), /cannot have rank 1/);
  const open2 = await open(() => fakeGraph([port("a", "float32", ["n"]), port("b", "float32", ["m"])]));
  await assert.rejects(open2.model.resize({ a: [3] }), /m of input "b" stay open/);
});

test("arrays as declared are taken at once, and nothing else is", async () => {
  const { model, log } = await open(() => fakeGraph([port("a", "float32", [1, 2]), port("b", "int32", [2])]));
  const [a, b] = [Float32Array.of(1, 2), Int32Array.of(3, 4)];
  const answer = async (inputs: ModelInputs) =>
    Object.values(await model.run(inputs)).map((o) => [...o.data]);
  const right = [
    [2, 4],
    [6, 8],
  ];
  assert.deepEqual(await answer({ a, b }), right);
  assert.deepEqual([log.inputs[0], log.inputs[1]], [a, b]);
  assert.deepEqual(await answer({ b: [3, 4], a }), right);
  await fails(model, { a: Float32Array.of(1, 2, 3), b });
  await fails(model, { a: Int32Array.of(1, 2), b });
  const gone = Float32Array.of(1, 2);
  structuredClone(gone, { transfer: [gone.buffer] });
  assert.match((await fails(model, { a: gone, b })).message, /"a" has 0 elements, not 2/);
  await model.resize({ a: [2, 2] });
  assert.deepEqual((await model.run({ a: { data: [1, 2, 3, 4], shape: [2, 2] }, b })).y0?.shape, [2, 2]);
  assert.deepEqual((await model.run({ a, b })).y0?.shape, [1, 2]);
  assert.equal(log.plans.length, 2);
  const open2 = await open(() => fakeGraph([port("a", "float32", ["n"]), port("b", "float32", ["n"])]));
  await open2.model.run({ a, b: a });
  await fails(open2.model, { a, b: new Float32Array(3) });
});

test("outputs are the caller's own: a later run does not write to them", async () => {
  const { model } = await one("float32");
  const a = (await model.run([1, 2, 3])).y0;
  await model.run([4, 5, 6]);
  assert.deepEqual(a?.data, Float32Array.of(2, 4, 6));
});

test("into fills the caller's arrays and gives the same record again", async () => {
  const { model, log } = await one("float32");
  const into = { y0: new Float32Array(3) };
  const first = await model.run([1, 2, 3], { into });
  assert.equal(first.y0?.data, into.y0);
  assert.deepEqual(into.y0, Float32Array.of(2, 4, 6));
  assert.equal(log.outputs[0], into.y0);
  assert.equal(await model.run([4, 5, 6], { into }), first);
  assert.deepEqual(into.y0, Float32Array.of(8, 10, 12));
  await assert.rejects(
    model.run([1, 2, 3], { into: { y0: new Float32Array(2) } }),
    /needs a Float32Array of 3, not Float32Array of 2/,
  );
  await assert.rejects(model.run([1, 2, 3], { into: { y0: new Int32Array(3) } }), /needs a Float32Array/);
  await assert.rejects(model.run([1, 2, 3], { into: { y: new Float32Array(3) } }), /unknown output "y"/);
  const half = await one("float16");
  const out = { y0: new Float32Array(3) };
  await half.model.run([1, 2, 3], { into: out });
  assert.deepEqual(out.y0, Float32Array.of(1, 2, 3));
});

test("specs: names, shapes, quantisation", async () => {
  const quant = { scale: [0.5], zeroPoint: [3], axis: 0 };
  const { model } = await open(() => fakeGraph([port("in/x:0", "uint8", ["n", 4], { quant })]));
  assert.deepEqual(model.inputs, [
    { name: "in/x:0", shape: ["n", 4], dtype: "uint8", quantization: quant, aliases: ["x", "in/x"] },
  ]);
});
