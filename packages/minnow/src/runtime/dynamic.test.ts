// Dynamic shapes: the OCR models over 50 page sizes. After the first few, no kernel is compiled again,
// and a size that came back gives the same bits.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../index.js";
import { models, needsNpm, npmFile } from "./npm_models.test.helper.js";
import type { ModelEvent } from "./types.js";

/** Pixels that depend on their place only. */
function page(height: number, width: number): { data: Float32Array; shape: number[] } {
  const data = Float32Array.from({ length: 3 * height * width }, (_, i) => ((i * 7919) % 509) / 254.5 - 1);
  return { data, shape: [1, 3, height, width] };
}

const cases = [
  ["detector", (i: number) => [32 * (1 + (i % 5)), 32 * (1 + (Math.floor(i / 5) % 10))]],
  ["recogniser", (i: number) => [48, 32 + 8 * ((i * 17) % 50)]],
] as const;

for (const [name, size] of cases)
  test(`${name}: 50 sizes, no kernel compiled after the first few`, needsNpm(models[name]), async () => {
    const kernels: number[] = [];
    const onEvent = (e: ModelEvent): void => {
      if (e.type === "compile") kernels.push(e.kernels);
    };
    await using model = await load(npmFile(models[name]) as string, { onEvent });
    const input = model.inputs[0]?.name as string;
    const output = model.outputs[0]?.name as string;
    const run = async (i: number) => {
      const [height, width] = size(i) as [number, number];
      return (await model.run({ [input]: page(height, width) }))[output] ?? assert.fail();
    };
    const first = await run(0);
    assert.ok((first.data as Float32Array).every(Number.isFinite));
    const shapes = new Set<string>();
    for (let i = 1; i < 50; i++) shapes.add((await run(i)).shape.join());
    assert.ok(shapes.size >= 45, `${shapes.size} different shapes`);
    assert.equal(kernels.at(-1), kernels[4], `kernels after each new size: ${kernels}`);
    assert.deepEqual((await run(0)).data, first.data);
  });
