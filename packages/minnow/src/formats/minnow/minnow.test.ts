// The .minnow file: exact round trips, the released versions, what a newer or damaged file says.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Builder } from "flatbuffers";
import { ModelError } from "../../error.js";
import { constant, Graph, type Metadata, type Tensor, value } from "../../graph/graph.js";
import { parse, print } from "../../graph/text.js";
import { FlatBuffer } from "../flatbuffer.js";
import { readMinnow } from "./reader.js";
import * as schema from "./schema.js";
import { writeMinnow } from "./writer.js";

/** Everything a Graph can hold. */
const text = `graph all(%x: float32[N, 2*H + 1], %"a b": int8[4] q(0.1, -3)) -> (%y, %i1) {
  const %w: float32[2] = [1, 0.1]
  const %same: float32[2] = [1, 0.1]
  const %h: float16[3] = [1.5, -0, inf]
  const %k: int4[3] = [-8, 7, 1]
  const %i: int64[] = [-5]
  const %c: int8[2, 1] q([0.1, 0.2], [0, 5], 0) = [1, -1]
  const %b: bool[2] = [1, 0]
  const %s: string[2] = ["ä", "b\\n"]
  const %empty: float32[0, 3] = []
  variable %v: float32[2] = [0, 0]
  %t: float32[N, 2*H + 1] aka (%old, %"old one") = Some(%x, _, %w, %same, %h, %k, %i, %c, %b, %s, %empty, %v) {a: -inf, b: [1, 2.5], c: ["x", ""], d: "e\\"", f: -0, g: true, z: []} @"node 1"
  %y: float32[2], %z: int32[] = Two(%t, %"a b")
  %i1: float32[2] = If(%t) @if
    graph then(%q: float32[2]) -> (%r) {
      %r: float32[2] = Add(%q, %w)
    }
    graph else() -> (%r) {
      %r: float32[2] = Add(%y, %h)
    }
}
`;

const meta: Metadata = {
  format: "tflite",
  producer: "a test",
  description: "all",
  labels: { y: ["cat", "dog"] },
  normalization: { x: { mean: [127.5], std: [0.1, 1e-30, 3] } },
  layout: "NHWC",
  signatures: { run: { inputs: { image: "x" }, outputs: { scores: "y" } } },
  passes: { fold: 3 },
};

function all(): Graph {
  const g = parse(text);
  g.meta = structuredClone(meta);
  return g;
}

function failure(f: () => unknown): ModelError {
  try {
    f();
  } catch (e) {
    assert.ok(e instanceof ModelError, String(e));
    return e;
  }
  return assert.fail("no error");
}

const tensor = (g: Graph, name: string): Tensor =>
  g.tensors().find((t) => t.name === name) ?? assert.fail(name);

test("a round trip keeps everything", () => {
  const g = readMinnow(writeMinnow(all()));
  assert.equal(print(g, { data: true }), text);
  assert.deepEqual(g.meta, meta);
  assert.ok(Object.is(g.nodes[0]?.attrs.f, -0));
  const [then, other] = g.nodes[2]?.graphs ?? [];
  assert.equal(then?.nodes[0]?.inputs[1], tensor(g, "w"), "a sub-graph sees the same tensor");
  assert.equal(other?.nodes[0]?.inputs[0], g.outputs[0]);
});

test("64-bit integers are exact", () => {
  const g = all();
  tensor(g, "i").data = BigInt64Array.of(-(2n ** 62n) - 1n);
  assert.deepEqual(tensor(readMinnow(writeMinnow(g)), "i").data, BigInt64Array.of(-(2n ** 62n) - 1n));
});

test("the same graph gives the same bytes, and so does what was read", () => {
  const bytes = writeMinnow(all());
  assert.deepEqual(writeMinnow(all()), bytes);
  assert.deepEqual(writeMinnow(readMinnow(bytes)), bytes);
});

test("small constants come first, and the file says where they end", () => {
  const g = new Graph();
  const large = new Float32Array(5000).fill(2);
  g.nodes = [
    {
      op: "Some",
      name: "n",
      inputs: [
        constant("l1", "float32", [5000], large),
        constant("s1", "float32", [2], Float32Array.of(1, 2)),
        constant("l2", "int8", [20_000], new Int8Array(20_000)),
        constant("s2", "int8", [5], new Int8Array(5)),
      ],
      outputs: [value("y", "float32", [1])],
      attrs: {},
    },
  ];
  g.outputs = [g.nodes[0]?.outputs[0] as Tensor];
  const bytes = writeMinnow(g);
  const model = new FlatBuffer(bytes, "").root();
  const early = model.num(schema.model.early, "u64");
  assert.equal(model.num(schema.model.size, "u64"), bytes.length);
  const read = readMinnow(bytes);
  for (const name of ["l1", "l2", "s1", "s2"]) {
    const data = tensor(read, name).data ?? assert.fail();
    if (name.startsWith("l")) assert.ok(data.byteOffset >= early, name);
    else assert.ok(data.byteOffset + data.byteLength <= early, name);
  }
});

test("weights are views of the file, aligned, and stored once", () => {
  const bytes = writeMinnow(all());
  const g = readMinnow(bytes);
  const at = (name: string) => tensor(g, name).data ?? assert.fail();
  for (const name of ["w", "h", "i", "c"]) {
    assert.equal(at(name).buffer, bytes.buffer);
    assert.equal(at(name).byteOffset % schema.alignment, 0);
  }
  assert.equal(at("w").byteOffset, at("same").byteOffset);
  assert.notEqual(at("w").byteOffset, at("v").byteOffset);
});

test("bytes at an odd address are read too", () => {
  const bytes = writeMinnow(all());
  const moved = new Uint8Array(bytes.length + 1).subarray(1);
  moved.set(bytes);
  assert.equal(print(readMinnow(moved), { data: true }), text);
});

test("a file of version 1 stays readable", () => {
  const fixture = readFileSync(new URL("../../../fixtures/v1.minnow", import.meta.url));
  assert.ok(fixture.length < 3072);
  const g = readMinnow(fixture);
  assert.equal(print(g, { data: true }), text);
  assert.deepEqual(g.meta, meta);
});

/** A file with `extra` added to the root table. */
function withRoot(extra: (b: Builder) => (() => void)[]): Uint8Array {
  const b = new Builder(256);
  const name = b.createString("g");
  const fields = extra(b);
  b.startObject(4);
  b.addFieldOffset(schema.graph.name, name, 0);
  const graph = b.endObject();
  b.startObject(40);
  b.addFieldInt32(schema.model.version, 9, 0);
  b.addFieldOffset(schema.model.graph, graph, 0);
  for (const add of fields) add();
  b.finish(b.endObject(), schema.identifier);
  return b.asUint8Array().slice();
}

test("optional sections of later versions are skipped", () => {
  const bytes = withRoot((b) => {
    const later = b.createString("something new");
    return [() => b.addFieldOffset(30, later, 0)];
  });
  assert.equal(readMinnow(bytes).name, "g");
});

test("what needs a newer version says which", () => {
  const newer = failure(() =>
    readMinnow(withRoot((b) => [() => b.addFieldInt32(schema.model.minVersion, 7, 0)])),
  );
  assert.equal(newer.code, "unsupported");
  assert.match(newer.message, /needs format version 7/);
  const feature = withRoot((b) => {
    const names = [b.createString("compressed-weights")];
    b.startVector(4, 1, 4);
    for (const n of names) b.addOffset(n);
    const needs = b.endVector();
    return [
      () => b.addFieldOffset(schema.model.needs, needs, 0),
      () => b.addFieldInt32(schema.model.minVersion, 3, 0),
    ];
  });
  assert.match(failure(() => readMinnow(feature)).message, /version 3 \(compressed-weights\)/);
});

test("damaged files are errors", () => {
  const bytes = writeMinnow(all());
  const copy = (change: (b: Uint8Array, view: DataView) => void): Uint8Array => {
    const b = bytes.slice();
    change(b, new DataView(b.buffer));
    return b;
  };
  assert.match(failure(() => readMinnow(new Uint8Array(3))).message, /outside/);
  assert.match(failure(() => readMinnow(copy((b) => b.set([65], 4)))).message, /MNOW/);
  assert.match(failure(() => readMinnow(bytes.slice(0, -70))).message, /outside its/);
  const weights = new FlatBuffer(bytes, "test").root().position(schema.model.weights, 8);
  const far = copy((_, view) => view.setBigUint64(weights, 2n ** 60n, true));
  assert.match(failure(() => readMinnow(far)).message, /out of bounds/);
  for (let n = 0; n < bytes.length - 64; n += 7) failure(() => readMinnow(bytes.slice(0, n)));
});

test("only sound graphs are written", () => {
  const twice = parse("graph g(%x: float32[1]) -> (%y) { %y: float32[1] = Abs(%x) }");
  twice.nodes.push(...twice.nodes);
  assert.match(failure(() => writeMinnow(twice)).message, /has a value/);
  const short = parse("graph g() -> (%y) {\n const %c: float32[2] = [1, 2]\n %y: float32[2] = Abs(%c)\n }");
  tensor(short, "c").shape = [3];
  assert.match(failure(() => writeMinnow(short)).message, /8 bytes for \[3\]/);
});

test("metadata of an unknown form is left out", () => {
  const g = parse("graph g(%x: float32[1]) -> (%x) { }");
  g.meta = { format: "onnx", labels: { y: 3 }, layout: "NCWH", later: true } as unknown as Metadata;
  assert.deepEqual(readMinnow(writeMinnow(g)).meta, { format: "onnx" });
});

test("an empty graph", () => {
  const g = new Graph();
  assert.deepEqual(readMinnow(writeMinnow(g)).nodes, []);
});
