// Measures the least and largest of every value over seeded images and writes ranges.json, which the int8
// writers read: with it at hand they need no evaluation, and their files are the same bytes everywhere.
//   npm run build && node bench/networks/ranges.mjs [name…]      after a change to a description
import { readFileSync, writeFileSync } from "node:fs";
import { load } from "../../packages/minnow/dist/index.js";
import { image } from "./images.mjs";
import { describe, names, smallNames } from "./index.mjs";
import { valuesOf } from "./quantise.mjs";
import { toTflite } from "./tflite.mjs";

/** Seeds of the images that are measured. */
const seeds = Array.from({ length: 16 }, (_, i) => i);

/** @returns {Promise<Record<string, [number, number]>>} by value */
export async function measure(name) {
  const network = describe(name);
  const values = valuesOf(network);
  const model = await load(toTflite(network), { outputs: values.slice(1).map((v) => v.name) });
  const found = Object.fromEntries(values.map((v) => [v.name, [0, 0]]));
  for (const seed of seeds) {
    const data = image(network.input.shape, seed);
    const results = await model.run({ input: data });
    for (const v of values) widen(found[v.name], v === network.input ? data : results[v.name].data);
  }
  await model.dispose();
  return found;
}

function widen(range, data) {
  for (const v of data) {
    if (v < range[0]) range[0] = v;
    if (v > range[1]) range[1] = v;
  }
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const file = new URL("ranges.json", import.meta.url);
  const only = process.argv.slice(2);
  const all = JSON.parse(readFileSync(file, "utf8"));
  for (const name of only.length ? only : [...names, ...smallNames]) {
    all[name] = await measure(name);
    console.log(name, Object.keys(all[name]).length, "values");
  }
  const rounded = (_, v) => (typeof v === "number" ? Number(v.toPrecision(5)) : v);
  const text = JSON.stringify(all, rounded, 2).replace(/\[\s+(\S+)\s+(\S+)\s+\]/g, "[$1 $2]");
  writeFileSync(file, `${text}\n`);
}
