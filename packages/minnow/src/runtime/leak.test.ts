// A hundred rounds of load, run, dispose in a process of its own: memory must come back, every
// WebAssembly.Memory collected. In the parent the model is built, so that the child only loads it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const child = fileURLToPath(new URL("./leak_rounds.test.helper.js", import.meta.url));
const built = import.meta.url.endsWith(".js");

for (const where of ["", "worker", "threads"])
  test(`${where ? `40 rounds (${where})` : "100 rounds"} of load, run, dispose give the memory back`, {
    skip: !built && "runs on the build, not on the sources",
    timeout: 180_000,
  }, () => {
    const args = ["--expose-gc", child, ...(where ? [where] : [])];
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    const { rss, memories, collected } = JSON.parse(stdout) as {
      rss: number[];
      memories: number;
      collected: number;
    };
    const from20 = rss.slice(20);
    const grown = (Math.max(...from20) - (from20[0] as number)) / 2 ** 20;
    assert.ok(grown <= 10, `RSS grew by ${grown.toFixed(1)} MB from round 20 on`);
    if (where !== "worker") assert.ok(memories >= (where ? 40 : 100), `${memories} memories were made`);
    assert.equal(collected, memories, "WebAssembly.Memory objects were kept");
  });
