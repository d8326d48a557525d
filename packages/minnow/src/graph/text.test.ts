import assert from "node:assert/strict";
import { test } from "node:test";
import { ModelError } from "../error.js";
import { parse, print } from "./text.js";

const all = `graph main(%x: float32[N, 3, 2*H + 1, floordiv(W + 1, 2)], %"a b": int8[4] q(0.5, -3)) -> (%y, %z) {
  const %w: float32[2] = [1, 0.1]
  const %h: float16[3] = [1.5, -0, inf]
  const %k: int4[3] = [-8, 7, 1]
  const %i: int64[] = [-5]
  const %c: int8[2, 1] q([0.1, 0.2], [0, 0], 0) = [1, -1]
  const %b: bool[2] = [1, 0]
  const %s: string[2] = ["a", "b\\n"]
  const %f: float32[4, 5] = fill(0.25)
  variable %v: float32[2] = [0, 0]
  %t: float32[N, 2*H + 1] aka (%old, %"old one") = Some(%x, _, %w, %h, %k, %i, %c, %b, %s, %f, %v) {a: -inf, b: [1, 2], c: ["x"], d: "e\\"", flag: true, z: []} @"node 1"
  %y: float32[2], %z: int32[] = Two(%t, %"a b")
  %i1: float32[2] = If(%t) @if
    graph then(%q: float32[2]) -> (%r) {
      %r: float32[2] = Add(%q, %w)
    }
}
`;

test("print(parse(text)) is the text", () => {
  assert.equal(print(parse(all), { data: true }), all);
});

test("types may be left out, data may be generated, comments are skipped", () => {
  const g = parse(`
    graph g(%x: float32[2]) -> (%y) { // one
      const %r: int32[3] = range   // two
      const %n: float32[2] = random(1)
      %y = Op(%x, %r, %n)
    }`);
  assert.deepEqual(g.outputs[0]?.shape, []);
  const [, r, n] = g.nodes[0]?.inputs ?? [];
  assert.deepEqual(Array.from(r?.data as Int32Array), [0, 1, 2]);
  const values = Array.from((n?.data ?? []) as Float32Array);
  assert.ok(values.length === 2 && values.every((v) => v >= -1 && v < 1 && v !== 0));
});

test("large constants print as a hash, which cannot be read back", () => {
  const g = parse("graph g() -> (%y) { const %a: float32[17] = range\n %y = Op(%a) }");
  const text = print(g);
  assert.match(text, /const %a: float32\[17\] = #[0-9a-f]{8}\n/);
  assert.throws(() => parse(text), /left out/);
  assert.equal(print(parse(print(g, { data: true })), { data: true }), print(g, { data: true }));
});

test("errors name the line", () => {
  const bad: [string, RegExp][] = [
    ["graph g() -> (%y) {\n %y = Op(%a) }", /line 2: tensor %a is not defined/],
    ["graph g(%a: float32[2]) -> (%y) {\n\n }", /%y is not defined/],
    ["graph g(%a: real[2]) -> () { }", /line 1: real is no type/],
    ["graph g(%a: float32[2], %a: float32[2]) -> () { }", /twice/],
    ["graph g() -> () {\n const %a: float32[2] = [1]\n }", /line 2: %a has 2 elements, 1 given/],
    ["graph g() -> () {\n const %a: float32[N] = [1]\n }", /symbolic/],
    ["graph g(%a: float32[2) -> () { }", /line 1: a shape does not end|dimension/],
    ["graph g(%a: float32[2,,3]) -> () { }", /dimension is missing/],
    ["graph g() -> () { %a = Op() {x: 1a} }", /1a is no value/],
    ["graph g() -> () { ", /%/],
    ["graph g() -> () { } more", /text after/],
  ];
  for (const [text, message] of bad)
    assert.throws(
      () => parse(text),
      (e: unknown) => e instanceof ModelError && e.code === "bad_graph" && message.test(e.message),
      text,
    );
});
