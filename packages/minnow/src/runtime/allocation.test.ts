// Nothing but the outputs is allocated per run, and with `into` not even these: measured as bytes of
// array buffers (exact) over many runs of a real model.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../index.js";
import { models, needsNpm, npmFile } from "./npm_models.test.helper.js";
import type { TensorData } from "./types.js";

test("into allocates no buffer; without it only the outputs' own", needsNpm(models.faces), async () => {
  await using model = await load(npmFile(models.faces) as string);
  const x = new Float32Array(128 * 128 * 3);
  const into = Object.fromEntries(Object.entries(await model.run(x)).map(([n, v]) => [n, v.data])) as Record<
    string,
    TensorData
  >;
  const size = Object.values(into).reduce((a, d) => a + (d as Float32Array).byteLength, 0);
  const buffers = async (runs: number, options: object): Promise<number> => {
    await model.run(x, options);
    const before = process.memoryUsage().arrayBuffers;
    const kept: unknown[] = [];
    for (let i = 0; i < runs; i++) kept.push(await model.run(x, options));
    const { arrayBuffers } = process.memoryUsage();
    return kept.length ? (arrayBuffers - before) / runs : 0;
  };
  assert.ok((await buffers(20, { into })) < 200, "into allocates");
  const each = await buffers(20, {});
  assert.ok(each <= size * 1.02 + 1000, `${each} bytes a run for outputs of ${size}`);
});
