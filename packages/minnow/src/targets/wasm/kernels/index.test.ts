import assert from "node:assert/strict";
import { test } from "node:test";
import { compile } from "../../../compiler/compile.js";
import "../../../ops/registry.js";
import { parse } from "../../../graph/text.js";
import { presets } from "../engine.js";
import { planSteps } from "../prepare.js";

const plan = (graph: string) => planSteps(compile(parse(graph)), presets.baseline, () => false);

test("products with weights pack them once, also beside products of two computed tensors", async () => {
  const planned = await plan(
    `graph main(%x: float32[4, 8], %z: float32[8, 4]) -> (%y) {
      const %w: float32[8, 8] = [${Array.from({ length: 64 }, (_, i) => i)}]
      %d: float32[4, 8] = Dense(%x, %w)
      %y: float32[4, 4] = MatMul(%d, %z)
    }`,
  );
  assert.deepEqual(
    planned.map((p) => [p?.label.replace(/_\d.*/, ""), p?.packed.length]),
    [
      ["f32_gemm", 1],
      ["f32_matmul", 0],
    ],
  );
});

test("products of two computed quantised tensors are multiplied as floats", async () => {
  const planned = await plan(`graph main(%x: float32[4, 8], %z: float32[8, 4]) -> (%y) {
    %a: uint8[4, 8] q(0.05, 3) = Quantize(%x) {to: "uint8"}
    %b: uint8[8, 4] q(0.04, 9) = Quantize(%z) {to: "uint8"}
    %y: uint8[4, 4] q(0.2, 120) = MatMul(%a, %b)
  }`);
  assert.match(planned.at(-1)?.label ?? "", /^f32_matmul/);
});

test("Strassen's products serve programs whose work is mostly theirs", async () => {
  const noise = (n: number): string => Array.from({ length: n }, (_, i) => ((i * 37) % 19) / 19).join(", ");
  const label = async (columns: number): Promise<string> => {
    const planned = await plan(
      `graph main(%x: float32[1, 6, 6, 64], %z: float32[36, ${columns}]) -> (%y, %q) {
        const %w: float32[64, 1, 1, 64] = [${noise(4096)}]
        const %v: float32[${columns}, ${columns}] = [${noise(columns * columns)}]
        %y: float32[1, 6, 6, 64] = Conv2D(%x, %w)
        %q: float32[36, ${columns}] = Dense(%z, %v)
      }`,
    );
    return planned[0]?.label ?? "";
  };
  assert.match(await label(64), /^f32_strassen/);
  assert.match(await label(160), /^f32_gemm/);
});
