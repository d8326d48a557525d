// A signal stops a run that is under way: with one, the event loop has its turns between steps.
import assert from "node:assert/strict";
import { test } from "node:test";
import { deepModel } from "./deep_model.test.helper.js";
import { load } from "../run.js";

test("a run is aborted between steps; the model answers on, with the same bits", async () => {
  const { bytes, input } = deepModel(200);
  await using model = await load(bytes);
  const want = await model.run(input);
  // Without turns of the event loop this timer could not fire before the run ends.
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), 1);
  await assert.rejects(model.run(input, { signal: abort.signal }), { code: "aborted" });
  clearTimeout(timer);
  const quiet = new AbortController();
  assert.deepEqual(await model.run(input, { signal: quiet.signal }), want);
});
