import assert from "node:assert/strict";
import { test } from "node:test";
import { isX86 } from "./arch.js";
import { baseline } from "./engine.js";
import { fusesMultiplyAdd, probeEngine } from "./probe.js";

test("what time ran out for is looked for again", () => {
  const first = probeEngine({ budget: 0 });
  const e = probeEngine({ budget: 5000 });
  assert.equal(probeEngine(), e);
  assert.equal(e.fma, first.fma);
  // An engine that fuses has a baseline tier, so 0 ms decide nothing.
  assert.equal(e === first, !e.fma);
});

test("the probe finds an engine that this one can run", () => {
  const e = probeEngine();
  assert.ok(e.f32.mr >= 1 && (e.f32.nr === 8 || e.f32.nr === 16));
  assert.equal(e.fma, fusesMultiplyAdd());
  if (isX86()) assert.equal(e.wide, e.f32.nr === 16);
  else assert.ok(!e.wide);
  assert.equal(probeEngine(), e, "found once per process");
});

test("x86 is told from others", () => {
  assert.equal(isX86(), process.arch === "x64" || process.arch === "ia32");
});

test("deterministic: the baseline, whatever the engine has and the clock says", () => {
  assert.deepEqual(probeEngine({ deterministic: true }), baseline);
});
