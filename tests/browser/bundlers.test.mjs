// The same app bundled by Vite (build and dev server), webpack and esbuild runs in Chromium: on the
// page, in a worker, and with the run-only entry. Served under a strict Content-Security-Policy (the
// dev server brings its own inline scripts, so not there).
import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync, readFileSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { convert, load } from "minnow";
import { launch } from "./chromium.mjs";
import { serve, strictCsp } from "./server.mjs";
import { digits } from "./digits.mjs";

let browser;
let dir;
let want;
const closers = [];

before(async () => {
  browser = await launch();
  dir = mkdtempSync(join(tmpdir(), "minnow-bundle-"));
  cpSync("tests/browser/bundle", dir, { recursive: true });
  symlinkSync(resolve("node_modules"), join(dir, "node_modules"));
  mkdirSync(join(dir, "public", "models"), { recursive: true });
  const onnx = digits();
  writeFileSync(join(dir, "public", "models", "mnist.onnx"), onnx);
  writeFileSync(join(dir, "public", "models", "mnist.minnow"), await convert(onnx));
  writeFileSync(join(dir, "package.json"), `{ "type": "module" }`);
  const model = await load(onnx, { deterministic: true });
  const out = await model.run({ data: new Float32Array(28 * 28).fill(200 / 255), shape: [1, 1, 28, 28] });
  want = Array.from(Object.values(out)[0].data);
  await model.dispose();
});
after(async () => {
  await browser?.close();
  for (const close of closers) await close();
  rmSync(dir, { recursive: true, force: true });
});

async function answersAt(url) {
  const page = await browser.newPage();
  const said = [];
  page.on("console", (m) => m.type() === "error" && said.push(m.text()));
  page.on("pageerror", (e) => said.push(String(e)));
  await page.goto(url);
  await page
    .waitForFunction(() => globalThis.answers !== undefined, null, { timeout: 60000 })
    .catch(() => {
      throw new Error(`no answer: ${said.join("; ")}`);
    });
  const answers = await page.evaluate(() => globalThis.answers);
  await page.close();
  assert.deepEqual(answers, { page: want, worker: want, run: want });
}

async function served(folder, script) {
  const page = `<!doctype html><title>bundle</title><script type="module" src="${script}"></script>`;
  const mounts = { "/models/": join(dir, "public", "models"), "/": join(dir, folder) };
  const server = await serve(mounts, { headers: strictCsp, pages: { "/": page } });
  closers.push(server.close);
  await answersAt(server.url);
}

test("esbuild", async () => {
  const { build } = await import("esbuild");
  // esbuild leaves `new URL("./worker.js", import.meta.url)` as it is: the worker is a second entry.
  const entry = { main: join(dir, "main.js"), worker: resolve("packages/minnow/dist/worker.js") };
  await build({
    entryPoints: entry,
    bundle: true,
    format: "esm",
    splitting: true,
    outdir: join(dir, "esbuild"),
    platform: "browser",
    external: ["node:*"],
    logLevel: "error",
  });
  await served("esbuild", "/main.js");
});

test("webpack", async () => {
  const { default: webpack } = await import("webpack");
  const stats = await new Promise((ok, no) =>
    webpack(
      {
        mode: "production",
        entry: join(dir, "main.js"),
        output: { path: join(dir, "webpack"), filename: "main.js", publicPath: "/" },
        performance: { hints: false },
      },
      (e, s) => (e ? no(e) : ok(s)),
    ),
  );
  assert.ok(!stats.hasErrors(), stats.toString({ colors: false }));
  await served("webpack", "/main.js");
});

test("Vite build", async () => {
  const { build } = await import("vite");
  writeFileSync(
    join(dir, "index.html"),
    `<!doctype html><title>vite</title><script type="module" src="/main.js"></script>`,
  );
  await build({
    root: dir,
    logLevel: "error",
    configFile: false,
    build: { outDir: "vite", minify: true },
  });
  const html = readFileSync(join(dir, "vite", "index.html"), "utf8");
  const mounts = { "/": join(dir, "vite") };
  const server = await serve(mounts, { headers: strictCsp, pages: { "/": html } });
  closers.push(server.close);
  await answersAt(server.url);
});

test("Vite dev server", async () => {
  const { createServer } = await import("vite");
  const server = await createServer({
    root: dir,
    logLevel: "error",
    configFile: false,
    server: { host: "127.0.0.1", port: 0, fs: { strict: false } },
  });
  await server.listen();
  closers.push(() => server.close());
  await answersAt(server.resolvedUrls.local[0]);
});
