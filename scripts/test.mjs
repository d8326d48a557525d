// Runs the compiled tests with node:test. Usage: node scripts/test.mjs [--only TEXT] [--no-browser]
// Node 20 has no globs in --test, so the files are listed here.
import { spawnSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const args = process.argv.slice(2);
const only = args.includes("--only") ? args[args.indexOf("--only") + 1] : "";
const browser = !args.includes("--no-browser");

function find(dir, ending) {
  return readdirSync(dir).flatMap((name) => {
    const path = join(dir, name);
    if (name === "node_modules") return [];
    return statSync(path).isDirectory() ? find(path, ending) : name.endsWith(ending) ? [path] : [];
  });
}
const files = [
  ...["packages/minnow/dist", "packages/cli/dist", "demo/dist"].flatMap((d) => find(d, ".test.js")),
  ...find("tests", ".test.mjs").filter((f) => browser || !f.includes("browser")),
].filter((f) => f.includes(only));
if (files.length === 0) {
  console.error("no test file matches");
  process.exit(1);
}
await import("./bundle.mjs"); // what `import "minnow"` means to Node
// Once, before test files that use it start side by side.
if (files.some((f) => f.includes("browser"))) await (await import("../tests/browser/chromium.mjs")).unpack();
const reporter = process.env.CI ? ["--test-reporter=spec"] : [];
const run = spawnSync(process.execPath, ["--expose-gc", "--test", ...reporter, ...files], {
  stdio: "inherit",
});
process.exit(run.status ?? 1);
