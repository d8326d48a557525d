// What the package exports: bundles, few files to start with, one state in all entry points, and
// workers and threads beside them (tests/threads.test.mjs runs many more).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { test } from "node:test";
import { load, ModelError } from "minnow";
import * as run from "minnow/run";
import { deepModel } from "../packages/minnow/dist/runtime/deep_model.test.helper.js";

const bundle = "../packages/minnow/dist/bundle/";

/** The files that an entry imports statically, itself included. */
function loadedBy(url, files = new Map()) {
  const text = readFileSync(url, "utf8");
  files.set(url.href, text);
  for (const [, name] of text.matchAll(
    /^(?:import|export)[^;]*?from ?"(\.[^"]+)"|;import[^;]*?from ?"(\.[^"]+)"/g,
  )) {
    const next = new URL(name ?? "", url);
    if (name && !files.has(next.href)) loadedBy(next, files);
  }
  return files;
}

test("the exports are the bundles", () => {
  for (const [name, file] of Object.entries({
    minnow: "index.js",
    "minnow/run": "run.js",
    "minnow/image": "image.js",
  }))
    assert.equal(import.meta.resolve(name), new URL(bundle + file, import.meta.url).href);
});

test("minnow/run starts with two files, no reader of other formats, no compiler", () => {
  const files = loadedBy(new URL(`${bundle}run.js`, import.meta.url));
  assert.deepEqual(
    [...files.keys()].map((f) => basename(f)),
    ["run.js", "core.js"],
  );
  for (const text of files.values()) assert.doesNotMatch(text, /TFL3|onnx|load32_splat/i);
});

test("all entry points share one state", async () => {
  assert.equal(run.ModelError, ModelError);
  await assert.rejects(run.load(new Uint8Array(64)), ModelError);
});

test("workers and threads are found beside the bundles", async () => {
  for (const start of [load, run.load]) {
    const { bytes, input } = deepModel(2);
    const here = await start(bytes.slice());
    const there = await start(bytes, { worker: true, threads: 2 });
    assert.deepEqual(await there.run({ x: input }), await here.run({ x: input }));
    assert.equal(there.report().threads.used, 2);
    await Promise.all([here.dispose(), there.dispose()]);
  }
});
