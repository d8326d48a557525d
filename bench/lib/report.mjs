// A finished table as Markdown, JSON and an SVG plot, each with what it was measured on.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { benchDir, peers, version } from "../peers/index.mjs";
import { cpu } from "./machine.mjs";
import { svg } from "./plot.mjs";
import { charts, markdown, views } from "./views.mjs";

const git = (...args) => execFileSync("git", args, { cwd: benchDir, encoding: "utf8" }).trim();

/** @param {{ name, title, view, rounds, seconds, peak: object }} about */
export function describeRun(about, rows) {
  const used = [...new Set(rows.map((r) => r.peer))].filter((p) => !peers[p].variant);
  return {
    ...about,
    command: ["node bench/table.mjs", ...process.argv.slice(2).map(quoted)].join(" "),
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
    commit: git("rev-parse", "--short", "HEAD"),
    cpu: cpu(),
    engines: [...new Set(rows.map((r) => r.engine))],
    versions: Object.fromEntries(used.map((p) => [p, version(p)])),
    busy: rows.filter((r) => r.busy).length,
  };
}

const quoted = (argument) => (/[^\w.,:/=@-]/.test(argument) ? `"${argument}"` : argument);

export function text(run, rows) {
  const { narrow, wide, fused } = run.peak;
  const versions = Object.entries(run.versions).map(([p, v]) => `${peers[p].title} ${v}`);
  const lines = [
    `${run.cpu}; measured ${fused ? "fused multiply-add" : "multiply + add"} peak of a core: ${narrow.toFixed(1)} GFLOPS with 128-bit vectors${wide ? `, ${wide.toFixed(1)} with 256-bit` : ""}.`,
    `${versions.join(", ")}. ${run.date} UTC, commit ${run.commit}.`,
  ];
  if (run.rounds)
    lines.push(
      `A fresh process or page a turn, ${run.rounds} ${run.rounds > 1 ? "rounds" : "round"} of ${run.seconds} s, odd rounds backwards.`,
    );
  lines.push(views[run.view].legend);
  if (run.busy)
    lines.push(
      "\\* disturbed: another process took the processor while it was timed, or (more threads) the machine was not idle before.",
    );
  return `## ${run.title}\n\n\`${run.command}\`\n\n${lines.join("\n")}\n\n${markdown(rows, run.view)}\n`;
}

/** Writes NAME.md, .json and .svg. */
export function save(dir, run, rows) {
  mkdirSync(dir, { recursive: true });
  const put = (end, contents) => writeFileSync(join(dir, `${run.name}.${end}`), contents);
  put("md", text(run, rows));
  put("json", `${JSON.stringify({ ...run, rows }, null, 1)}\n`);
  put("svg", svg(run.title, charts(rows, run.view)));
}
