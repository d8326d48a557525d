// What threads gain, network by network: one thread and several take turns in one process or page.
//   node bench/threads.mjs [net…] [--threads 2] [--rounds 15] [--busy] [--chromium] [--wide]
// --busy: another process keeps a core busy meanwhile. --chromium: in a cross-origin isolated page.
// --wide: 256-bit pairs (--experimental-wasm-revectorize). ms: best, median, min–max.
import { spawn } from "node:child_process";
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import v8 from "node:v8";
import { measureThreads } from "./lib/threads_measure.mjs";
import { names, network } from "./networks/index.mjs";

const { values: o, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "15" },
    busy: { type: "boolean", default: false },
    chromium: { type: "boolean", default: false },
    wide: { type: "boolean", default: false },
  },
});
const counts = [1, Number(o.threads)];
const rounds = Number(o.rounds);
if (o.wide) v8.setFlagsFromString("--experimental-wasm-revectorize");

const ms = (v) => v.toFixed(v < 10 ? 2 : 1);
function summary(times) {
  const s = [...times].sort((a, b) => a - b);
  return { best: s[0], median: s[s.length >> 1], worst: s[s.length - 1] };
}

async function inPage() {
  const { launch } = await import("../tests/browser/chromium.mjs");
  const { isolation, serve } = await import("../tests/browser/server.mjs");
  const script = `import { load } from "minnow"; import { measureThreads } from "/bench/lib/threads_measure.mjs";
    globalThis.go = async (bytes, counts, rounds) =>
      measureThreads({ load, bytes: new Uint8Array(bytes), counts, rounds, worker: true });`;
  const pages = {
    "/": `<!doctype html><script type="module">${script.replace('"minnow"', '"/packages/minnow/dist/index.js"')}</script>`,
  };
  const server = await serve(
    { "/packages/": "packages", "/node_modules/": "node_modules", "/bench/": "bench" },
    {
      headers: isolation,
      resolveModules: true,
      pages,
    },
  );
  const browser = await launch(o.wide ? ["--js-flags=--experimental-wasm-revectorize"] : []);
  const page = await browser.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => globalThis.go);
  const measure = (bytes) => {
    pages["/model"] = bytes;
    return page.evaluate(
      async ([c, r]) => globalThis.go(await (await fetch("/model")).arrayBuffer(), c, r),
      [counts, rounds],
    );
  };
  const close = async () => {
    await browser.close();
    await server.close();
  };
  return { measure, close, engine: `Chromium ${browser.version()}` };
}

async function inNode() {
  const { load } = await import("../packages/minnow/dist/index.js");
  const measure = (bytes) => measureThreads({ load, bytes, counts, rounds, worker: false });
  return { measure, close: async () => {}, engine: `Node ${process.versions.node}` };
}

const host = await (o.chromium ? inPage() : inNode());
const busy = o.busy ? spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }) : null;
process.on("exit", () => busy?.kill());
console.log(
  `${host.engine}${o.wide ? ", 256-bit pairs" : ""}, ${cpus()[0]?.model}, ${cpus().length} cores${busy ? ", one kept busy" : ""}, load ${loadavg()[0]?.toFixed(1)}`,
);
console.log(
  `network        1 thread: best, median, min–max ms      ${counts[1]} threads                              gain: best, median   bits`,
);
for (const name of positionals.length ? positionals : names) {
  const [one, many] = await host.measure(network(name).bytes);
  const [a, b] = [summary(one.times), summary(many.times)];
  const text = (s) => `${ms(s.best)}, ${ms(s.median)}, ${ms(s.best)}–${ms(s.worst)}`.padEnd(40);
  const gain = `${(a.best / b.best).toFixed(2)}, ${(a.median / b.median).toFixed(2)}`;
  const same = one.hash === many.hash ? "equal" : "DIFFERENT";
  console.log(
    `${name.padEnd(14)} ${text(a)}${text(b)}${gain}   ${same}${many.used === 1 ? `  on one: ${many.reason}` : ""}`,
  );
}
busy?.kill();
await host.close();
