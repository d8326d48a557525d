// Weights of 8-bit tiles (quad_code.ts): [panel of 8 channels] header, then per tap quads of k, each 8
// channels × 4 bytes; behind all panels orders (quad_order.ts), where k is not as it lies, and lists. Exact sums need that a pair's products stay within int16
// for any bytes of x: weights of one sign that are next to each other add up to 128 at most. What is
// beyond goes, quad by quad, to the list of the panel, as often as it takes (uint8 weights less their
// zero point may need three entries).
import type { TypedArray } from "../../../graph/dtype.js";
import { isReleased } from "../../../graph/released.js";
import type { Packed } from "../kernel.js";
import { dataId } from "./operands.js";
import type { Matrix } from "./pack.js";
import { quadEntry, quadHeader } from "./quad_code.js";
import { type OrderedMatrix, type Orders, ordersOf, placesOf, sixteensOf } from "./quad_order.js";
import { orderVectors } from "./quad_rows.js";
import { mostRepeated } from "./tiles_int8.js";

/** A weight matrix of taps × k, and its zero points: one, or one a channel. */
export interface QuadMatrix extends Matrix {
  readonly taps: number;
  readonly zero: readonly number[];
  /** How much the unsigned bytes of x are greater than its numbers less their zero point. */
  readonly above: number;
  /** x is int8. */
  readonly signed: boolean;
  /** Channels whose k has an order of its own (quad_order.ts); absent: as it lies. */
  readonly ordered?: number;
}

export const quadsKey = (m: QuadMatrix): string =>
  `quads:${dataId(m.data)}:${m.offset}:${m.n}x${m.k}:${m.nStride},${m.kStride}:${m.taps}:${m.above}:${m.zero.every((z) => z === m.zero[0]) ? m.zero[0] : m.zero}:${m.ordered ? `${m.ordered}${m.signed}` : ""}`;

/** Quads of one panel: several taps in order have whole sixteens. */
export const quadsOf = (m: Pick<QuadMatrix, "k" | "taps" | "ordered">): number =>
  m.ordered && m.taps > 1 ? 4 * m.taps * sixteensOf(m) : m.taps * Math.ceil(m.k / m.taps / 4);

export const quadPanelBytes = (m: QuadMatrix): number => quadHeader + 32 * quadsOf(m);

/** Orders lie behind all panels; bytes of one, and where they begin. */
export const orderBytes = (m: QuadMatrix): number => orderVectors * m.taps * sixteensOf(m);
export const ordersAt = (m: QuadMatrix): number => Math.ceil(m.n / 8) * quadPanelBytes(m);

const safe = (a: number, b: number): boolean =>
  a >= -128 && a < 128 && b >= -128 && b < 128 && ((a ^ b) < 0 || (a + b <= 128 && a + b >= -128));

/** The most of `a` that one entry can take beside `taken` of the same sign. */
const part = (a: number, taken: number): number =>
  a > 0 ? Math.min(a, 127, 128 - Math.max(taken, 0)) : Math.max(a, -128 - Math.min(taken, 0));

/** Calls back with every pair of weights along k: quad in the panel, first or second pair of it. */
function eachPair(
  m: QuadMatrix,
  n: number,
  visit: (a: number, b: number, quad: number, second: number) => void,
): void {
  const source = m.data as Int8Array | Uint8Array;
  const k = m.k / m.taps;
  const zero = m.zero[m.zero.length === 1 ? 0 : n] as number;
  let quad = 0;
  for (let tap = 0; tap < m.taps; tap++) {
    let at = m.offset + n * m.nStride + tap * k * m.kStride;
    for (let i = 0; i < k; i += 2, at += 2 * m.kStride) {
      const b = i + 1 < k ? (source[at + m.kStride] as number) - zero : 0;
      visit((source[at] as number) - zero, b, quad + (i >> 2), (i >> 1) & 1);
    }
    quad += (k + 3) >> 2;
  }
}

const counts = new WeakMap<TypedArray, Map<string, number>>();

/** Whether lists are short enough for 8-bit products to be the faster ones. */
export const quadsPay = (m: QuadMatrix): boolean =>
  repeatedQuads(m) <= mostRepeated * Math.ceil(m.n / 8) * quadsOf(m);

const isOrdered = (m: QuadMatrix): m is OrderedMatrix => m.ordered !== undefined;

/** Entries of all lists; +∞ where the first panels have far too many. */
function repeatedQuads(m: QuadMatrix): number {
  if (isOrdered(m)) return ordersOf(m, quadsKey(m)).repeated;
  const known = counts.get(m.data) ?? new Map<string, number>();
  counts.set(m.data, known);
  const key = quadsKey(m);
  let total = known.get(key);
  if (total !== undefined) return total;
  const quads = quadsOf(m);
  const times = new Uint8Array(quads);
  total = 0;
  for (let n = 0; n < m.n; n++) {
    eachPair(m, n, (a, b, quad) => {
      if (safe(a, b)) return;
      let [x, y, count] = [a, b, -1];
      for (; x !== 0 || y !== 0; count++) {
        const px = part(x, 0);
        [x, y] = [x - px, y - part(y, px)];
      }
      times[quad] = Math.max(times[quad] as number, count);
    });
    if (n % 8 < 7 && n < m.n - 1) continue;
    total += times.reduce((a, b) => a + b, 0);
    times.fill(0);
    if (n === 31 && total > 2 * mostRepeated * quads * 4) total = Number.POSITIVE_INFINITY;
    if (total === Number.POSITIVE_INFINITY) break;
  }
  known.set(key, total);
  return total;
}

export function packQuads(m: QuadMatrix): Packed {
  const panels = Math.ceil(m.n / 8);
  const panelBytes = quadPanelBytes(m);
  const repeated = isReleased(m.data) ? 0 : repeatedQuads(m);
  const orders = m.ordered ? Math.ceil(m.n / m.ordered) * orderBytes(m) : 0;
  const bytes = panels * (panelBytes + 16) + orders + repeated * quadEntry;
  return {
    key: quadsKey(m),
    bytes,
    source: m.data,
    fill(memory, start) {
      const out = new Int8Array(memory as ArrayBuffer, start, bytes).fill(0);
      const words = new Int32Array(memory as ArrayBuffer, start, bytes / 4);
      const perTap = quadsOf(m) / m.taps;
      let list = panels * panelBytes + orders;
      const ordered = isOrdered(m) ? m : undefined;
      const found = ordered && ordersOf(ordered, quadsKey(m));
      if (found) packOrders(m, found, out.subarray(panels * panelBytes));
      for (let n = 0; n < m.n; n += 8) {
        const panel = (n / 8) * panelBytes;
        words[(panel + 32) / 4] = list - panel;
        const entries = new Map<number, Int8Array[]>();
        for (let c = 0; c < Math.min(8, m.n - n); c++)
          words[panel / 4 + c] = found
            ? packInOrder(ordered, found, n + c, out, panel + quadHeader, entries)
            : packChannel(m, n + c, out, panel + quadHeader, entries);
        for (const [quad, rests] of entries)
          for (const rest of rests) {
            words[list / 4] = ordered ? 1 + (quad >> 2) : m.taps - Math.floor(quad / perTap);
            words[list / 4 + 1] = 4 * (ordered ? quad & 3 : quad % perTap);
            out.set(rest, list + 16);
            list += quadEntry;
          }
        list += 16;
      }
    },
  };
}

type Entries = Map<number, Int8Array[]>;

/** One channel into its lane of the panel at `at`; what does not fit into `entries`. Returns what to add to sums. */
function packChannel(m: QuadMatrix, n: number, out: Int8Array, at: number, entries: Entries): number {
  const lane = 4 * (n & 7);
  let sum = 0;
  eachPair(m, n, (a, b, quad, second) => {
    sum += a + b;
    packPair(a, b, out, at, quad, lane + 2 * second, entries);
  });
  return -m.above * sum;
}

function packPair(
  a: number,
  b: number,
  out: Int8Array,
  at: number,
  quad: number,
  place: number,
  entries: Entries,
): void {
  if (safe(a, b)) {
    out[at + 32 * quad + place] = a;
    out[at + 32 * quad + place + 1] = b;
    return;
  }
  let [x, y] = [a, b];
  for (let i = -1; x !== 0 || y !== 0; i++) {
    const px = part(x, 0);
    const py = part(y, px);
    let [to, base] = [out, at + 32 * quad];
    if (i >= 0) {
      const rests = entries.get(quad) ?? [];
      entries.set(quad, rests);
      rests[i] ??= new Int8Array(32);
      [to, base] = [rests[i] as Int8Array<ArrayBuffer>, 0];
    }
    to[base + place] = px;
    to[base + place + 1] = py;
    [x, y] = [x - px, y - py];
  }
}

/** The same in the order that the channel's tile has. */
function packInOrder(
  m: OrderedMatrix,
  { places, unsuited }: Orders,
  n: number,
  out: Int8Array,
  at: number,
  entries: Entries,
): number {
  const source = m.data as Int8Array;
  const k = m.k / m.taps;
  const [sixteens, lane] = [sixteensOf(m), 4 * (n & 7)];
  const each = m.taps * sixteens;
  const tile = Math.floor(n / m.ordered) * each;
  let [sum, changed] = [0, 0];
  for (let s = 0; s < each; s++) {
    const sixteen = s % sixteens;
    const from = m.offset + n * m.nStride + Math.floor(s / sixteens) * k + 16 * sixteen;
    const [size, there] = [placesOf(m, sixteen), k - 16 * sixteen];
    const order = 16 * (tile + s);
    const to = at + 128 * s + lane;
    for (let j = 0; j < size; j++) {
      const place = places[order + j] as number;
      const i = place & 15;
      let w = i < there ? (source[from + i] as number) : 0;
      if (place > 127) {
        w = -w;
        changed += w;
      } else sum += w;
      out[to + 32 * (j >> 2) + (j & 3)] = w;
    }
    const suited = size - 2 * (unsuited[tile + s] as number);
    for (let j = suited; j < size; j += 2) {
      const here = to + 32 * (j >> 2) + (j & 3);
      const [a, b] = [out[here] as number, out[here + 1] as number];
      packPair(a, b, out, at, 4 * s + (j >> 2), lane + (j & 2), entries);
    }
  }
  return -m.above * sum - (255 - m.above) * changed;
}

/** Shuffles and bit masks; int8 becomes unsigned by the mask too. */
function packOrders(m: QuadMatrix, { places }: Orders, out: Int8Array): void {
  const flip = m.signed ? 128 : 0;
  places.forEach((place, i) => {
    const at = (i >> 4) * orderVectors + (i & 15);
    out[at] = place & 15;
    out[at + 16] = place > 127 ? 255 - flip : flip;
  });
}
