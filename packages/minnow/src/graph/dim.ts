// Symbolic dimensions. A Dim is a number, or text: a sum of integer multiples of atoms, such as
// "2*H + 3". An atom is a name, or an operation that does not simplify, such as "floordiv(H + 1, 2)".
// Equal text means equal value; different text says nothing. Text keeps graphs plain data.

export type Dim = number | string;
export type Shape = readonly Dim[];

const maxLength = 160; // a longer expression becomes a name of its own: bounded time and memory

interface Linear {
  terms: Map<string, number>;
  constant: number;
}

const parsed = new Map<string, Linear>();

function parse(d: Dim): Linear {
  if (typeof d === "number") return { terms: new Map(), constant: d };
  const known = parsed.get(d);
  if (known) return known;
  const terms = new Map<string, number>();
  let constant = 0;
  for (const part of splitSum(d)) {
    const m = /^(-?\d+)(?:\*(.+))?$/.exec(part);
    if (m?.[2] !== undefined) terms.set(m[2], (terms.get(m[2]) ?? 0) + Number(m[1]));
    else if (m) constant += Number(m[1]);
    else terms.set(part, (terms.get(part) ?? 0) + 1);
  }
  const result = { terms, constant };
  if (parsed.size > 4096) parsed.clear();
  parsed.set(d, result);
  return result;
}

/** Splits at " + " outside parentheses. */
function splitSum(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === "(") depth++;
    else if (c === ")") depth--;
    else if (depth === 0 && text.startsWith(" + ", i)) {
      parts.push(text.slice(start, i));
      start = i + 3;
      i += 2;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

function print({ terms, constant }: Linear): Dim {
  const parts = [...terms]
    .filter(([, k]) => k !== 0)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([atom, k]) => (k === 1 ? atom : `${k}*${atom}`));
  if (parts.length === 0) return constant;
  if (constant !== 0) parts.push(String(constant));
  const text = parts.join(" + ");
  return text.length > maxLength ? shortName(text) : text;
}

/** A name that depends on the text alone, so that equal expressions stay equal. */
function shortName(text: string): string {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return `d${(h >>> 0).toString(36)}`;
}

const call = (f: string, a: Dim, b: Dim): Dim => {
  const text = `${f}(${a}, ${b})`;
  return text.length > maxLength ? shortName(text) : text;
};

/** A safe atom for any name a file may carry. */
export const symbol = (name: string): Dim => name.replace(/[^\w.]/g, "_").replace(/^(?=\d)/, "_");

export function add(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (a === 0) return b;
  if (b === 0) return a;
  const x = parse(a);
  const y = parse(b);
  const terms = new Map(x.terms);
  for (const [t, k] of y.terms) terms.set(t, (terms.get(t) ?? 0) + k);
  return print({ terms, constant: x.constant + y.constant });
}

export const sub = (a: Dim, b: Dim): Dim => add(a, mul(b, -1));

export function mul(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return a * b;
  if (typeof a === "string" && typeof b === "string") return call("mul", a < b ? a : b, a < b ? b : a);
  const [k, d] = typeof a === "number" ? [a, b] : [b as number, a];
  if (k === 1) return d;
  const { terms, constant } = parse(d);
  return print({ terms: new Map([...terms].map(([t, n]) => [t, n * k])), constant: constant * k });
}

/** Division rounding towards −∞; `b` > 0. */
export function floorDiv(a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number") return Math.floor(a / b);
  if (b === 1) return a;
  if (a === b) return 1;
  if (typeof b === "number") {
    const { terms, constant } = parse(a);
    if ([...terms.values()].every((k) => k % b === 0)) {
      const rest = Math.floor(constant / b);
      return print({ terms: new Map([...terms].map(([t, k]) => [t, k / b])), constant: rest });
    }
  }
  return call("floordiv", a, b);
}

export const ceilDiv = (a: Dim, b: Dim): Dim =>
  typeof a === "number" && typeof b === "number" ? Math.ceil(a / b) : floorDiv(add(a, sub(b, 1)), b);

export const max = (a: Dim, b: Dim): Dim =>
  typeof a === "number" && typeof b === "number" ? Math.max(a, b) : a === b ? a : call("max", a, b);
export const min = (a: Dim, b: Dim): Dim =>
  typeof a === "number" && typeof b === "number" ? Math.min(a, b) : a === b ? a : call("min", a, b);

export const product = (shape: Shape): Dim => shape.reduce<Dim>(mul, 1);
export const isConcrete = (shape: Shape): shape is readonly number[] =>
  shape.every((d) => typeof d === "number");
/** Number of elements of a concrete shape. */
export const count = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Numpy-style broadcasting of two dims; null when they cannot fit. Two different symbols: the first. */
export function broadcastDim(a: Dim, b: Dim): Dim | null {
  if (a === b) return a;
  if (a === 1) return b;
  if (b === 1) return a;
  if (typeof a === "number" && typeof b === "number") return null;
  return typeof a === "number" ? a : b;
}

/** Numpy-style broadcasting; null when the shapes do not fit. */
export function broadcast(...shapes: Shape[]): Dim[] | null {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const out: Dim[] = [];
  for (let i = 0; i < rank; i++) {
    let d: Dim = 1;
    for (const s of shapes) {
      const j = i - (rank - s.length);
      const next: Dim | null = j < 0 ? d : broadcastDim(d, s[j] as Dim);
      if (next === null) return null;
      d = next;
    }
    out.push(d);
  }
  return out;
}
