// Whether threads pay: decided by the shortest runs with and without them, once, and told.
import assert from "node:assert/strict";
import { test } from "node:test";
import { cutStep, trialRuns } from "../targets/wasm/kernels/shares.js";
import { isModule, ThreadTrial } from "./threads.js";

/** Runs with these ms, the n-th with threads taking `together(n)`; how each was run, and what was told. */
function played(runs: number, together: (n: number) => number, alone: number, work = 1000) {
  const trial = new ThreadTrial(2, work, () => {});
  const how: boolean[] = [];
  const told: string[] = [];
  for (let i = 0; i < runs; i++) {
    trial.begin();
    how.push(trial.threaded);
    const why = trial.end((trial.threaded ? together(i) : alone) + (i % 3));
    if (why !== undefined) told.push(why);
  }
  return { how, told, trial };
}
const { pairs, most } = trialRuns;

test("threads that gain stay, and are tried again much later", () => {
  const { how, told, trial } = played(most, () => 100, 180);
  assert.equal(how.filter((h) => !h).length, pairs);
  assert.deepEqual([told, trial.reason], [[], ""]);
  const later = played(most + 100, () => 100, 180);
  assert.equal(later.how.filter((h) => !h).length, 2 * pairs);
});

test("the first runs are not compared: code is compiled meanwhile", () => {
  const { how } = played(20, (n) => (n < 6 ? 900 : 1), 2);
  assert.deepEqual(how.slice(0, 3), [true, true, true]);
  const short = played(200, () => 1, 2);
  assert.ok(short.how.indexOf(false) > 25, "some ms must have passed");
});

test("threads that gain less than a tenth are given up, told once, and tried more and more seldom", () => {
  const { how, told, trial } = played(400, () => 100, 105);
  assert.deepEqual(how.slice(12, 24), Array(12).fill(false));
  assert.equal(told.length, 1);
  assert.match(trial.reason, /2 threads .* 1\.0/);
  const tried = how.slice(3).filter((h) => h).length;
  assert.ok(tried >= 3 * pairs && tried <= 5 * pairs, `${tried} runs with threads`);
});

test("threads that lost in a busy moment come back", () => {
  const { how, told, trial } = played(60, (n) => (n < 20 ? 300 : 100), 180);
  assert.deepEqual(how.slice(-10), Array(10).fill(true));
  assert.deepEqual([told.length, trial.reason], [1, ""]);
});

test("a program of small steps is not tried", () => {
  const { how, trial } = played(100, () => 10, 100, 40);
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

test("a module worker is told from a classic one, in Firefox too", () => {
  const scope = globalThis as { importScripts?: (...urls: string[]) => void };
  const invalid = (): never => {
    throw new DOMException("the URL is invalid", "SyntaxError");
  };
  const refused = (): never => {
    throw new TypeError("module scripts have no importScripts");
  };
  const engines = {
    "classic, any": [(...urls: string[]) => void (urls.length && invalid()), false],
    "module, Chromium": [refused, true],
    "module, Firefox": [(...urls: string[]) => void (urls.length && refused()), true],
  } as const;
  for (const [name, [importScripts, want]] of Object.entries(engines)) {
    scope.importScripts = importScripts;
    try {
      assert.equal(isModule(), want, name);
    } finally {
      delete scope.importScripts;
    }
  }
});
