// What a figure was measured on: processor, engine, versions, the core's own multiply-add peak, and how
// busy the machine was just before. A busy machine spoils figures, so rows say so.
import { readFileSync } from "node:fs";
import os from "node:os";

/** Processors this process may use. */
function allowed(pid = "self") {
  const list = /Cpus_allowed_list:\s*(\S+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))[1];
  return new Set(
    list.split(",").flatMap((part) => {
      const [a, b = a] = part.split("-").map(Number);
      return Array.from({ length: b - a + 1 }, (_, i) => `cpu${a + i}`);
    }),
  );
}

function ticks(cpus) {
  let [idle, total] = [0, 0];
  for (const line of readFileSync("/proc/stat", "utf8").split("\n")) {
    const [name, ...fields] = line.split(/\s+/);
    if (!cpus.has(name)) continue;
    const t = fields.slice(0, 8).map(Number);
    idle += t[3] + t[4];
    total += t.reduce((a, b) => a + b, 0);
  }
  return [idle, total];
}

/** Share of the processors `pid` may use that is idle, watched for `ms`; null where /proc is not there. */
export async function idleShare(ms = 200, pid = "self") {
  try {
    const cpus = allowed(pid);
    const before = ticks(cpus);
    await new Promise((ok) => setTimeout(ok, ms));
    const after = ticks(cpus);
    return (after[0] - before[0]) / Math.max(1, after[1] - before[1]);
  } catch {
    return null;
  }
}

/**
 * Was something else in the way of a run? On one thread the processor it had while it was timed tells;
 * with more, waiting is part of the work, and how idle the machine was before must do.
 * @param {{ cpu?: number, idle: number | null }} run
 */
export const disturbed = ({ cpu, idle }, threads) => (threads === 1 && cpu ? cpu < 0.95 : (idle ?? 1) < 0.85);

/** Bytes of resident memory of a process: now and at most; zeros where /proc is not there. */
export function resident(pid = "self") {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const kb = (field) => Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(status)[1]) * 1024;
    return { now: kb("VmRSS"), peak: kb("VmHWM") };
  } catch {
    return { now: 0, peak: 0 };
  }
}

/** Milliseconds of processor time that all threads of a process have had. */
export function cpuTime(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

export const cpu = () => `${os.cpus()[0]?.model.trim()}, ${os.cpus().length} processors`;
