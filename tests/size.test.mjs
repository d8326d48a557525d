// The price of the library in a bundle, and what a run-only bundle must not carry.
import assert from "node:assert/strict";
import { test } from "node:test";
import { check } from "../scripts/size.mjs";

for (const name of ["start", "run", "full"])
  test(`${name}: below its limit, nothing that does not belong`, async () => {
    const m = await check(name);
    assert.deepEqual(m.carried, []);
    assert.ok(m.brotli <= m.limit * 1000, `${m.brotli} bytes brotli, limit ${m.limit} KB`);
    assert.ok(m.brotli > 15000, "the measure itself works");
  });
