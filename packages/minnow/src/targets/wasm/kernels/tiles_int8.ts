// The policy table of integer products, as tiles.ts is of the others.
import type { Tile } from "../engine.js";

/**
 * The tile of an integer product. Few rows: as high as they are, and wide; few channels: as wide as they are.
 * @param quads 8-bit products: 4×8 42 GMAC/s; 256 bits 4×16 79, 5×16 74
 */
export function integerTile({ mr, nr }: Tile, rows: number, channels: number, quads = false): Tile {
  if (rows < 3) return { mr: rows, nr: channels <= 8 ? 8 : 16 };
  if (channels <= 8) return { mr, nr: 8 };
  return { mr: quads && nr === 16 ? 4 : mr, nr };
}

/**
 * The tile of 8-bit products in an order of k that its channels share (quad_order.ts). Sixteen channels halve what
 * ordering rows takes (Zen 4, 512→512: 2×16 52 GMAC/s, 4×8 50; 16-bit products 45), but of few k too few pairs suit
 * them all (96→576: 44, 46).
 */
export function orderedTile(tile: Tile, rows: number, channels: number, depth: number): Tile {
  if (tile.nr === 8 && rows > 2 && depth >= 128 && channels >= 16) return { mr: 2, nr: 16 };
  return integerTile(tile, rows, channels, true);
}

/** Fewer k gain nothing: 16→96 on 112×112 0.62 ms, by 16 bits 0.60; 24→144 on 56×56 0.59 either way; 32→192 on 28×28 0.33, 0.39. */
export const leastOrdered = 32;

/**
 * The least weight of products that are summed in 32 bits. Without an instruction for it Arm sums pairs in 16 bits, where
 * two of −128 · −128 are one too many.
 */
export const leastWeight = { sdot: -127, usdot: -128 } as const;

/** Ordered k may be padded to so much. */
export const mostPadded = 1.2;

/**
 * Up to so many rows at a time, weights lie in memory as int16 pairs. Beyond, bytes that are widened each time are as
 * fast (five networks: within 1 %) in half the memory: ResNet v2 50 −23 MB, MobileNet v2 −2.1 MB.
 */
export const mostPairsRows = 24;

/**
 * Quads that come again in lists (see quads.ts), per quad: beyond this share 8-bit products cost what 16-bit ones
 * do (Zen 3, 128 bit, 512→512 and 96→576: 1.17 times as fast without lists, 1.12 at 5 %, 1.03 at 13 %, 0.93 at 27 %).
 */
export const mostRepeated = 0.16;

/**
 * The same where two quads are joined, which without lists takes 1.2 times less than quads one by one: MobileNet v1 quantised
 * per tensor 11.45 → 9.95 ms (Zen 4).
 */
export const mostJoined = 0.12;

/** Integer kernels unroll so many steps of k whole. */
export const wholeSteps = 12;
