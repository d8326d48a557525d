import assert from "node:assert/strict";
import { test } from "node:test";
import { fusesMultiplyAdd, probeEngine } from "./probe.js";

test("the probe finds an engine that this one can run", () => {
  const e = probeEngine();
  assert.ok(e.f32.mr >= 1 && (e.f32.nr === 8 || e.f32.nr === 16));
  assert.equal(e.fma, fusesMultiplyAdd());
  assert.equal(e.wide, e.f32.nr === 16);
  assert.equal(probeEngine(), e, "found once per process");
});

test("deterministic: no fused multiply-add, whatever the engine has", () => {
  const e = probeEngine({ deterministic: true });
  assert.equal(e.fma, false);
});
