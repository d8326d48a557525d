// The choice of a tile from times that a busy machine disturbed: what is plain stays plain, what is unsure
// stays with the first.
import assert from "node:assert/strict";
import { test } from "node:test";
import { tileCandidates } from "./kernels/tiles.js";
import { isFaster, pick, tryTiles, turnsFor } from "./trial.js";

test("faster is by the best time and in most rounds; else it is unsure", () => {
  assert.equal(isFaster([1, 1, 1], [2, 2, 2], 1), true);
  assert.equal(isFaster([2, 2, 2], [1, 1, 1], 1), false);
  assert.equal(isFaster([9, 9, 1], [2, 2, 2], 1), undefined);
  assert.equal(isFaster([2, 2, 2], [9, 9, 1], 1), undefined);
  assert.equal(isFaster([1, 1, 1], [1.2, 1.2, 1.2], 1.3), false);
});

test("tiles: the first unless another is clearly ahead, the wide one where vectors are joined", () => {
  const five = (t: number): number[] => Array.from({ length: 5 }, () => t);
  // 4×8, 6×8, 6×16.
  assert.deepEqual(pick([five(10), five(9.8), five(24)]), { best: 0, broad: false });
  assert.deepEqual(pick([five(10), five(9), five(24)]), { best: 1, broad: false });
  assert.deepEqual(pick([five(10), five(12), five(10)]), { best: 0, broad: true });
});

test("tiles: a neighbour that slows some rounds changes nothing", () => {
  const slow = (t: number, ...rounds: number[]): number[] =>
    Array.from({ length: 5 }, (_, i) => (rounds.includes(i) ? 2.5 * t : t));
  assert.deepEqual(pick([slow(10, 0, 1), slow(10, 2), slow(24, 3)]), { best: 0, broad: false });
  assert.deepEqual(pick([slow(10, 3), slow(10.5), slow(10, 0, 4)]), { best: 0, broad: true });
  // The narrow tiles met a slow spell in every round but the wide one in none: no better than a guess.
  assert.equal(pick([[25, 25, 25, 25, 10], five(25), five(24)]).broad, undefined);
  function five(t: number): number[] {
    return Array.from({ length: 5 }, () => t);
  }
});

test("tiles: a page's clock of 5 µs or 0.1 ms makes no vectors wide", () => {
  let seed = 1;
  const seen = (ms: number, tick: number): number => {
    seed = (seed * 48271) % 0x7fffffff;
    const start = (seed / 0x7fffffff) * tick;
    return (Math.floor((start + ms) / tick) - Math.floor(start / tick)) * tick;
  };
  for (const tick of [0.005, 0.1])
    for (const [turn, ratio] of [
      [0.45e-3, 1.57],
      [0.5e-3, 1.8],
    ] as const)
      for (let page = 0; page < 500; page++) {
        const five = (ms: number): number[] =>
          Array.from({ length: 5 }, () => seen(ms * turnsFor(tick), tick));
        const found = pick([five(turn), five(1.03 * turn), five(ratio * turn)]).broad;
        // More rounds follow where it is unsure.
        assert.notEqual(found, true, `${tick} ms, ${ratio}`);
      }
});

test("time that runs out before the code is optimised: the safe guess, and said to be one", () => {
  const slowly = (): void => {
    const start = performance.now();
    while (performance.now() < start + 3);
  };
  const found = tryTiles(slowly, new ArrayBuffer(1 << 16), 0, true);
  assert.deepEqual(found, { tile: tileCandidates[0], wide: false, relaxed: false, sure: false });
});
