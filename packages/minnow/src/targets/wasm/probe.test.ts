import assert from "node:assert/strict";
import { test } from "node:test";
import { baseline } from "./engine.js";
import { fusesMultiplyAdd, probeEngine } from "./probe.js";

test("the probe finds an engine that this one can run", () => {
  const e = probeEngine();
  assert.ok(e.f32.mr >= 1 && (e.f32.nr === 8 || e.f32.nr === 16));
  assert.equal(e.fma, fusesMultiplyAdd());
  assert.equal(e.wide, e.f32.nr === 16);
  assert.equal(probeEngine(), e, "found once per process");
});

test("deterministic: the baseline, whatever the engine has and the clock says", () => {
  assert.deepEqual(probeEngine({ deterministic: true }), baseline);
});
