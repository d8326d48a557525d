#!/usr/bin/env node
// Minnow beside its peers, one command a table:
//   node bench/table.mjs node|chromium|chromium-plain|cold|memory|int8|small|download [options]
// Prints Markdown and writes it with JSON and an SVG plot to bench/results (README.md says what each needs).
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { collect, summarise } from "./lib/collect.mjs";
import { cpu, quiet } from "./lib/machine.mjs";
import { names as fiveNetworks } from "./networks/index.mjs";
import { nodeHost } from "./lib/node_host.mjs";
import { pageHost } from "./lib/page_host.mjs";
import { svg } from "./lib/plot.mjs";
import { charts, markdown } from "./lib/views.mjs";
import { benchDir, peers, version } from "./peers/index.mjs";

const tables = {
  node: { title: "Node", hosts: ["node"], threads: [1, 2] },
  chromium: { title: "Chromium, cross-origin isolated", hosts: ["isolated"], threads: [1, 2] },
  "chromium-plain": { title: "Chromium, not isolated", hosts: ["plain"], threads: [1] },
  cold: {
    title: "Cold start: model bytes in memory → first answer",
    hosts: ["node", "isolated"],
    threads: [1],
    models: ["mobilenet_v2"],
    view: "cold",
  },
  memory: {
    title: "Memory above an empty process or page",
    hosts: ["node", "isolated"],
    threads: [1],
    view: "memory",
  },
};

const { values: o, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "1" },
    only: { type: "string" }, // peers
    models: { type: "string" },
    threads: { type: "string" },
    node: { type: "string" }, // a path, or 22, 24, 26: the pinned packages
    flags: { type: "string", multiple: true, default: ["none"] }, // engine flags; repeat to compare in one run
    wrap: { type: "string", default: "" }, // goes before each measured process: "taskset -c 1"
    timeout: { type: "string", default: "180" },
    out: { type: "string", default: join(benchDir, "results") },
  },
});
const [name] = positionals;
const table = tables[name];
if (!table || positionals.length > 1) {
  console.error(`usage: node bench/table.mjs ${Object.keys(tables).join("|")} [options]`);
  process.exit(2);
}
const list = (text, or) => text?.split(",").filter(Boolean) ?? or;
const wrap = o.wrap.split(" ").filter(Boolean);
const names = list(o.only, Object.keys(peers));
const common = { wrap, timeout: Number(o.timeout), names };
const node = nodeHost({ ...common, node: o.node });
const hosts = [];
for (const h of table.hosts)
  hosts.push(h === "node" ? node : await pageHost({ ...common, isolated: h === "isolated" }));

const log = (text) => console.error(text);
const { gflops, fused } = await node.child("peak.mjs", {});
const cells = await collect({
  hosts,
  names,
  log,
  threads: list(o.threads)?.map(Number) ?? table.threads,
  models: list(o.models) ?? table.models ?? fiveNetworks,
  flags: o.flags.map((f) => (f === "none" ? [] : f.split(" "))),
  rounds: Number(o.rounds),
  seconds: Number(o.seconds),
});
for (const h of hosts) await h.close();

const rows = cells.map(summarise);
const git = (...args) => execFileSync("git", args, { cwd: benchDir, encoding: "utf8" }).trim();
const used = [...new Set(rows.map((r) => r.peer))];
const head = {
  table: name,
  title: table.title,
  command: ["node bench/table.mjs", ...process.argv.slice(2)].join(" "),
  date: new Date().toISOString().slice(0, 16),
  commit: git("rev-parse", "--short", "HEAD"),
  cpu: cpu(),
  peak: { gflops, fused },
  engines: [...new Set(rows.map((r) => r.engine))],
  versions: Object.fromEntries(used.map((p) => [p, version(p)])),
  rounds: Number(o.rounds),
  seconds: Number(o.seconds),
};
const view = table.view ?? "steady";
const notes = [
  `${head.cpu}; 128-bit ${fused ? "fused multiply-add" : "multiply + add"} peak measured at ${gflops.toFixed(1)} GFLOPS.`,
  `${used.map((p) => `${peers[p].title} ${head.versions[p]}`).join(", ")}. ${head.date} UTC, commit ${head.commit}.`,
  `A fresh process or page a turn, ${o.rounds} rounds of ${o.seconds} s, odd rounds backwards; answers compared first.`,
  "Median (best–worst) of all runs; × = peer's time over Minnow's by medians (by bests).",
];
if (rows.some((r) => r.busy))
  notes.push(
    `\\* the machine was busy (less than ${quiet * 100} % idle before the run, or the run lost the processor).`,
  );
const text = `## ${table.title}\n\n\`${head.command}\`\n\n${notes.join("\n")}\n\n${markdown(rows, view)}\n`;
console.log(text);
mkdirSync(o.out, { recursive: true });
writeFileSync(join(o.out, `${name}.md`), text);
writeFileSync(join(o.out, `${name}.json`), `${JSON.stringify({ ...head, rows }, null, 1)}\n`);
writeFileSync(join(o.out, `${name}.svg`), svg(table.title, charts(rows, view)));
