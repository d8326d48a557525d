// The driver's code in driver.ts is what is emitted for it: when this fails, the message has the new text.
import assert from "node:assert/strict";
import { test } from "node:test";
import { driverBase64 } from "./driver.js";
import { driverCode } from "./driver_code.js";

test("driver.ts holds what driver_code.ts emits", () => {
  const text = Buffer.from(driverCode()).toString("base64");
  assert.equal(driverBase64, text);
});
