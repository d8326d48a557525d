#!/usr/bin/env node
// Minnow beside its peers, one command a table:
//   node bench/table.mjs node|chromium|chromium-plain|cold|memory|download|int8|small [options]
// Prints Markdown and writes it with JSON and an SVG plot to bench/results; options are in README.md.
import { join } from "node:path";
import { parseArgs } from "node:util";
import { collect, summarise } from "./lib/collect.mjs";
import { nodeHost } from "./lib/node_host.mjs";
import { pageHost } from "./lib/page_host.mjs";
import { describeRun, save, text } from "./lib/report.mjs";
import { defaults, tables } from "./lib/tables.mjs";
import { benchDir, everyPeer, peers } from "./peers/index.mjs";

const { values: o, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string" },
    patience: { type: "string", default: "2" },
    seconds: { type: "string", default: "1" },
    only: { type: "string" },
    models: { type: "string" },
    threads: { type: "string" },
    hosts: { type: "string" },
    node: { type: "string" },
    flags: { type: "string", multiple: true },
    wrap: { type: "string", default: "" },
    timeout: { type: "string", default: "300" },
    out: { type: "string", default: join(benchDir, "results") },
  },
});
const [name] = positionals;
if (!Object.hasOwn(tables, name ?? "") || positionals.length > 1)
  fail(`usage: node bench/table.mjs ${Object.keys(tables).join("|")} [options]`);
const table = { ...defaults, ...tables[name] };
const list = (text, or) => text?.split(",").filter(Boolean) ?? or;
const names = list(o.only, table.only ?? everyPeer);
for (const n of names)
  if (!Object.hasOwn(peers, n)) fail(`no peer "${n}"; there are ${Object.keys(peers).join(", ")}`);
const rounds = Number(o.rounds ?? table.rounds);
const seconds = Number(o.seconds);

const common = { wrap: o.wrap.split(" ").filter(Boolean), timeout: Number(o.timeout), names };
const node = nodeHost({ ...common, node: o.node });
const hosts = [];
for (const h of list(o.hosts, table.hosts))
  hosts.push(h === "node" ? node : await pageHost({ ...common, isolated: h === "isolated" }));

const flags = (o.flags ?? table.flags).map((f) => (f === "none" ? [] : f.split(" ")));
const peak = await node.child("peak.mjs", {}, hosts.includes(node) ? flags.at(-1) : []);
const cells = await collect({
  hosts,
  names,
  threads: list(o.threads)?.map(Number) ?? table.threads,
  models: list(o.models, table.models),
  flags,
  byName: table.byName,
  plain: table.plain,
  rounds,
  patience: rounds && Number(o.patience),
  seconds,
  log: (line) => console.error(line),
});
for (const h of hosts) await h.close();

const rows = cells.map((c) => summarise(c, table.view));
const run = describeRun({ name, title: table.title, view: table.view, rounds, seconds, peak }, rows);
console.log(text(run, rows));
save(o.out, run, rows);

function fail(message) {
  console.error(message);
  process.exit(2);
}
