// An order of k in which the weights of 8-bit tiles pair up: a pair's products stay within int16 where both weights
// together are 128 at most or have other signs (quads.ts), and most of 16 that lie side by side find such a partner.
// Where only other signs would do, one changes its sign, and its x becomes 255 − x, which a bit mask makes of it. The
// order is one for all channels of a tile and stays within sixteens of a tap, so that a shuffle brings x into it.
import { bytesOf } from "../../../graph/dtype.js";
import { oncePer } from "../../../graph/once.js";
import { quadCode } from "./quad_module.js";
import { searchBytes } from "./quad_search.js";
import { type OrderedMatrix, type QuadMatrix, quadsOf, rowBytes, sixteensOf } from "./quads.js";
import { mostRepeated } from "./tiles_int8.js";

export interface Orders {
  /**
   * [tile of channels][tap][sixteen][16]: which byte is multiplied there, plus 128 where its sign changes. Pairs that
   * do not suit all channels are the last ones.
   */
  readonly places: Uint8Array;
  /** The most entries that lists will have; ∞: far too many. */
  readonly repeated: number;
}

export const canOrder = (m: QuadMatrix): boolean =>
  m.dtype === "int8" && m.kStride === 1 && m.zero.every((z) => z === 0);

const findOnce = oncePer<Orders>();

/** Found once, when a plan asks whether they pay, and read when weights are packed. */
export const ordersOf = (m: OrderedMatrix, key: string): Orders => findOnce(m.data, key, () => findOrders(m));

function findOrders(m: OrderedMatrix): Orders {
  const [each, row, k] = [16 * m.taps * sixteensOf(m), rowBytes(m), m.k / m.taps];
  const tiles = Math.ceil(m.n / m.ordered);
  const places = new Uint8Array(tiles * each);
  const rows = searchBytes + each;
  const { code, memory } = quadCode("search", rows + m.ordered * row + 16);
  const staged = new Uint8Array(memory);
  const source = bytesOf(m.data);
  let [repeated, quads] = [0, 0];
  for (let tile = 0; tile < tiles; tile++) {
    const n = tile * m.ordered;
    const channels = Math.min(m.ordered, m.n - n);
    const from = m.offset + n * row;
    staged.set(source.subarray(from, from + channels * row), rows);
    const panels = Math.ceil(channels / 8);
    repeated += panels * code(rows, channels, row, k, m.taps, Number(m.taps > 1), searchBytes);
    quads += panels * quadsOf(m);
    places.set(staged.subarray(searchBytes, rows), tile * each);
    if (tile === 1 && repeated > 2 * mostRepeated * quads)
      return { places, repeated: Number.POSITIVE_INFINITY };
  }
  return { places, repeated };
}
