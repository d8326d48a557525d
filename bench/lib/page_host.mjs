// Runs measurements in headless Chromium: a fresh browser and page each, cross-origin isolated or not.
// The browser is the one of the repository's tests (tests/browser/chromium.mjs, from npm). Nothing drives it: the
// page fetches what it is to do, and sends what it found. With DevTools attached a page keeps what it fetches
// (MobileNet v2 by URL: 85 MB in place of 42).
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { open, version } from "../../tests/browser/chromium.mjs";
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
  const engine = `Chromium ${await version()}`;
  let turn;
  const server = await serve(files, isolated, {
    served: (path) => fetched.set(path, files.get(path)),
    "/job": async () => {
      const pid = renderer(turn.browser.pid);
      Object.assign(turn, { pid, idle: await idleShare(200, pid), before: resident(pid).now });
      return turn.job;
    },
    "/cpu": () => cpuTime(turn.pid),
    "/result": (text) => turn.result(JSON.parse(text)),
  });
  const base = `http://127.0.0.1:${server.address().port}`;

  async function run({ peer, paths, flags, ...config }) {
    const urls = paths.map((p) => {
      files.set(`/model${p}`, readFileSync(p));
      return `/model${p}`;
    });
    fetched.clear();
    const { assets } = peers[peer];
    const job = { ...config, adapter: `/bundle/${peer}/${peer}.js`, urls, assets: assets && `/nm/${assets}` };
    const js = flags.length ? [`--js-flags=${flags.join(" ")}`] : [];
    const browser = await open(base, js, { wrap });
    const limit = new AbortController();
    try {
      const result = await Promise.race([
        new Promise((ok) => {
          turn = { browser, job, result: ok };
        }),
        browser.exited.then(() => ({ error: "the browser ended" })),
        sleep(timeout * 1000, { error: `nothing after ${timeout} s` }, limit).catch(() => {}),
      ]);
      if (result.error) return result;
      const program = [...fetched].filter(([path]) => /^\/(bundle|nm)\//.test(path));
      const { pid, idle, before } = turn;
      return { ...result, idle, rss: resident(pid).peak - before, fetched: new Map(program) };
    } finally {
      limit.abort();
      await browser.close();
    }
  }

  return {
    name: "page",
    engine,
    run,
    close: () => new Promise((ok) => server.close(ok)),
  };
}

/** The process of the one page, which descends from the browser's. */
function renderer(browser) {
  const text = (pid, file) => readFileSync(`/proc/${pid}/${file}`, "utf8");
  const parent = (pid) => Number(text(pid, "stat").split(") ")[1].split(" ")[1]);
  const isOurs = (pid) => pid === browser || (pid > 1 && isOurs(parent(pid)));
  const pages = readdirSync("/proc").filter((pid) => {
    try {
      return Number(pid) > 1 && text(pid, "cmdline").includes("--type=renderer") && isOurs(Number(pid));
    } catch {
      return false; // it has ended meanwhile
    }
  });
  return pages.sort((a, b) => resident(b).now - resident(a).now)[0];
}

async function serve(files, isolated, answers) {
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
  const server = createServer(async (request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://x").pathname);
    try {
      if (Object.hasOwn(answers, path)) {
        const given = await answers[path](await text(request));
        response.writeHead(200, headers).end(JSON.stringify(given ?? null));
        return;
      }
      if (!files.has(path)) {
        const prefix = Object.keys(roots).find((p) => path.startsWith(p));
        const file = resolve(roots[prefix], path.slice(prefix.length));
        if (!file.startsWith(roots[prefix])) throw new Error("outside");
        files.set(path, readFileSync(file));
      }
      const type = path === "/" ? "text/html" : (types[extname(path)] ?? "application/octet-stream");
      const body = files.get(path);
      response.writeHead(200, { ...headers, "Content-Type": type, "Content-Length": body.length });
      response.end(body);
      answers.served(path);
    } catch {
      response.writeHead(404, headers).end();
    }
  });
  await new Promise((ok) => server.listen(0, "127.0.0.1", ok));
  return server;
}
