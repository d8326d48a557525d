#!/usr/bin/env node
// Where a process's resident memory goes while Minnow loads and runs a model, by what the pages are: Linux only.
//   node bench/resident.mjs MODEL.minnow [runs]
// engine: pages of the node binary, mapped as they are first used (compilers, collector); script: V8's heap and
// code; native: malloc, threads' stacks; wasm: pages of the model's memory, and the file's bytes while they last.
import { closeSync, openSync, readSync } from "node:fs";

const [path, runs = "100"] = process.argv.slice(2);
if (!path) {
  console.error("usage: node bench/resident.mjs MODEL.minnow [runs]");
  process.exit(2);
}

const kinds = ["engine", "script", "native", "wasm", "all"];
const snaps = [];

/** Copies the kernel's list of mappings; it is read when all is over, so that reading it counts for nothing. */
function snap(phase, into = Buffer.allocUnsafeSlow(1 << 19)) {
  const file = openSync("/proc/self/smaps");
  let [length, n] = [0, 0];
  do {
    n = readSync(file, into, length, into.length - length, null);
    length += n;
  } while (n > 0);
  closeSync(file);
  snaps.push({ phase, text: () => into.toString("latin1", 0, length) });
}

const large = 4 << 20;

/** Megabytes by kind. */
function read(text) {
  const found = Object.fromEntries(kinds.map((k) => [k, 0]));
  let kind;
  for (const line of text.split("\n")) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$/.exec(line);
    if (head) {
      const [, from, to, access, file] = head;
      const bytes = Number.parseInt(to, 16) - Number.parseInt(from, 16);
      const isHeap = bytes === 1 << 18 || access.includes("x"); // V8's pages
      kind = file && !file.startsWith("[") ? "engine" : file ? "native" : isHeap ? "script" : bytes;
    }
    const resident = /^Rss: +(\d+) kB/.exec(line);
    if (!resident) continue;
    const mb = Number(resident[1]) / 1024;
    // What is anonymous and large is a buffer or a memory; the rest belongs to threads.
    const of = typeof kind === "string" ? kind : mb * 2 ** 20 > large ? "wasm" : "native";
    found[of] += mb;
    found.all += mb;
  }
  return found;
}

snap("warm up");
snap("empty process");
const { load } = await import("minnow/run");
snap("import");
const model = await load(path, { onProgress: ({ phase }) => phase !== "read" && snap(phase) });
const inputs = Object.fromEntries(
  model.inputs.map((t) => [
    t.name,
    new Float32Array(t.shape.reduce((a, b) => a * Math.max(1, b), 1)).fill(0.5),
  ]),
);
for (let i = 0; i < Number(runs); i++) {
  await model.run(inputs);
  if (i === 0) snap("first run");
}
snap(`${runs} runs`);
const { weights, arena, scratch } = model.report().memory;
const [, base, ...rest] = snaps.map(({ phase, text }) => ({ phase, ...read(text()) }));
console.log(["MB above", ...kinds].map((k) => k.padEnd(14)).join(""));
for (const row of [base, ...rest]) {
  const above = kinds.map((k) => (row === base ? row[k] : row[k] - base[k]).toFixed(1).padEnd(14));
  console.log(row.phase.padEnd(14) + above.join(""));
}
console.log(`weights + arena + scratch: ${((weights + arena + scratch) / 2 ** 20).toFixed(1)}`);
