// docs/onnx.md lists exactly the operators that the tables have.
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { tables } from "./operators/index.js";

function page(): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    const path = join(dir, "docs/onnx.md");
    if (existsSync(path)) return readFileSync(path, "utf8");
    if (dirname(dir) === dir) return assert.fail("docs/onnx.md is not there");
  }
}

test("docs/onnx.md lists the operators", () => {
  const sections = page().split(/^## /m);
  const listed = (title: string): string[] => {
    const text = sections.find((s) => s.startsWith(`${title}\n`)) ?? assert.fail(`no section ${title}`);
    return [...text.slice(title.length).matchAll(/`(\w+)`/g)].map((m) => m[1] as string).sort();
  };
  assert.deepEqual(listed("Operators"), Object.keys(tables[""] ?? {}).sort());
  assert.deepEqual(listed("Operators of `com.microsoft`"), Object.keys(tables["com.microsoft"] ?? {}).sort());
});
