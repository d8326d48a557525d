// Runs a table: for each network every peer answers once and the answers are compared; then the peers take
// turns, one fresh process or page a turn, odd rounds backwards. Nothing here knows how a peer works.
import { peers } from "../peers/index.mjs";
import { demand } from "../networks/compare.mjs";
import { decode } from "./answers.mjs";
import { disturbed } from "./machine.mjs";
import { filesFor } from "./models.mjs";
import { weigh } from "./download.mjs";
import { median, spread } from "./stats.mjs";

/** One cell of a table: what is measured under which conditions, and its runs. */
const cellsOf = ({ hosts, threads, flags, names }, model) =>
  hosts.flatMap((host) =>
    threads.flatMap((count) =>
      flags.flatMap((set, i) =>
        names
          .filter((peer) => runsHere(peers[peer], host, count, i))
          .map((peer) => ({ model, host, threads: count, flags: set, peer, runs: [] })),
      ),
    ),
  );

const runsHere = (peer, host, threads, variant) =>
  peer.hosts.includes(host.name) &&
  (host.name === "page" || threads <= (peer.nodeThreads ?? threads)) &&
  !(peer.native && variant > 0); // engine flags do not reach it: once is enough

/**
 * @param {{ hosts, threads: number[], flags: string[][], names: string[], models: string[], rounds: number, patience: number,
 *   seconds: number, log: (text: string) => void }} plan
 * @returns cells with `runs`, and `error` or `agreement`
 */
export async function collect(plan) {
  const cells = [];
  for (const model of plan.models) {
    const group = [];
    for (const cell of cellsOf(plan, model)) {
      const files = await filesFor(model, peers[cell.peer]);
      if (files) group.push({ ...cell, files });
    }
    await check(group, plan);
    const good = group.filter((c) => !c.error);
    for (let round = 0; round < plan.rounds; round++)
      for (const cell of round % 2 ? [...good].reverse() : good) await turn(cell, plan);
    for (let more = 0; more < plan.patience && !good.every(calm); more++)
      for (const cell of good.filter((c) => !calm(c))) await turn(cell, plan);
    // Quiet runs alone count only where every peer has some: nobody is compared with worse luck.
    for (const cell of group)
      cell.calm = good.filter((c) => c.host === cell.host && c.threads === cell.threads).every(calm);
    cells.push(...group);
  }
  return cells;
}

const calm = (cell) => cell.error || cell.runs.some((r) => !r.busy);

const measure = ({ host, peer, flags, threads, files }, { byName, plain }, seconds) =>
  host.run({
    peer,
    flags,
    threads,
    seconds,
    paths: files.paths,
    byName: byName && peers[peer].byName,
    plain: plain && seconds > 0,
  });

/** The first peer that is not Minnow is the reference; Minnow in float32 beside int8 has other numbers. */
async function check(group, plan) {
  let reference;
  const order = [...group].sort((a, b) => (a.peer === "minnow") - (b.peer === "minnow"));
  for (const cell of order) {
    const r = await measure(cell, plan, 0);
    const { title, float } = peers[cell.peer];
    try {
      if (r.error) throw new Error(r.error);
      cell.fetched = r.fetched;
      if (float) continue;
      const answer = decode(r.outputs);
      reference ??= answer;
      cell.agreement = demand(title, cell.files.type, answer, reference);
    } catch (e) {
      cell.error = e.message;
      plan.log(`${name(cell)}: ${cell.error}`);
    }
  }
}

async function turn(cell, plan) {
  if (cell.error) return;
  const r = await measure(cell, plan, plan.seconds);
  if (r.error) cell.error = r.error;
  else {
    const { fetched, ...rest } = r;
    cell.runs.push({ ...rest, busy: disturbed(r, cell.threads) });
  }
  const shown =
    r.error ?? `${spread(r.times).min.toFixed(2)} ms at best, cold ${(r.load + r.calls[0]).toFixed(0)} ms`;
  plan.log(`${name(cell)}: ${shown}${cell.runs.at(-1)?.busy ? " (busy machine)" : ""}`);
}

const name = ({ model, host, threads, flags, peer }) =>
  [model, host.name, `${threads} thr`, ...flags, peer].join(" ");

/** What the runs of a cell say: the undisturbed ones where every peer has some, else all. */
export function summarise({ runs, host, files, fetched, calm, ...cell }, view) {
  const used = runs.filter((r) => !calm || !r.busy);
  const of = (f) => (used.length ? median(used.map(f)) : null);
  return {
    ...cell,
    host: host.name,
    engine: host.engine,
    rounds: runs.length,
    busy: used.some((r) => r.busy),
    time: spread(used.flatMap((r) => r.times)),
    cold: spread(used.map((r) => r.load + r.calls[0])),
    load: of((r) => r.load),
    calls: [0, 1, 2].map((i) => of((r) => r.calls[i])),
    rss: of((r) => r.rss),
    wasm: of((r) => r.wasm),
    details: used.at(-1)?.details,
    info: used.at(-1)?.info,
    stable: used.every((r) => r.stable),
    ...(view === "download" && fetched && { download: weigh(fetched) }),
  };
}
