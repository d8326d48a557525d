// report(): which operator runs where and by which kernel, in how much memory, and why not otherwise.
// Plain data that can be posted from a worker or printed as JSON; `${report}` is the table.
import type { ArenaPlan, MemoryUse, Plan } from "./device.js";

export interface OperatorRow {
  readonly op: string;
  readonly device: string;
  readonly count: number;
  /** Multiply-adds of one run. */
  readonly macs: number;
  /** Kernel label → number of steps. */
  readonly kernels: Readonly<Record<string, number>>;
  /** Operators that ran inside these steps, by name → count. */
  readonly fused: Readonly<Record<string, number>>;
}

export interface ReportData {
  /** Device that runs it. */
  readonly device: string;
  readonly format: string;
  /** Of the plan used last; empty before shapes are known. */
  readonly operators: readonly OperatorRow[];
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly memory: MemoryUse;
  /** Of the plan used last. */
  readonly arena: ArenaPlan;
  readonly threads: { readonly used: number; readonly asked: number; readonly reason: string };
  /** Rewrites of the graph, by pass. */
  readonly passes: Readonly<Record<string, number>>;
  /** What the compiler fused, by kind. */
  readonly fusions: Readonly<Record<string, number>>;
  readonly fallbacks: readonly { readonly device: string; readonly reason: string }[];
  /** Choices of the device that change speed or bits. */
  readonly notes: readonly string[];
  readonly plans: number;
  readonly kernels: number;
}

export interface Report extends ReportData {
  toString(): string;
}

/** Steps of a plan by operator. */
export function operatorRows(plan: Plan, device: string): OperatorRow[] {
  const rows = new Map<
    string,
    { count: number; macs: number; kernels: Record<string, number>; fused: Record<string, number> }
  >();
  for (const s of plan.steps) {
    const row = rows.get(s.op) ?? { count: 0, macs: 0, kernels: {}, fused: {} };
    rows.set(s.op, row);
    row.count++;
    row.macs += s.macs;
    row.kernels[s.kernel] = (row.kernels[s.kernel] ?? 0) + 1;
    for (const f of s.fused) row.fused[f] = (row.fused[f] ?? 0) + 1;
  }
  return [...rows]
    .map(([op, r]) => ({ op, device, ...r }))
    .sort((a, b) => b.count - a.count || (a.op < b.op ? -1 : 1));
}

/** Adds the table to the data; JSON and structured clone see the data alone. */
export function makeReport(data: ReportData): Report {
  return Object.defineProperty({ ...data }, "toString", { value: () => formatReport(data) });
}

export const megabytes = (bytes: number): string => {
  const mb = bytes / 2 ** 20;
  return `${mb < 0.95 ? mb.toFixed(2) : mb.toFixed(1)} MB`;
};

const list = (record: Readonly<Record<string, number>>): string =>
  Object.entries(record)
    .map(([k, n]) => (n === 1 ? k : `${k} ×${n}`))
    .join(", ");

/** Left-aligned columns, two spaces apart. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) for (const [i, c] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, c.length);
  return rows
    .map((row) =>
      row
        .map((c, i) => c.padEnd(widths[i] as number))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** One line: what there is, and for what. */
export function memoryLine(m: MemoryUse, bound: number): string {
  const grown = Object.entries(m.growth).map(([cause, n]) => `${cause} +${megabytes(n)}`);
  return [
    `${megabytes(m.total)}: weights ${megabytes(m.weights)}${grown.length ? ` (${grown.join(", ")})` : ""}`,
    `arena ${megabytes(m.arena)}${bound ? ` (bound ${megabytes(bound)})` : ""}`,
    `scratch ${megabytes(m.scratch)}, code ${megabytes(m.code)}`,
  ].join(", ");
}

function formatReport(r: ReportData): string {
  const head = ["operator", "steps", "device", "kernels", "fused into them"];
  const rows = r.operators.map((o) => [o.op, String(o.count), o.device, list(o.kernels), list(o.fused)]);
  const shapes = Object.entries(r.shapes).map(([n, s]) => `${n} [${s.join(", ")}]`);
  const m = r.memory;
  const facts: string[][] = [
    ["device", r.device],
    ["threads", `${r.threads.used}${r.threads.reason && ` (${r.threads.reason})`}`],
    ["memory", memoryLine(m, r.arena.bound)],
    ["plans", `${r.plans}, kernels ${r.kernels}`],
  ];
  if (shapes.length) facts.push(["shapes", shapes.join(", ")]);
  if (Object.keys(r.passes).length) facts.push(["passes", list(r.passes)]);
  if (Object.keys(r.fusions).length) facts.push(["fusion", list(r.fusions)]);
  for (const n of r.notes) facts.push(["note", n]);
  for (const f of r.fallbacks) facts.push(["fallback", `${f.device} → ${r.device}: ${f.reason}`]);
  const operators = rows.length
    ? `${table([head, ...rows])}\n\n`
    : "no shapes are bound yet, so nothing is planned\n\n";
  return operators + table(facts);
}
