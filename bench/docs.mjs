// Puts the latest tables of results/ into docs/performance.md, between their markers:
//   <!-- bench: NAME --> … <!-- end: NAME -->
// Markdown and plots are made anew from the JSON, so that a change of their form needs no run.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { save, text } from "./lib/report.mjs";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const page = path("../docs/performance.md");
const marked = /<!-- bench: ([\w-]+) -->\n[\s\S]*?<!-- end: \1 -->/g;

function section(whole, name) {
  const json = path(`results/${name}.json`);
  if (!existsSync(json)) return whole;
  const { rows, ...run } = JSON.parse(readFileSync(json, "utf8"));
  save(path("results"), run, rows);
  const body = text(run, rows).replace(/^#/gm, "##").trim();
  const plot = `![${run.title}, as a plot](../bench/results/${name}.svg)`;
  return `<!-- bench: ${name} -->\n\n${body}\n\n${plot}\n\n<!-- end: ${name} -->`;
}

writeFileSync(page, readFileSync(page, "utf8").replace(marked, section));
