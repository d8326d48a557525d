import assert from "node:assert/strict";
import { test } from "node:test";
import { assignOffsets, bound } from "./plan.js";
import type { Buffer } from "./program.js";

function lifetimes(seed: number, n: number): Buffer[] {
  let s = seed;
  const random = (limit: number): number => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return Math.floor((s / 2 ** 32) * limit);
  };
  return Array.from({ length: n }, (_, i) => {
    const first = random(40) - 1;
    return {
      space: "arena",
      bytes: 1 + random(5000),
      offset: -1,
      first,
      last: first + random(8),
      label: `b${i}`,
    };
  });
}

test("buffers alive together never overlap, and the arena holds them all", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const buffers = lifetimes(seed, 30);
    const size = assignOffsets(buffers);
    for (const a of buffers) {
      assert.ok(a.offset >= 0 && a.offset % 64 === 0 && a.offset + a.bytes <= size);
      for (const b of buffers) {
        if (a === b || a.last < b.first || b.last < a.first) continue;
        assert.ok(
          a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset,
          `seed ${seed}: ${a.label} ${b.label}`,
        );
      }
    }
    assert.ok(size >= bound(buffers));
  }
});

test("the bound is the most live bytes at a step", () => {
  const b = (first: number, last: number, bytes: number): Buffer => ({
    space: "arena",
    bytes,
    offset: -1,
    first,
    last,
    label: "",
  });
  assert.equal(bound([b(-1, 0, 100), b(0, 1, 50), b(1, 2, 120)]), 170);
  assert.equal(bound([]), 0);
});

test("a chain of equal buffers needs two of them", () => {
  const buffers = Array.from(
    { length: 10 },
    (_, i): Buffer => ({ space: "arena", bytes: 640, offset: -1, first: i, last: i + 1, label: `${i}` }),
  );
  assert.equal(assignOffsets(buffers), 1280);
});
