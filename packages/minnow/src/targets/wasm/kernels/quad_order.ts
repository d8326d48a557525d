// An order of k in which the weights of 8-bit tiles pair up: a pair's products stay within int16 where both weights
// together are 128 at most or have other signs (quads.ts), and most of 16 that lie side by side find such a partner.
// Where only other signs would do, one changes its sign, and its x becomes 255 − x, which a bit mask makes of it. The
// order is one for all channels of a tile and stays within sixteens of a tap, so that a shuffle brings x into it.
import type { TypedArray } from "../../../graph/dtype.js";
import type { QuadMatrix } from "./quads.js";
import { mostRepeated } from "./tiles_int8.js";

/** int8 weights [n][k] without zero points, whose channels share an order, `ordered` at a time. */
export interface OrderedMatrix extends QuadMatrix {
  readonly ordered: number;
}

export interface Orders {
  /** [tile of channels][tap][sixteen][16]: which byte is multiplied there, plus 128 where its sign changes. */
  readonly places: Uint8Array;
  /** [tile of channels][tap][sixteen]: how many pairs, the last ones, are none that suit all channels. */
  readonly unsuited: Uint8Array;
  /** The most entries that lists will have; ∞: far too many. */
  readonly repeated: number;
}

/** Sixteens of a tap, and places of one: a single tap ends with its last quad. */
export const sixteensOf = (m: Pick<QuadMatrix, "k" | "taps">): number => Math.ceil(m.k / m.taps / 16);
export const placesOf = (m: Pick<QuadMatrix, "k" | "taps">, sixteen: number): number =>
  m.taps > 1 ? 16 : Math.min(16, Math.ceil((m.k - 16 * sixteen) / 4) * 4);

/** Quads of which some pair is unsuited. */
export const unsuitedQuads = (places: number, unsuited: number): number =>
  unsuited && places / 4 - ((places / 2 - unsuited) >> 1);

export const canOrder = (m: QuadMatrix): boolean =>
  m.dtype === "int8" && m.kStride === 1 && m.zero.every((z) => z === 0);

const known = new WeakMap<TypedArray, Map<string, Orders>>();

/** Found once, when a plan asks whether they pay, and read when weights are packed. */
export function ordersOf(m: OrderedMatrix, key: string): Orders {
  const of = known.get(m.data) ?? new Map<string, Orders>();
  known.set(m.data, of);
  const found = of.get(key) ?? findOrders(m);
  of.set(key, found);
  return found;
}

function findOrders(m: OrderedMatrix): Orders {
  const sixteens = sixteensOf(m);
  const each = m.taps * sixteens;
  const tiles = Math.ceil(m.n / m.ordered);
  const places = new Uint8Array(16 * tiles * each);
  const unsuited = new Uint8Array(tiles * each);
  let [repeated, quads] = [0, 0];
  for (let tile = 0, at = 0; tile < tiles; tile++) {
    const panels = Math.ceil(Math.min(m.ordered, m.n - tile * m.ordered) / 8);
    for (let s = 0; s < each; s++, at++) {
      const sixteen = s % sixteens;
      const size = placesOf(m, sixteen);
      const channels = columnsOf(m, tile * m.ordered, Math.floor(s / sixteens), sixteen);
      const left = pairUp(size, channels, places, 16 * at);
      unsuited[at] = left;
      repeated += panels * unsuitedQuads(size, left);
      quads += (panels * size) / 4;
    }
    if (tile === 1 && repeated > 2 * mostRepeated * quads)
      return { places, unsuited, repeated: Number.POSITIVE_INFINITY };
  }
  return { places, unsuited, repeated };
}

/** Weights of a sixteen for the channels of a tile, [16][channel]. */
const columns = new Int8Array(256);

/** The hardest to pair first: those of most that is beyond 64. */
const [ranked, beyond] = [new Uint8Array(16), new Uint16Array(16)];

/** @returns how many channels there are */
function columnsOf(m: OrderedMatrix, n: number, tap: number, sixteen: number): number {
  const k = m.k / m.taps;
  const there = Math.min(16, k - 16 * sixteen);
  const source = m.data as Int8Array;
  const channels = Math.min(m.ordered, m.n - n);
  if (there < 16) columns.fill(0);
  beyond.fill(0);
  for (let c = 0; c < channels; c++) {
    const at = m.offset + (n + c) * m.nStride + tap * k + 16 * sixteen;
    for (let i = 0; i < there; i++) {
      const w = source[at + i] as number;
      columns[16 * i + c] = w;
      beyond[i] = (beyond[i] as number) + Math.max(0, Math.abs(w) - 64);
    }
  }
  for (let i = 0; i < 16; i++) {
    let at = i;
    for (; at > 0 && (beyond[ranked[at - 1] as number] as number) < (beyond[i] as number); at--)
      ranked[at] = ranked[at - 1] as number;
    ranked[at] = i;
  }
  return channels;
}

/** 1: weights i and j are a pair for all channels; 2: with j's sign changed; 0: neither way. */
function suits(i: number, j: number, channels: number): number {
  let [same, changed] = [0, 0];
  for (let c = 0; c < channels; c++) {
    const a = columns[16 * i + c] as number;
    const b = columns[16 * j + c] as number;
    // Below 0 from the first that is beyond on. −128 has no opposite.
    same |= (128 + a + b) | (128 - a - b);
    changed |= (128 + a - b) | (128 - a + b) | (127 + b);
    if ((same & changed) < 0) return 0;
  }
  return same < 0 ? 2 : 1;
}

/** Fills the places from `at` on: pairs, and last those that are left. Returns how many pairs these are. */
function pairUp(size: number, channels: number, places: Uint8Array, at: number): number {
  let free = (1 << size) - 1;
  let [to, last] = [at, at + size];
  for (let i = size; i < 16; i++) places[at + i] = i;
  for (let r = 0; r < 16; r++) {
    const i = ranked[r] as number;
    if (!(free & (1 << i))) continue;
    free &= ~(1 << i);
    let how = 0;
    for (let q = r + 1; q < 16 && how === 0; q++) {
      const j = ranked[q] as number;
      how = free & (1 << j) && suits(i, j, channels);
      if (how === 0) continue;
      free &= ~(1 << j);
      places[to++] = i;
      places[to++] = how === 2 ? j + 128 : j;
    }
    if (how === 0) places[--last] = i;
  }
  // Two that are left and a pair may be two pairs.
  let end = at + size;
  while (to < end) {
    if (exchange(places, at, to, channels)) to += 2;
    else {
      end -= 2;
      for (const i of [0, 1]) {
        const kept = places[to + i] as number;
        places[to + i] = places[end + i] as number;
        places[end + i] = kept;
      }
    }
  }
  return (at + size - to) >> 1;
}

/** Makes pairs of places[from], places[from + 1] and one of the pairs before them. */
function exchange(places: Uint8Array, at: number, from: number, channels: number): boolean {
  const [a, b] = [places[from] as number, places[from + 1] as number];
  for (let p = at; p < from; p += 2)
    for (const first of [0, 1]) {
      const c = (places[p + first] as number) & 15;
      const d = (places[p + 1 - first] as number) & 15;
      const one = suits(a, c, channels);
      const other = one && suits(b, d, channels);
      if (!other) continue;
      places.set([a, one === 2 ? c + 128 : c], p);
      places.set([b, other === 2 ? d + 128 : d], from);
      return true;
    }
  return false;
}
