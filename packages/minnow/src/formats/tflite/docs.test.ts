// docs/tflite.md lists exactly the operators that the table has.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { builtins, customs } from "./operators.js";

function page(): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    const path = join(dir, "docs/tflite.md");
    if (existsSync(path)) return readFileSync(path, "utf8");
    if (dirname(dir) === dir) return assert.fail("docs/tflite.md is not there");
  }
}

test("docs/tflite.md lists the operators", () => {
  const sections = page().split(/^## /m);
  const listed = (title: string): string[] => {
    const text = sections.find((s) => s.startsWith(`${title}\n`)) ?? assert.fail(`no section ${title}`);
    return [...text.slice(title.length).matchAll(/`(\w+)`/g)].map((m) => m[1] as string).sort();
  };
  assert.deepEqual(listed("Operators"), [...builtins.keys(), "DENSIFY", "IF"].sort());
  assert.deepEqual(listed("Custom operators"), [...customs.keys()].sort());
});
