import assert from "node:assert/strict";
import { test } from "node:test";
import { enableWideSimd } from "./node.js";
import { conv2d } from "./targets/wasm/kernels/conv.js";
import { actual, convCase, expected, worst } from "./targets/wasm/kernels/harness.js";
import { probeEngine } from "./targets/wasm/probe.js";

test("the engine is as enableWideSimd says, and right", () => {
  const wide = enableWideSimd();
  const engine = probeEngine();
  assert.equal(engine.wide, wide);
  assert.equal(engine.f32.nr, wide ? 16 : 8);
  assert.equal(enableWideSimd(), wide, "asked again");
  if (Number(process.versions.node.split(".")[0]) < 24 || process.arch !== "x64") assert.equal(wide, false);
  const c = convCase({ h: 9, w: 9, c: 24, o: 40, kernel: [3, 3], pads: [1, 1, 1, 1], residual: "other" });
  const got = actual(c, conv2d, engine);
  assert.ok(got && worst(got, expected(c)) < 2e-5);
});
