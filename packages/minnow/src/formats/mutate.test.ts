import assert from "node:assert/strict";
import { test } from "node:test";
import { mutate, seededRng } from "./mutate.js";

const source = Uint8Array.from({ length: 5000 }, (_, i) => i * 7);

test("a seed gives the same mutants everywhere", () => {
  assert.deepEqual(mutate(source, seededRng(5)), mutate(source, seededRng(5)));
  const rng = seededRng(1);
  assert.deepEqual(
    [rng(), rng(), rng()].map((x) => Math.floor(x * 1e6)),
    [627073, 2735, 527447],
  );
});

test("mutants differ from the source and from each other, and the source stays", () => {
  const before = source.slice();
  const mutants = Array.from({ length: 300 }, (_, i) => String(mutate(source, seededRng(i))));
  assert.deepEqual(source, before);
  assert.ok(new Set(mutants).size > 290);
  assert.ok(mutants.filter((m) => m === String(source)).length < 5);
});

test("short files can be damaged too", () => {
  for (let n = 0; n < 9; n++) for (let i = 0; i < 300; i++) mutate(source.slice(0, n), seededRng(i));
});
