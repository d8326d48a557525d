// profile(): the time of every operator over some runs, as data, as a table, and as entries of the
// browser's developer tools (performance.measure with a track of its own).
import type { Plan, PlannedStep } from "./device.js";
import { megabytes, table } from "./report.js";

export interface ProfileRow {
  readonly node: string;
  readonly op: string;
  readonly fused: readonly string[];
  readonly kernel: string;
  readonly device: string;
  readonly inputs: readonly (readonly number[])[];
  readonly output: readonly number[];
  /** Median over the runs. */
  readonly ms: number;
  /** Of the sum of all medians, 0…1. */
  readonly share: number;
  /** Two floating-point operations a multiply-add. */
  readonly gflops: number;
  readonly bytes: number;
}

export interface ProfileData {
  readonly device: string;
  readonly runs: number;
  /** Median of whole runs, outputs copied. */
  readonly ms: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly operators: readonly ProfileRow[];
}

export interface Profile extends ProfileData {
  /** The slowest operators first. */
  toString(): string;
}

export function median(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Collects step times; one per profile. */
export class Recorder {
  readonly #times: number[][];
  readonly #totals: number[] = [];
  #marks: { step: number; start: number; end: number }[] = [];

  constructor(private readonly plan: Plan) {
    this.#times = plan.steps.map(() => []);
  }

  readonly onStep = (step: number, ms: number): void => {
    const end = performance.now();
    this.#times[step]?.push(ms);
    this.#marks.push({ step, start: end - ms, end });
  };

  /** Ends one run. The marks of the last run are those shown. */
  endRun(ms: number, last: boolean): void {
    this.#totals.push(ms);
    if (last) for (const m of this.#marks) measure(this.plan.steps[m.step] as PlannedStep, m.start, m.end);
    this.#marks = [];
  }

  data(device: string): ProfileData {
    const medians = this.#times.map(median);
    const sum = medians.reduce((a, b) => a + b, 0) || 1;
    const operators = this.plan.steps.map((s, i): ProfileRow => {
      const ms = medians[i] as number;
      const gflops = ms > 0 ? (2 * s.macs) / (ms * 1e6) : 0;
      const { node, op, fused, kernel, inputs, output, bytes } = s;
      return { node, op, fused, kernel, device, inputs, output, ms, share: ms / sum, gflops, bytes };
    });
    return {
      device,
      runs: this.#totals.length,
      ms: median(this.#totals),
      minMs: Math.min(...this.#totals),
      maxMs: Math.max(...this.#totals),
      operators,
    };
  }
}

function measure(step: PlannedStep, start: number, end: number): void {
  const shapes = `${step.inputs.map((s) => `[${s}]`).join(" ")} → [${step.output}]`;
  const detail = {
    devtools: {
      dataType: "track-entry",
      track: "Minnow",
      color: "primary",
      tooltipText: `${step.op} ${step.node}`,
      properties: [
        ["kernel", step.kernel],
        ["shapes", shapes],
        ["fused", step.fused.join(", ")],
      ],
    },
  };
  try {
    performance.measure(step.op, { start, end, detail });
  } catch {
    // an engine without the options form: the figures are in the result all the same
  }
}

export function makeProfile(data: ProfileData): Profile {
  return Object.defineProperty({ ...data }, "toString", { value: () => formatProfile(data) });
}

function formatProfile(p: ProfileData): string {
  const head = ["ms", "share", "GFLOPS", "moved", "operator", "kernel", "output", "node"];
  const rows = [...p.operators]
    .sort((a, b) => b.ms - a.ms)
    .map((o) => [
      o.ms.toFixed(3).padStart(8),
      `${(100 * o.share).toFixed(1)} %`.padStart(6),
      (o.gflops ? o.gflops.toFixed(1) : "").padStart(6),
      megabytes(o.bytes).padStart(8),
      [o.op, ...o.fused].join("+"),
      o.kernel,
      `[${o.output.join(", ")}]`,
      o.node,
    ]);
  const total = `${p.ms.toFixed(3)} ms a run (median of ${p.runs}; ${p.minMs.toFixed(3)}…${p.maxMs.toFixed(3)}) on ${p.device}`;
  return `${table([head, ...rows])}\n${total}`;
}
