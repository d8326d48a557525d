import assert from "node:assert/strict";
import { test } from "node:test";
import { convert, type ConvertEvent, read, toGraph } from "./convert.js";
import { ModelError } from "./error.js";
import { readMinnow } from "./formats/minnow/reader.js";
import { writeMinnow } from "./formats/minnow/writer.js";
import { needs, readBytes, shared } from "./formats/testdata.test.helper.js";
import { parse, print } from "./graph/text.js";
import { annotate } from "./ops/infer.js";
import { sameNumbers } from "./passes/check.test.helper.js";

const source = (): Uint8Array => {
  const g = parse(`graph g(%x: float32[N, 3, H, W]) -> (%y, %z) {
    const %w: float32[4, 3, 3, 3] = random(1)
    const %s: float32[4, 1, 1] = [1, 2, 3, 4]
    %x1 = Transpose(%x) {perm: [0, 2, 3, 1]}
    %c = Conv2D(%x1, %w) {pads: [1, 1, 1, 1]}
    %c1 = Transpose(%c) {perm: [0, 3, 1, 2]}
    %y = Mul(%c1, %s)
    %z = ReduceMean(%y) {axes: [2, 3], keepDims: false}
  }`);
  annotate(g);
  return writeMinnow(g);
};

const rejects = (f: () => unknown, code: string, message: RegExp): Promise<void> =>
  assert.rejects(
    async () => f(),
    (e: unknown) => e instanceof ModelError && e.code === code && message.test(e.message),
  );

test("convert is deterministic, records its passes, and is done when done again", async () => {
  const once = await convert(source());
  assert.deepEqual(await convert(source()), once);
  const graph = readMinnow(once);
  assert.ok((graph.meta.passes?.affine ?? 0) > 0);
  assert.deepEqual(await convert(once), once);
});

test("load(source) sees what load(convert(source)) sees", async () => {
  const options = { data: true };
  assert.equal(print(toGraph(source()), options), print(toGraph(await convert(source())), options));
});

test("optimize: false leaves the graph as it was read", async () => {
  const plain = await convert(source(), { optimize: false });
  assert.equal(print(readMinnow(plain)), print(read(source())));
  assert.equal(readMinnow(plain).meta.passes, undefined);
});

test("shapes and dims are fixed; outputs are chosen and kept", async () => {
  const fixed = readMinnow(await convert(source(), { shapes: { x: [1, 3, 8, 6] }, outputs: ["c", "z"] }));
  assert.deepEqual(fixed.inputs[0]?.shape, [1, 3, 8, 6]);
  assert.deepEqual(
    fixed.outputs.map((t) => [t.name, t.shape]),
    [
      ["c", [1, 8, 6, 4]],
      ["z", [1, 4]],
    ],
  );
  const half = readMinnow(await convert(source(), { dims: { H: 8, W: 8 } }));
  assert.deepEqual(half.inputs[0]?.shape, ["N", 3, 8, 8]);
});

test("a tensor that was moved to another axis order is still found by its name", async () => {
  const file = await convert(source(), { outputs: ["y", "c1"] });
  assert.deepEqual(
    read(file).outputs.map((t) => t.name),
    ["y", "c1"],
  );
  const g = parse(`graph g(%x: float32[1, 2, 3, 4]) -> (%y) {
    const %w: float32[2, 1, 1, 4] = random(1)
    %c = Conv2D(%x, %w)
    %n = Transpose(%c) {perm: [0, 3, 1, 2]}
    %r = Relu(%n)
    %s = Sigmoid(%r)
    %y = Transpose(%s) {perm: [0, 2, 3, 1]}
  }`);
  annotate(g);
  const optimised = await convert(writeMinnow(g));
  assert.equal(
    readMinnow(optimised)
      .tensors()
      .find((t) => t.name === "r"),
    undefined,
  );
  const again = toGraph(optimised, { outputs: ["r", "y"] });
  assert.deepEqual(
    again.outputs.map((t) => [t.name, t.shape]),
    [
      ["r", [1, 2, 2, 3]],
      ["y", [1, 2, 3, 2]],
    ],
  );
  sameNumbers(toGraph(writeMinnow(g), { outputs: ["r", "y"], optimize: false }), again);
});

test("events tell what was read, rewritten and written", async () => {
  const events: ConvertEvent[] = [];
  const bytes = await convert(source(), { onEvent: (e) => events.push(e) });
  assert.equal(events[0]?.type, "read");
  assert.ok(events.some((e) => e.type === "pass" && e.name === "transposes" && e.rewrites > 0));
  assert.deepEqual(
    events.at(-1)?.type === "write" && (events.at(-1) as { bytes: number }).bytes,
    bytes.length,
  );
});

test("what cannot be converted says why", async () => {
  await rejects(() => convert(new Uint8Array()), "unknown_format", /empty/);
  await rejects(
    () => convert(new TextEncoder().encode("hello, this is no model at all")),
    "unknown_format",
    /known format/,
  );
  await rejects(
    () => convert(new Uint8Array([28, 0, 0, 0, 77, 83, 76, 50, 0, 0])),
    "unknown_format",
    /ms files/,
  );
  await rejects(() => convert(source(), { outputs: ["nope"] }), "bad_option", /"nope"/);
  await rejects(() => convert(source(), { shapes: { y: [1] } }), "bad_option", /"y"/);
  await rejects(
    () => convert(source(), { shapes: { x: [1, 3, 8] } }),
    "bad_option",
    /does not fit|\[1,3,8\]/,
  );
  await rejects(() => convert(source(), { shapes: { x: [1, 2, 8, 8] } }), "bad_shape", /Conv2D/);
  await rejects(() => convert(source(), { dims: { Q: 1 } }), "bad_option", /"Q"/);
  await rejects(() => convert(source(), { signal: AbortSignal.abort() }), "aborted", /aborted/);
  await rejects(() => convert("/no/such/file.onnx"), "io", /no\/such/);
});

test("a path, in Node", needs("onnx/mnist.onnx"), async () => {
  const path = shared("onnx/mnist.onnx") as string;
  assert.deepEqual(await convert(path), await convert(readBytes(path)));
  assert.deepEqual(await convert(new Blob([Uint8Array.from(readBytes(path))])), await convert(path));
});
