// Cells of a table as Markdown and as series of a chart. A view knows which figure of a cell a table is about.
import { peers } from "../peers/index.mjs";
import { digits, geometricMean } from "./stats.mjs";

const mb = (bytes) => (bytes / 2 ** 20).toFixed(1);
const range = (s) => `${digits(s.median)} (${digits(s.min)}–${digits(s.max)})`;

/** Blocks that differ in engine, threads and flags: each is one Markdown table. */
function blocks(cells) {
  const found = new Map();
  for (const c of cells) {
    const title = [c.engine, `${c.threads} thread${c.threads > 1 ? "s" : ""}`];
    if (c.flags.length) title.push(c.flags.join(" "));
    const id = title.join(", ");
    if (!found.has(id)) found.set(id, { title: id, cells: [], like: c });
    found.get(id).cells.push(c);
  }
  for (const b of found.values())
    for (const c of cells) {
      // A native peer is measured once and shown beside every set of flags.
      const here = c.host === b.like.host && c.threads === b.like.threads;
      if (peers[c.peer].native && here && !b.cells.includes(c)) b.cells.push(c);
    }
  return [...found.values()];
}

const columns = (cells) => Object.keys(peers).filter((p) => cells.some((c) => c.peer === p));
const rowsOf = (cells) => [...new Set(cells.map((c) => c.model))];
const grid = (head, rows) =>
  [head, head.map((_, i) => (i ? "--:" : "---")), ...rows].map((r) => `| ${r.join(" | ")} |`).join("\n");

function failed(c) {
  return c.error ? c.error.slice(0, 60).replaceAll("|", "/") : "–";
}

/** Milliseconds of every peer and how many times Minnow's they are, by medians and by bests. */
function timed(pick) {
  return {
    pick,
    legend:
      "ms, median (best–worst) of all runs; × = peer's time over Minnow's by medians (by bests). Answers were compared first.",
    markdown(cells) {
      const names = columns(cells);
      const ratios = new Map(names.map((p) => [p, []]));
      const rows = rowsOf(cells).map((model) => {
        const at = (p) => cells.find((c) => c.model === model && c.peer === p);
        const ours = at("minnow");
        const mine = ours && !ours.error && pick(ours);
        return [
          model,
          ...names.map((p) => {
            const c = at(p);
            const s = c && !c.error && pick(c);
            if (!s) return c ? failed(c) : "–";
            const alone = c.details?.threads < c.threads ? ` on ${c.details.threads}` : "";
            const mark = alone + (c.busy ? " \\*" : "");
            if (p === "minnow" || !mine) return range(s) + mark;
            const [m, b] = [s.median / mine.median, s.min / mine.min];
            ratios.get(p).push([m, b]);
            return `${range(s)}${mark} **× ${m.toFixed(2)}** (${b.toFixed(2)})`;
          }),
        ];
      });
      const mean = (list, i) => geometricMean(list.map((r) => r[i])).toFixed(2);
      const last = names.map((p) => {
        const list = ratios.get(p);
        return list.length ? `**× ${mean(list, 0)}** (${mean(list, 1)})` : "";
      });
      return grid(["network", ...names.map((p) => peers[p].title)], [...rows, ["geometric mean", ...last]]);
    },
  };
}

/** One row a peer: the parts of a cold start. */
const cold = {
  pick: (c) => c.cold,
  legend:
    "Cold start: median (best–worst) of the rounds. Load: importing the runtime, compiling, reading the model. Steady: best.",
  markdown(cells) {
    const head = [
      "network",
      "peer",
      "cold start, ms",
      "÷ Minnow's, precompiled",
      "load",
      "first run",
      "second",
      "third",
      "steady",
    ];
    const rows = cells.map((c) => {
      if (c.error || !c.cold) return [c.model, peers[c.peer].title, failed(c), ...Array(6).fill("")];
      const ours = cells.find((o) => o.model === c.model && o.peer === "minnow-ready")?.cold;
      const ratio = ours
        ? `${(c.cold.median / ours.median).toFixed(2)} (${(c.cold.min / ours.min).toFixed(2)})`
        : "";
      const mark = c.busy ? " \\*" : "";
      return [
        c.model,
        peers[c.peer].title,
        range(c.cold) + mark,
        ratio,
        ...[c.load, ...c.calls, c.time.min].map(digits),
      ];
    });
    return grid(head, rows);
  },
};

const memory = {
  pick: (c) => c.rss && { median: c.rss / 2 ** 20 },
  unit: "MB",
  legend:
    "Peak RSS counts everything above the process or page before it read the model: the file's bytes, runtime, garbage. Minnow, ONNX Runtime and LiteRT.js read the file themselves, by path or URL; the others are handed its bytes. The picture is an even one: drawing another would have the engine compile the harness.",
  markdown(cells) {
    const parts = ["weights", "grown by kernels", "arena (bound)", "scratch", "generated code, KB"];
    const head = ["network", "peer", "peak RSS, MB", "wasm memory", ...parts];
    const rows = cells.map((c) => {
      if (c.error || !c.rss) return [c.model, peers[c.peer].title, failed(c), ...Array(6).fill("")];
      const d = c.details;
      const own = d
        ? [
            mb(d.memory.weights),
            mb(Object.values(d.memory.growth ?? {}).reduce((a, b) => a + b, 0)),
            `${mb(d.memory.arena)} (${mb(d.bound)})`,
            mb(d.memory.scratch),
            (d.memory.code / 1000).toFixed(0),
          ]
        : Array(5).fill("");
      return [c.model, peers[c.peer].title, mb(c.rss), c.wasm ? mb(c.wasm) : "native", ...own];
    });
    return grid(head, rows);
  },
};

const kb = (bytes) => (bytes / 1000).toFixed(0);
const download = {
  pick: (c) => c.download && { median: (c.download.js.brotli + c.download.wasm.brotli) / 1000 },
  unit: "KB, brotli",
  legend: "Peers bundled and minified by esbuild like Minnow; brotli quality 11, uncompressed in brackets.",
  markdown(cells) {
    const head = ["peer", "KB, brotli", "÷ Minnow's", "JavaScript (minified)", "WebAssembly (as it is)"];
    const total = (c) => download.pick(c)?.median;
    const rows = cells.map((c) => {
      if (c.error || !c.download) return [peers[c.peer].title, failed(c), "", "", ""];
      const ours = cells.find((o) => o.peer === "minnow" && o.download);
      const part = ({ raw, brotli }) => (raw ? `${kb(brotli)} (${kb(raw)})` : "–");
      const ratio = ours ? (total(c) / total(ours)).toFixed(1) : "";
      return [peers[c.peer].title, total(c).toFixed(0), ratio, part(c.download.js), part(c.download.wasm)];
    });
    return grid(head, rows);
  },
};

export const views = { steady: timed((c) => c.time), cold, memory, download };

/** @returns {string} Markdown of all blocks */
export const markdown = (cells, view) =>
  blocks(cells)
    .map(({ title, cells: list }) => `### ${title}\n\n${views[view].markdown(list)}`)
    .join("\n\n");

/** @returns {{ title, categories: string[], unit: string, series: { name, values: (number | null)[] }[] }[]} */
export function charts(cells, view) {
  const { pick, unit = "ms" } = views[view];
  return blocks(cells).map(({ title, cells: list }) => {
    const categories = rowsOf(list);
    const value = (model, peer) => {
      const c = list.find((x) => x.model === model && x.peer === peer);
      return (c && !c.error && pick(c)?.median) ?? null;
    };
    const ratio = view === "steady";
    return {
      title: ratio ? `${title}: time ÷ Minnow's` : title,
      categories,
      unit: ratio ? "×" : unit,
      series: columns(list).map((peer) => ({
        name: peers[peer].title,
        values: categories.map((m) => {
          const [v, ours] = [value(m, peer), value(m, "minnow")];
          return v && ratio ? (ours ? v / ours : null) : v;
        }),
      })),
    };
  });
}
