import assert from "node:assert/strict";
import { test } from "node:test";
import { compile } from "../../../compiler/compile.js";
import { parse } from "../../../graph/text.js";
import { presets } from "../engine.js";
import { planSteps } from "../prepare.js";

test("products with weights pack them once, also beside products of two computed tensors", async () => {
  const program = compile(
    parse(`graph main(%x: float32[4, 8], %z: float32[8, 4]) -> (%y) {
      const %w: float32[8, 8] = [${Array.from({ length: 64 }, (_, i) => i)}]
      %d: float32[4, 8] = Dense(%x, %w)
      %y: float32[4, 4] = MatMul(%d, %z)
    }`),
  );
  const planned = await planSteps(program, presets.baseline, () => false);
  assert.deepEqual(
    planned.map((p) => [p?.label.replace(/_\d.*/, ""), p?.packed.length]),
    [
      ["f32_gemm", 1],
      ["f32_matmul", 0],
    ],
  );
});
