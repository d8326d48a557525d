// A headless Chromium for tests, from npm alone: @sparticuz/chromium unpacks a browser (and, where the
// machine lacks them, its system libraries), playwright-core drives it.
import { existsSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { readFileSync, writeFileSync } from "node:fs";
import { execFileSync, spawnSync } from "node:child_process";

const cache = join(tmpdir(), "minnow-chromium-153");

/** Unpacks the browser where that is not done; returns its path. The test script does so once, first. */
export async function unpack() {
  mkdirSync(cache, { recursive: true });
  const before = process.env.TMPDIR;
  process.env.TMPDIR = cache;
  try {
    const { default: chromium } = await import("@sparticuz/chromium");
    return await chromium.executablePath();
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
}

/** Starts Chromium; `flags` are added to its command line, `wrap` goes before it (`taskset -c 1`). */
export async function launch(flags = [], { wrap = [] } = {}) {
  let executablePath = await unpack();
  const env = { ...process.env, ...libraries(executablePath) };
  if (wrap.length) {
    const script = join(cache, `wrapped-${process.pid}`);
    writeFileSync(script, `#!/bin/sh\nexec ${wrap.join(" ")} '${executablePath}' "$@"\n`, { mode: 0o755 });
    executablePath = script;
  }
  const { chromium } = await import("playwright-core");
  return chromium.launch({
    executablePath,
    headless: true,
    timeout: wrap.length ? 600_000 : 60_000,
    env,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...flags,
    ],
  });
}

/** LD_LIBRARY_PATH with the libraries that the package brings, only where the system lacks some. */
function libraries(executable) {
  const ldd = spawnSync("ldd", [executable], { encoding: "utf8" });
  if (ldd.status === 0 && !ldd.stdout.includes("not found")) return {};
  const dir = join(cache, "al2023");
  if (!existsSync(join(dir, "lib"))) {
    mkdirSync(dir, { recursive: true });
    const pack = new URL("../bin/al2023.tar.br", import.meta.resolve("@sparticuz/chromium"));
    const tar = join(cache, "al2023.tar");
    writeFileSync(tar, brotliDecompressSync(readFileSync(pack)));
    execFileSync("tar", ["xf", tar, "-C", dir]);
  }
  return { LD_LIBRARY_PATH: `${join(dir, "lib")}:${process.env.LD_LIBRARY_PATH ?? ""}` };
}
