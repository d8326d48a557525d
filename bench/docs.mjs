// Puts the latest tables of results/ into docs/performance.md, between their markers:
//   <!-- bench: NAME --> … <!-- end: NAME -->
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const page = path("../docs/performance.md");
const before = readFileSync(page, "utf8");
const after = before.replace(/<!-- bench: ([\w-]+) -->\n[\s\S]*?<!-- end: \1 -->/g, (whole, name) => {
  if (!existsSync(path(`results/${name}.md`))) return whole;
  const text = readFileSync(path(`results/${name}.md`), "utf8").replace(/^#/gm, "##");
  const plot = `![${name}](../bench/results/${name}.svg)`;
  return `<!-- bench: ${name} -->\n\n${text.trim()}\n\n${plot}\n\n<!-- end: ${name} -->`;
});
writeFileSync(page, after);
