// Which products run by Strassen's scheme, and how their rows are cut: all judgements about its speed. Bits depend on the
// answer, so it follows from the shape of one image alone: neither from the engine nor from the batch.
import { roundUp } from "./operands.js";
import { lowRows } from "./tiles.js";

/** An image's pixels in blocks of 2·rows, the last one of what is left; of an odd number the last pixel is in two pairs. */
export interface Halves {
  readonly rows: number;
  readonly blocks: number;
}

/** Bytes of a block, and its sums, that stay in the second-level cache while all weights pass over it. */
const blockBytes = 256 * 1024;

/**
 * Weights take 7/4 of their bytes: up to these, as each serves more pixels. Beyond, MobileNet v2's 14×14 layers would win
 * 3–6 % for 1.2 MB.
 */
const mostWeights = (pixels: number): number => (pixels < 512 ? 2 ** 16 : 2 ** 18);

/**
 * Of a program's multiplications. MobileNet v2 (0.06), SqueezeNet (0.06) and ResNet v2 50 (0.17) would win 0–0.3 % for 32 KB of code,
 * half as much again as they have, and 0.1 to 0.8 MB of weights; MobileNet v1 (0.27) wins 2 %, vww (0.55) 4 %.
 */
export const leastShare = 0.2;

/** Bytes of an image, in and out, beyond the second-level cache: each output costs more. */
const mostBytes = 2 ** 20;

/** Pixels of half an image's last block. */
const lastRows = ({ rows, blocks }: Halves, pixels: number): number =>
  Math.ceil(pixels / 2) - (blocks - 1) * rows;

/** Rows that tiles of `mr` compute of `rows`. */
const computedOf = (rows: number, mr: number): number =>
  leavesFew(rows, mr) ? rows - (rows % mr) + lowRows : roundUp(rows, mr);

/** Rows that tiles of `mr` compute of an image's half. */
const computed = (h: Halves, pixels: number, mr: number): number =>
  (h.blocks - 1) * computedOf(h.rows, mr) + computedOf(lastRows(h, pixels), mr);

const leavesFew = (rows: number, mr: number): boolean => mr === 6 && rows % mr > 0 && rows % mr <= lowRows;

/** Whether a block's last tile may be a lower one. */
export const hasLowTile = (h: Halves, pixels: number, mr: number): boolean =>
  leavesFew(h.rows, mr) || leavesFew(lastRows(h, pixels), mr);

export function cutRows(pixels: number, k: number): Halves {
  const blocks = Math.ceil((pixels * 8 * k) / blockBytes);
  const rows = Math.min(Math.ceil(pixels / 2), roundUp(Math.ceil(pixels / 2 / blocks), 6));
  return { rows, blocks: Math.ceil(pixels / 2 / rows) };
}

/**
 * Of a product's time, what is gained on Zen 4, less what is computed in vain: 36×128→128 20.4 → 18.6 µs, 144×64→64 20.7 →
 * 19.2, 144×32→64 10.5 → 10.1; 768×192→32 nothing (sums for few channels); 112×112 16→96 a fifth slower, ResNet's 56×56 64→64 8 %,
 * 64→256 8 % faster.
 */
function gain(halves: Halves, pixels: number, k: number, channels: number): number {
  const vain = computed(halves, pixels, 6) / (pixels / 2) - 1;
  const each = 4 * pixels * (k + channels) > mostBytes ? 2.7 : 0.9;
  return 0.125 - 3 / channels - each / k - vain;
}

export function chooseHalves(pixels: number, k: number, channels: number): Halves | null {
  if (k % 16 || channels % 32 || 4 * k * channels > mostWeights(pixels)) return null;
  const halves = cutRows(pixels, k);
  return gain(halves, pixels, k, channels) > 0.035 ? halves : null;
}

/** The height of tiles: that of direct ones may be 4 where 4×8 and 6×8 are level. 5 computes fewer rows in vain. */
export const heightOf = (halves: Halves, pixels: number, mr: number): number =>
  mr > 5 && computed(halves, pixels, 5) * 1.02 < computed(halves, pixels, mr) ? 5 : mr;
