// The bench's scripts are run by hand and need its own packages; this links them without either, so that a
// rename in the library or between scripts cannot leave one broken unseen.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const bench = fileURLToPath(new URL("../bench/", import.meta.url));
const scripts = ["", "lib/", "networks/", "peers/"].flatMap((folder) =>
  readdirSync(bench + folder)
    .filter((f) => f.endsWith(".mjs"))
    .map((f) => bench + folder + f),
);

test("every script of the bench finds what it imports", async () => {
  assert.ok(scripts.length > 40);
  const { errors, warnings } = await build({
    entryPoints: scripts,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    outdir: "unwritten",
    write: false,
    logLevel: "silent",
  });
  assert.deepEqual(
    [...errors, ...warnings].map((m) => m.text),
    [],
  );
});
