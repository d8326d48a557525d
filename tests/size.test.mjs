// The price of the library in a bundle, and what a run-only bundle must not carry.
import assert from "node:assert/strict";
import { test } from "node:test";
import { check, onDemand } from "../scripts/size.mjs";

for (const name of ["start", "run", "full"])
  test(`${name}: below its limit, nothing that does not belong`, async () => {
    const m = await check(name);
    assert.deepEqual(m.carried, []);
    assert.ok(m.brotli <= m.limit * 1000, `${m.brotli} bytes brotli, limit ${m.limit} KB`);
    assert.ok(m.brotli > 15000, "the measure itself works");
  });

for (const worker of ["worker", "worker_run"])
  test(`${worker}: one file holds what is loaded on demand elsewhere`, async () => {
    const { carried, missing } = await onDemand(`packages/minnow/dist/${worker}.js`);
    assert.ok(carried > 50, "the measure itself works");
    // Only convert() asks for what precompiles and writes; workers run.
    assert.deepEqual(
      missing.filter((path) => !/\/(precompile|writer|weights)\.js$|\/flatbuffers\//.test(path)),
      [],
    );
  });
