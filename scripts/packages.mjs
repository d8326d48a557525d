// Package checks: publint and attw on what `npm pack` would publish.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const run = (file, args, cwd) => execFileSync(file, args, { cwd, stdio: "inherit" });
const bin = (name) => join(process.cwd(), "node_modules", ".bin", name);
const out = mkdtempSync(join(tmpdir(), "minnow-pack-"));
try {
  for (const name of ["minnow", "cli"]) {
    const dir = join("packages", name);
    run(bin("publint"), ["--strict"], dir);
    if (name === "cli") continue; // a binary: nothing to import
    const packed = JSON.parse(
      execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", out], { cwd: dir }),
    );
    const file = Array.isArray(packed) ? packed[0].filename : Object.values(packed)[0].filename;
    run(bin("attw"), [join(out, file), "--profile", "esm-only"], ".");
  }
} finally {
  rmSync(out, { recursive: true, force: true });
}
