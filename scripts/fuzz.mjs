// Fuzzes every reader:  node scripts/fuzz.mjs [--mutants 200000] [--reader tflite,onnx,minnow,precompiled] [--seed 0] [--jobs 2]
// Batches run in child processes, so that a hang or a crash is seen and memory is measured a batch.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import os from "node:os";

const args = process.argv.slice(2);
const option = (name, or) => (args.includes(name) ? args[args.indexOf(name) + 1] : or);
const mutants = Number(option("--mutants", 200000));
const readers = option("--reader", "tflite,onnx,minnow,precompiled").split(",");
const seed = Number(option("--seed", 0));
const jobs = Number(option("--jobs", os.cpus().length));
const size = Math.min(2000, mutants);
const memoryLimit = 512; // MB above the idle process

/** Processor seconds of a process, where /proc tells them: a starved child has not hung, a busy one has. */
function processorTime(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return 0;
  }
}

const silence = { processor: 20, wall: 300 }; // seconds

/** Runs one batch; a child that is silent for 20 s of work (or 5 minutes) has hung. */
export function batch(reader, first, count) {
  return new Promise((done) => {
    const child = spawn(process.execPath, ["tests/fuzz/batch.mjs", reader, String(first), String(count)], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    let [out, err, last] = ["", "", first];
    let heard;
    const alive = () => (heard = { wall: performance.now(), processor: processorTime(child.pid) });
    alive();
    const timer = setInterval(() => {
      const worked = processorTime(child.pid) - heard.processor;
      if (worked > silence.processor || performance.now() - heard.wall > 1000 * silence.wall)
        child.kill("SIGKILL");
    }, 2000);
    child.on("message", (m) => {
      last = m.seed;
      alive();
    });
    child.stdout.on("data", (d) => (out += d));
    child.stderr.on("data", (d) => (err += d));
    child.on("close", (code, signal) => {
      clearInterval(timer);
      try {
        done(JSON.parse(out));
      } catch {
        const why = signal
          ? `killed by ${signal} (hang)`
          : `exit ${code}: ${err.trim().split("\n").slice(0, 3).join(" | ")}`;
        done({ outcomes: {}, failures: [{ seed: last, error: why }], slowest: 0, peakMB: 0 });
      }
    });
  });
}

export async function fuzz(reader, total, start = 0, parallel = 1) {
  const sum = { outcomes: {}, failures: [], slowest: 0, peakMB: 0 };
  const firsts = Array.from({ length: Math.ceil(total / size) }, (_, i) => i * size);
  const worker = async () => {
    for (let f = firsts.shift(); f !== undefined; f = firsts.shift()) {
      const r = await batch(reader, start + f, Math.min(size, total - f));
      for (const [k, n] of Object.entries(r.outcomes)) sum.outcomes[k] = (sum.outcomes[k] ?? 0) + n;
      sum.failures.push(...r.failures);
      sum.slowest = Math.max(sum.slowest, r.slowest);
      sum.peakMB = Math.max(sum.peakMB, r.peakMB);
      if (process.stderr.isTTY)
        process.stderr.write(`\r${reader} ${f + size}/${total}, ${sum.failures.length} failures `);
    }
  };
  await Promise.all(Array.from({ length: parallel }, worker));
  if (sum.peakMB > memoryLimit) sum.failures.push({ seed: -1, error: `a batch grew by ${sum.peakMB} MB` });
  return sum;
}

if (import.meta.url === `file://${process.argv[1]}`) {
  let bad = 0;
  for (const reader of readers) {
    const began = performance.now();
    const r = await fuzz(reader, mutants, seed, jobs);
    console.log(
      `${reader}: ${mutants} mutants in ${((performance.now() - began) / 1000).toFixed(0)} s, slowest ${r.slowest.toFixed(0)} ms, peak +${r.peakMB} MB`,
    );
    console.log(
      `  ${Object.entries(r.outcomes)
        .sort((a, b) => b[1] - a[1])
        .map(([k, n]) => `${k} ${n}`)
        .join(", ")}`,
    );
    for (const f of r.failures.slice(0, 20)) console.log(`  FAIL seed ${f.seed}: ${f.error}`);
    bad += r.failures.length;
  }
  process.exit(bad ? 1 : 0);
}
