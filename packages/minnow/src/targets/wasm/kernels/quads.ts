// Weights of 8-bit tiles (quad_code.ts): [panel of 8 channels] header, then per tap quads of k, each 8 channels × 4 bytes;
// behind all panels orders (quad_order.ts), where k is not as it lies, and lists. Exact sums need that a pair's products
// stay within int16 for any bytes of x: weights of one sign that are next to each other add up to 128 at most. What is
// beyond goes, quad by quad, to the list of the panel, as often as it takes (uint8 weights less their zero point may
// need three entries). Weights that are small enough join two quads: 128 at most over both, and the products of both are
// summed before they are widened. Engines that sum four products in 32 bits need no bounds but a byte's.
import { dataId } from "./operands.js";
import type { Matrix } from "./pack.js";
import { quadHeader } from "./quad_code.js";
import { orderVectors } from "./quad_rows.js";

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
  /**
   * Their products are summed in 32 bits, so that pairs have no bounds, and this is the least weight; what is beyond
   * bytes goes to lists.
   */
  readonly least?: number;
  /** Two quads that follow each other in a tap share their bounds: their products may be summed in 16 bits. */
  readonly joined?: boolean;
}

/** int8 weights without zero points, whose channels share an order, `ordered` at a time. */
export interface OrderedMatrix extends QuadMatrix {
  readonly ordered: number;
}

export const isOrdered = (m: QuadMatrix): m is OrderedMatrix => m.ordered !== undefined;

type Shape = Pick<QuadMatrix, "k" | "taps" | "ordered">;

export const quadsKey = (m: QuadMatrix): string =>
  `quads:${dataId(m.data)}:${m.offset}:${m.n}x${m.k}:${m.nStride},${m.kStride}:${m.taps}:${m.above}:${m.zero.every((z) => z === m.zero[0]) ? m.zero[0] : m.zero}:${m.ordered ? `${m.ordered}${m.signed}` : ""}${m.joined ? "joined" : ""}${m.least ?? ""}`;

/** Sixteens of a tap. */
export const sixteensOf = (m: Shape): number => Math.ceil(m.k / m.taps / 16);

/** Quads of a tap's last sixteen: several taps in order have whole ones. */
export const lastQuads = (m: Shape): number =>
  m.ordered && m.taps > 1 ? 4 : Math.ceil(m.k / m.taps / 4) - 4 * (sixteensOf(m) - 1);

/** Of one panel. */
export const quadsOf = (m: Shape): number => m.taps * (4 * (sixteensOf(m) - 1) + lastQuads(m));

export const quadPanelBytes = (m: Shape): number => quadHeader + 32 * quadsOf(m);

/** Orders lie behind all panels; bytes of one, and where they begin. */
export const orderBytes = (m: Shape): number => orderVectors * m.taps * sixteensOf(m);
export const ordersAt = (m: QuadMatrix): number => Math.ceil(m.n / 8) * quadPanelBytes(m);

/** Where lists begin: behind orders. */
export const listsAt = (m: QuadMatrix): number =>
  ordersAt(m) + (m.ordered ? Math.ceil(m.n / m.ordered) * orderBytes(m) : 0);

/** Bytes from a row of weights to the next. */
export const rowBytes = (m: Matrix): number => (m.n === 1 ? m.k : m.nStride);
