// Whether threads pay: decided by the shortest runs with and without them, once, and told.
import assert from "node:assert/strict";
import { test } from "node:test";
import { cutStep, trialRuns } from "../targets/wasm/kernels/shares.js";
import { ThreadTrial } from "./threads.js";

/** Runs with these ms; how each was run, and what was told. */
function played(together: number, alone: number, work = 1000) {
  const trial = new ThreadTrial(2, work, () => {});
  const how: boolean[] = [];
  const told: string[] = [];
  for (let i = 0; i < trialRuns.warm + 2 * trialRuns.pairs + 3; i++) {
    trial.begin();
    how.push(trial.threaded);
    const noise = i < trialRuns.warm ? 50 : i % 3;
    const why = trial.end((trial.threaded ? together : alone) + noise);
    if (why !== undefined) told.push(why);
  }
  return { how, told, trial };
}

test("threads that gain stay", () => {
  const { how, told, trial } = played(10, 18);
  assert.deepEqual(how.slice(0, trialRuns.warm), Array(trialRuns.warm).fill(true));
  assert.equal(how.filter((h) => !h).length, trialRuns.pairs);
  assert.deepEqual(how.slice(-3), [true, true, true]);
  assert.deepEqual([told, trial.reason], [[], ""]);
});

test("threads that gain less than a tenth are given up, once, with the reason", () => {
  const { how, told, trial } = played(100, 105);
  assert.deepEqual(how.slice(-3), [false, false, false]);
  assert.equal(told.length, 1);
  assert.match(trial.reason, /2 threads .* 1\.05/);
});

test("a program of small steps is not tried", () => {
  const { how, trial } = played(10, 100, 40);
  assert.ok(how.every((h) => !h));
  assert.match(trial.reason, /too small/);
});

test("steps are cut in whole units, fine enough to share, and not at all when small", () => {
  const step = { extent: 3136, grain: 3136, unit: 6, macs: 1e8, bytes: 1e6, weights: 0 };
  const { chunks, grain } = cutStep(step, 2);
  assert.ok(
    chunks >= 8 && grain % 6 === 0 && chunks === Math.ceil(step.extent / grain),
    `${chunks} × ${grain}`,
  );
  const heavy = cutStep({ ...step, weights: 4e6 }, 2);
  assert.ok(heavy.chunks < chunks && heavy.chunks >= 2, "weights are not read anew for little work");
  assert.equal(cutStep({ ...step, macs: 1e5, bytes: 1e4 }, 2).chunks, 0);
  assert.equal(cutStep({ ...step, unit: 3136 }, 2).chunks, 0);
  const uneven = cutStep({ ...step, extent: 17, grain: 17, unit: 1 }, 2);
  assert.equal(uneven.chunks, 17, "two shares of 9 and 8, not of 10 and 7");
  for (const extent of [784, 196, 100, 49]) {
    const c = cutStep({ ...step, extent, grain: extent, unit: 4 }, 2);
    const first = Math.floor(c.chunks / 2) * c.grain;
    assert.ok(Math.abs(first - (extent - first)) <= extent / 12 + 4, `${extent} rows: ${first} for one`);
  }
});
