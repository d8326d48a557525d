// { worker: true } with a real thread and a real model: the same answers as here.
import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "../index.js";
import { models, npmFile } from "./npm_models.test.helper.js";
import type { ModelError } from "../error.js";

const path = npmFile(models.faces);
const built = import.meta.url.endsWith(".js");
const skip = !built
  ? "runs on the build, not on the sources"
  : path
    ? false
    : "the demo's models are not installed";

test("a model in a thread gives the bits that it gives here", { skip }, async () => {
  await using here = await load(path as string);
  await using there = await load(path as string, { worker: true });
  assert.deepEqual(there.inputs, here.inputs);
  const [input] = here.inputs;
  const x = Float32Array.from({ length: 128 * 128 * 3 }, (_, i) => ((i * 31) % 255) / 127.5 - 1);
  const want = await here.run({ [input?.name as string]: x });
  const results = await Promise.all([1, 2, 3].map(() => there.run({ [input?.name as string]: x })));
  for (const got of results) assert.deepEqual({ ...got }, { ...want });
  assert.equal(x.length, 128 * 128 * 3);
  assert.equal(there.report().device, "wasm");
  // Each engine times its own tiles, so the kernels' names may differ; what they compute does not.
  const rows = (m: typeof here) => m.report().operators.map(({ kernels: _, ...row }) => row);
  assert.deepEqual(rows(there), rows(here));
  const profile = await there.profile(x, { runs: 2 });
  assert.ok(profile.operators.length > 10 && profile.ms > 0);
});

test("errors of loading cross over", { skip }, async () => {
  await assert.rejects(
    load(new TextEncoder().encode("no model at all"), { worker: true }),
    (e: ModelError) => e.code === "unknown_format",
  );
  await assert.rejects(
    load(path as string, { worker: true, maxMemory: 1000 }),
    (e: ModelError) => e.code === "out_of_memory",
  );
});
