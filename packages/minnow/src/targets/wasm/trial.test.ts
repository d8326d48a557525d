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

// 6×8, 4×8, 6×16.
const picked = (...times: number[][]) => pick(times, false, true);

test("tiles: 6×8 where it is ahead, 4×8 where they are level, the wide one where vectors are joined", () => {
  const five = (t: number): number[] => Array.from({ length: 5 }, () => t);
  assert.deepEqual(picked(five(12.7), five(13.4), five(23)), { best: 0, broad: false });
  assert.deepEqual(picked(five(9.9), five(10), five(24)), { best: 1, broad: false });
  assert.deepEqual(picked(five(12), five(10), five(10)), { best: 1, broad: true });
  assert.deepEqual(picked(five(9.9), five(12.6), five(7.5)), { best: 0, broad: true });
});

test("tiles: on Arm the wide one unless it is plainly slower", () => {
  const five = (t: number): number[] => Array.from({ length: 5 }, () => t);
  const arm = (...times: number[][]) => pick(times, false, false).broad;
  assert.equal(arm(five(10), five(11), five(8)), true);
  assert.equal(arm(five(10), five(11), five(10)), true);
  assert.equal(arm(five(10), five(11), five(12)), false);
  assert.equal(pick([five(0.3), five(0.3), five(0.3)], true, false).broad, true);
});

test("tiles: a coarse clock cannot tell level from ahead, but wide from spilling", () => {
  const read = (...ticks: number[]): number[] => ticks.map((t) => t / 10);
  const narrow = read(3, 2, 3, 3, 2);
  assert.deepEqual(pick([narrow, narrow, read(5, 4, 5, 4, 5)], true, true), { best: 0, broad: false });
  assert.deepEqual(pick([read(3, 4, 3, 4, 3), narrow, read(5, 4, 5, 4, 5)], true, true).best, 0);
  assert.deepEqual(pick([read(5, 5, 4, 5, 5), narrow, read(5, 4, 5, 4, 5)], true, true).best, 1);
  // Every reading at the unluckier end.
  assert.deepEqual(pick([read(3, 3, 3, 3, 3), narrow, read(4, 4, 4, 4, 4)], true, true).broad, false);
  assert.deepEqual(pick([narrow, narrow, read(2, 1, 2, 1, 2)], true, true).broad, true);
});

test("tiles: a neighbour that slows some rounds changes nothing", () => {
  const slow = (t: number, ...rounds: number[]): number[] =>
    Array.from({ length: 5 }, (_, i) => (rounds.includes(i) ? 2.5 * t : t));
  assert.deepEqual(picked(slow(10, 2), slow(10.5, 0, 1), slow(24, 3)), { best: 0, broad: false });
  assert.deepEqual(picked(slow(10.5), slow(10, 3), slow(10, 0, 4)), { best: 1, broad: true });
  // The narrow tiles met a slow spell in every round but the wide one in none: no better than a guess.
  const five = (t: number): number[] => Array.from({ length: 5 }, () => t);
  assert.equal(picked([25, 25, 25, 25, 10], five(26), five(24)).broad, undefined);
});

let seed = 1;
/** A time as a clock of such ticks shows it. */
function seen(ms: number, tick: number): number {
  seed = (seed * 48271) % 0x7fffffff;
  const start = (seed / 0x7fffffff) * tick;
  return (Math.floor((start + ms) / tick) - Math.floor(start / tick)) * tick;
}

test("tiles: a clock of 5 µs tells 6 % from level", () => {
  for (const [ratio, best] of [
    [1.06, 0],
    [1, 1],
  ] as const) {
    let right = 0;
    for (let page = 0; page < 500; page++) {
      const turn = 0.42e-3 + page * 1e-7;
      const five = (ms: number): number[] =>
        Array.from({ length: 5 }, () => seen(ms * turnsFor(0.005), 0.005));
      if (pick([five(turn), five(ratio * turn), five(2 * turn)], false, true).best === best) right++;
    }
    assert.ok(right > 400, `${ratio}: ${right}`);
  }
});

test("tiles: a page's clock of 5 µs or 0.1 ms makes no vectors wide", () => {
  for (const tick of [0.005, 0.1])
    for (const [turn, ratio] of [
      [0.45e-3, 1.57],
      [0.5e-3, 1.8],
    ] as const)
      for (let page = 0; page < 500; page++) {
        const five = (ms: number): number[] =>
          Array.from({ length: 5 }, () => seen(ms * turnsFor(tick), tick));
        const times = [five(turn), five(1.03 * turn), five(ratio * turn)];
        const found = pick(times, tick > 0.02, true).broad;
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
  assert.deepEqual(found, { tile: tileCandidates[0], wide: false, dot: "i16", sure: false });
});
