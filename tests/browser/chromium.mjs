// A headless Chromium for tests, from npm alone: @sparticuz/chromium unpacks a browser (and, where the
// machine lacks them, its system libraries), playwright-core drives it, or nothing does.
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { readFileSync, writeFileSync } from "node:fs";
import { execFileSync, spawn, spawnSync } from "node:child_process";

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

const always = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts Chromium; `flags` are added to its command line, `wrap` goes before it (`taskset -c 1`). */
export async function launch(flags = [], { wrap = [] } = {}) {
  const { path, env } = await executable(wrap);
  const { chromium } = await import("playwright-core");
  return chromium.launch({
    executablePath: path,
    headless: true,
    timeout: wrap.length ? 600_000 : 60_000,
    env,
    args: [...always, ...flags],
  });
}

/**
 * Starts Chromium at a page, as a user has it: nothing drives it. DevTools, and so launch(), make a page keep
 * what it fetches.
 */
export async function open(url, flags = [], { wrap = [] } = {}) {
  const { path, env } = await executable(wrap);
  const profile = mkdtempSync(join(cache, "profile-"));
  const args = [
    ...["--headless", "--no-first-run", `--user-data-dir=${profile}`, "--disable-renderer-backgrounding"],
    ...["--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows"],
  ];
  const child = spawn(path, [...always, ...args, ...flags, url], { env, stdio: "ignore" });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  return {
    pid: child.pid,
    exited,
    async close() {
      child.kill();
      await exited;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** As it is called. */
export async function version() {
  const { path, env } = await executable([]);
  return /\d\S*/.exec(execFileSync(path, ["--version"], { env, encoding: "utf8" }))[0];
}

async function executable(wrap) {
  const path = await unpack();
  const env = { ...process.env, ...libraries(path) };
  if (!wrap.length) return { path, env };
  const script = join(cache, `wrapped-${process.pid}`);
  writeFileSync(script, `#!/bin/sh\nexec ${wrap.join(" ")} '${path}' "$@"\n`, { mode: 0o755 });
  return { path: script, env };
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
