// What goes to the terminal: tables and sizes for people, one JSON object for programs, progress on
// stderr only where a person watches.
import type { Report } from "minnow";

export const bytes = (n: number): string =>
  n < 1000
    ? `${n} B`
    : n < 999_500
      ? `${(n / 1e3).toFixed(1)} KB`
      : n < 999_500_000
        ? `${(n / 1e6).toFixed(1)} MB`
        : `${(n / 1e9).toFixed(2)} GB`;

export const counted = (n: number): string =>
  n < 1e3
    ? String(n)
    : n < 1e6
      ? `${(n / 1e3).toFixed(1)} K`
      : n < 1e9
        ? `${(n / 1e6).toFixed(1)} M`
        : `${(n / 1e9).toFixed(2)} G`;

export const ms = (t: number): string => `${t < 1 ? t.toFixed(3) : t < 100 ? t.toFixed(2) : t.toFixed(0)} ms`;
export const shape = (s: readonly (number | string)[]): string => `[${s.join(", ")}]`;
export const list = (r: Readonly<Record<string, number>>): string =>
  Object.entries(r)
    .filter(([, n]) => n > 0)
    .map(([k, n]) => `${k} ${n}`)
    .join(", ");

/** What a model takes, and for what; `bound`: no plan of the arena can be smaller. */
export function memoryText(m: Report["memory"], bound = 0): string {
  const grown = Object.entries(m.growth).map(([cause, n]) => `${cause} +${bytes(n)}`);
  const arena = `arena ${bytes(m.arena)}${bound ? ` (bound ${bytes(bound)})` : ""}`;
  const weights = `weights ${bytes(m.weights)}${grown.length ? ` (${grown.join(", ")})` : ""}`;
  return `${bytes(m.total)}: ${weights}, ${arena}, scratch ${bytes(m.scratch)}; code ${bytes(m.code)}`;
}

/** Left-aligned columns; numbers (cells that begin with a digit or sign) to the right. */
export function table(rows: readonly (readonly string[])[], indent = "  "): string {
  const widths: number[] = [];
  const numeric: boolean[] = [];
  for (const [r, row] of rows.entries())
    for (const [i, c] of row.entries()) {
      widths[i] = Math.max(widths[i] ?? 0, c.length);
      if (r > 0) numeric[i] = (numeric[i] ?? true) && /^[-+]?(\d|$)/.test(c) && !/[a-z\]×]{3}/i.test(c);
    }
  return rows
    .map(
      (row) =>
        indent +
        row
          .map((c, i) => (numeric[i] ? c.padStart(widths[i] as number) : c.padEnd(widths[i] as number)))
          .join("  ")
          .trimEnd(),
    )
    .join("\n");
}

export function print(text: string): void {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
}

/** One object; numbers that JSON lacks as text, typed arrays as arrays. */
export function printJson(value: unknown): void {
  const text = JSON.stringify(
    value,
    (_, v: unknown) => {
      if (typeof v === "number" && !Number.isFinite(v)) return String(v);
      if (typeof v === "bigint") return Number.isSafeInteger(Number(v)) ? Number(v) : String(v);
      return ArrayBuffer.isView(v) ? Array.from(v as Uint8Array) : v;
    },
    2,
  );
  // lists of numbers on one line
  print(
    text.replace(/\[\n\s*([^[\]{}"]*?)\n\s*\]/g, (_, list: string) => `[${list.replace(/\s*\n\s*/g, " ")}]`),
  );
}

/** A line that rewrites itself on a terminal's stderr; nothing elsewhere. */
export class Progress {
  private shown = "";
  private last = 0;

  constructor(private readonly on: boolean) {}

  static for(args: { flag(name: string): boolean }): Progress {
    return new Progress(process.stderr.isTTY === true && !args.flag("json") && !args.flag("quiet"));
  }

  show(text: string, now = performance.now()): void {
    if (!this.on || (now - this.last < 50 && text.split(" ")[0] === this.shown.split(" ")[0])) return;
    this.last = now;
    const line = text.slice(0, (process.stderr.columns ?? 80) - 1);
    process.stderr.write(`\r${line}${" ".repeat(Math.max(0, this.shown.length - line.length))}`);
    this.shown = line;
  }

  bar(what: string, done: number, total: number): void {
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const filled = Math.round(share * 24);
    this.show(
      total > 0
        ? `${what} ${"█".repeat(filled)}${"░".repeat(24 - filled)} ${(100 * share).toFixed(0)} %`
        : what,
    );
  }

  clear(): void {
    if (this.shown) process.stderr.write(`\r${" ".repeat(this.shown.length)}\r`);
    this.shown = "";
  }
}

/** A remark that is no result: stderr, not with --json or --quiet. */
export function note(args: { flag(name: string): boolean }, text: string): void {
  if (!args.flag("json") && !args.flag("quiet")) process.stderr.write(`${text}\n`);
}
