// Runs measurements in headless Chromium: a fresh browser and page each, cross-origin isolated or not.
// The browser is the one of the repository's tests (tests/browser/chromium.mjs, from npm).
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, resolve } from "node:path";
import { launch } from "../../tests/browser/chromium.mjs";
import { benchDir, peers } from "../peers/index.mjs";
import { bundle } from "./bundle.mjs";
import { cpuTime, idleShare, resident } from "./machine.mjs";

const types = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };
const html =
  '<!doctype html><title>bench</title><link rel="icon" href="data:,"><script type="module" src="/lib/page_harness.mjs"></script>';

export async function pageHost({ isolated, timeout, wrap, names }) {
  const files = new Map([["/", Buffer.from(html)]]);
  for (const peer of names.filter((p) => peers[p].hosts.includes("page")))
    for (const [name, contents] of await bundle(peer)) files.set(`/bundle/${peer}/${name}`, contents);
  const fetched = new Map();
  const server = await serve(files, isolated, (path) => fetched.set(path, files.get(path)));
  const base = `http://127.0.0.1:${server.address().port}`;
  let engine = "Chromium";

  async function run({ peer, paths, flags, ...config }) {
    const urls = paths.map((p) => {
      files.set(`/model${p}`, readFileSync(p));
      return `/model${p}`;
    });
    fetched.clear();
    const js = flags.length ? [`--js-flags=${flags.join(" ")}`] : [];
    const browser = await launch(js, { wrap });
    let timer;
    try {
      engine = `Chromium ${browser.version()}`;
      const page = await browser.newPage();
      const failed = new Promise((_, reject) => {
        page.on("crash", () => reject(new Error("the page crashed")));
        timer = setTimeout(() => reject(new Error(`nothing after ${timeout} s`)), timeout * 1000);
      });
      let pid;
      await page.exposeFunction("cpuTime", () => cpuTime(pid));
      await page.goto(base);
      await page.waitForFunction("self.bench");
      pid = await renderer(browser);
      const idle = await idleShare(200, pid);
      const before = resident(pid).now;
      const { assets } = peers[peer];
      const argument = {
        ...config,
        adapter: `/bundle/${peer}/${peer}.js`,
        urls,
        assets: assets && `/nm/${assets}`,
      };
      const work = page.evaluate(
        (c) => self.bench(c).catch((e) => ({ error: String(e?.message ?? e).split("\n")[0] })),
        argument,
      );
      const result = await Promise.race([work, failed]);
      const program = [...fetched].filter(([path]) => /^\/(bundle|nm)\//.test(path));
      return { ...result, idle, rss: resident(pid).peak - before, fetched: new Map(program) };
    } catch (e) {
      return { error: e.message.split("\n")[0] };
    } finally {
      clearTimeout(timer);
      await browser.close();
    }
  }

  return {
    name: "page",
    get engine() {
      return engine;
    },
    run,
    close: () => new Promise((ok) => server.close(ok)),
  };
}

/** The process of the one page. */
async function renderer(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const pages = processInfo.filter((p) => p.type === "renderer").map((p) => p.id);
  return pages.sort((a, b) => resident(b).now - resident(a).now)[0];
}

async function serve(files, isolated, onServed) {
  const headers = { "Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store" };
  if (isolated) {
    headers["Cross-Origin-Opener-Policy"] = "same-origin";
    headers["Cross-Origin-Embedder-Policy"] = "require-corp";
  }
  const roots = {
    "/nm/": join(benchDir, "node_modules"),
    "/lib/": join(benchDir, "lib"),
    "/networks/": join(benchDir, "networks"),
  };
  const server = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://x").pathname);
    try {
      if (!files.has(path)) {
        const prefix = Object.keys(roots).find((p) => path.startsWith(p));
        const file = resolve(roots[prefix], path.slice(prefix.length));
        if (!file.startsWith(roots[prefix])) throw new Error("outside");
        files.set(path, readFileSync(file));
      }
      const type = path === "/" ? "text/html" : (types[extname(path)] ?? "application/octet-stream");
      response.writeHead(200, { ...headers, "Content-Type": type });
      response.end(files.get(path));
      onServed(path);
    } catch {
      response.writeHead(404, headers).end();
    }
  });
  await new Promise((ok) => server.listen(0, "127.0.0.1", ok));
  return server;
}
