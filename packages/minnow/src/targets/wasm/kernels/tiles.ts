// The policy table: which tile, how many rows at a time. Everything that is a judgement about speed is
// here, with the measurement it rests on; nothing here changes results.
import type { Engine, Tile } from "../engine.js";
import type { Window } from "./gemm.js";

/** Bytes of the left side, and its table, that stay in the second-level cache while all panels pass over it. */
export const leftBytes = 256 * 1024;

/**
 * Tiles the probe times; of the 8-wide ones the first is kept unless the second, times `levelGain`, is faster.
 * x86, V8 ≥ 12, fused multiply-add: 4×8 and 6×8 are level on Zen 3 (48 GFLOPS), 6×8 ahead on Zen 4 (58, 54).
 * Where they are level, 4×8 with 2×16 beside it (tileFor): MobileNet v2 14.75 ms, 15.02 by 6×8. On Zen 4 6×8 is
 * ahead in whole networks, and no faster with 2×16: v2 1–2 %, v1 2–3, SqueezeNet 5, vww and blazeface 3.
 * 16-wide wins only with 256-bit vectors, or 32 registers.
 */
export const tileCandidates: readonly Tile[] = [
  { mr: 6, nr: 8 },
  { mr: 4, nr: 8 },
  { mr: 6, nr: 16 },
];
export const levelGain = 0.985;

/**
 * The 16-wide tile's time, times this, must be less than the best other's, on x86, for pairs of vectors to be
 * one: with 128-bit vectors it spills and takes 2.4 times as long (1.8 on a busy machine; Zen 4 1.57); with 256-bit
 * ones 0.85, to 1.1 (the others are joined too, but wait for their sums).
 */
export const wideGain = 0.8;

/**
 * The same elsewhere: unless it is plainly slower. With 32 registers V8 makes two instructions of each load for Arm: 6×8 3.0
 * instructions a multiply-add, 6×16 2.0; whole networks, MobileNet v1 385 → 305 M, SqueezeNet 363 → 299 (no Arm
 * was at hand to take times on).
 */
export const broadGain = 0.9;

/**
 * dot_i16x8: 4×8 and 5×8 are level (33 GMAC/s on Zen 3), 6×8 spills; 256 bits 5×16 60, 4×16 48. Arm has 32 registers.
 */
export function int8Tile(wide: boolean, x86: boolean): Tile {
  if (wide) return { mr: 5, nr: 16 };
  return { mr: 4, nr: x86 ? 8 : 16 };
}

/**
 * Rows per chunk: whole tiles, equal chunks, the left side and its table within `leftBytes`.
 * @param rowBytes input bytes that a further output row brings in, and those of its table
 */
export function chunkRows(rows: number, mr: number, rowBytes: number): number {
  const most = Math.max(2 * mr, Math.floor(leftBytes / Math.max(rowBytes, 1)));
  const chunks = Math.max(1, Math.ceil(rows / most));
  return Math.max(mr, Math.ceil(rows / chunks / mr) * mr);
}

/**
 * Whether a product waits for its weights: few rows for many bytes, so that reading them ahead pays (gemm_ahead.ts). Wide:
 * 7×7 2048→512 1.13 → 1.00 ms, 160→960 0.19 → 0.15; 14×14 512→1024 1.94 → 1.87, 512→512 0.97 → 0.91; 17×17 768→192 0.80 →
 * 0.77. Small weights stay in the cache: reads ahead take 2 % there. int8, 150 KB: 7×7 160→960 and 960→160 2 % less.
 * @param rows 0: any
 */
export const isStreamed = (rows: number, weightBytes: number): boolean =>
  rows > 0 && rows <= 300 && weightBytes >= (rows <= 100 ? 2 ** 17 : 2 ** 19);

/** Multiply-adds of a call: 30 µs optimised. Code is replaced between calls only: until then it runs 10 times slower. */
const callMacs = 6e5;

/**
 * Units of one call: whole tiles, and enough rows for the weights that every call reads anew.
 * @param unitMacs multiply-adds of a row, or of a panel
 */
export const callUnits = (unitMacs: number, tile: number, least: number): number =>
  Math.max(least, Math.ceil(callMacs / Math.max(unitMacs, 1) / tile) * tile);

/**
 * The tile for one product. Few channels: as narrow as they are. Few rows: the height that computes fewest
 * beyond the last, so 5 for 7×7 maps (49 rows): 960→160 41 → 43 GFLOPS beside 4×8, wide 87 → 94 beside 6×16.
 * 125 rows: 64→64 45.4 → 46.7, the 2.4 % that 4×8 does in vain.
 * Plain products of whole cache lines of output: 2×16 in place of 4×8, which writes each line in two passes:
 * within MobileNet v2 16→96@112 1.09 → 0.96 ms, 24→144@56 1.00 → 0.96, 96→576@14 1.45 → 1.39, v1 128→128@56
 * 2.51 → 2.31. From k = 384 on level, beyond 576 slower (a panel of 16 fills the first-level cache), and threads
 * want panels to share. In place of 6×8 up to k = 16, where a tile's start and end count: 8→16@48 44.8 → 47.3
 * GFLOPS, 16→96@112 2 %.
 * Without fused multiply-add the engine is old and spills above 4.
 * @param rows of the left side; 0: any
 * @param k of a plain product; else Infinity
 */
export function tileFor(tile: Tile, channels: number, rows: number, fma: boolean, k: number): Tile {
  const done = (mr: number): number => {
    const left = rows % mr;
    return rows - left + (left === 0 ? 0 : hasLow(rows, mr) ? lowRows : mr);
  };
  if (fma && done(5) * 1.02 < done(tile.mr)) tile = { mr: 5, nr: tile.nr };
  if (channels <= 8) return { mr: tile.mr, nr: 8 };
  const lines = fma && tile.nr === 8 && channels % 16 === 0 && k <= (tile.mr === 4 ? 256 : 16);
  return lines ? { mr: 2, nr: 16 } : tile;
}

/** Rows of a low tile: eight sums, as many as multiply-adds take to be done. */
export const lowRows = 4;

/**
 * Whether the rows left of the last tile are a lower one, half as much code again: where that saves a hundredth. 9 rows
 * are 5 + 4, 196 32·6 + 4: vww 0.284 → 0.280 ms, MobileNet v1, v2 and ResNet v2 50 1 % (Zen 4).
 */
export const hasLow = (rows: number, mr: number): boolean => {
  const left = rows % mr;
  return left > 0 && left <= lowRows && 100 * (mr - lowRows) >= rows;
};

/** Groups of 32 channels that make some 20 µs at 10 GB/s. @param bytes weights of a group */
export const gemvGrain = (bytes: number): number => Math.max(1, Math.round(2e5 / bytes));

/** Depth-wise taps are unrolled. */
export const mostTaps = 169;

/**
 * Rows × columns of outputs of a depth-wise tile: accumulators, the weights of a kernel row and an input in 15
 * registers. Two rows share inputs in the cache. Without fused multiply-add V8 11 keeps fewer values: 2×2 26
 * GFLOPS, 1×4 24, 2×4 15 (3×3 stride 1). A row of five is one tile: 4 + 1 take 8 % longer, 2×5 elsewhere 7 to 13.
 * int8: 1×7 in place of 1×4 takes 4 to 8 % less at stride 1, 2 to 5 at stride 2 (1×5 1 to 4, 1×6 3 to 5, 1×8 as 1×7), in
 * place of 1×2 for 5×5 at stride 2 9 to 18.
 * @param registers of an output
 */
export function depthwiseTile(
  w: Pick<Window, "kernel" | "stride" | "dilation" | "oh" | "ow">,
  { fma }: Pick<Engine, "fma">,
  registers: number,
): { readonly rows: number; readonly columns: number } {
  const kw = w.kernel[1];
  if (registers === 2) return { rows: 1, columns: fma && kw <= 5 ? 7 : 3 * w.stride[1] + kw > 10 ? 2 : 4 };
  const pairs = kw <= 3 && w.dilation[0] === 1 && w.oh > 1;
  if (!fma) return pairs && w.stride[1] === 1 ? { rows: 2, columns: 2 } : { rows: 1, columns: 4 };
  return pairs ? { rows: 2, columns: w.ow === 5 ? 5 : 4 } : { rows: 1, columns: 7 };
}

/**
 * int8: so many pairs of taps have the weights of half their channels in registers, beside eight sums and inputs: 2 to
 * 5 % in every 3×3 layer of MobileNet v1 and v2.
 */
export const heldTaps = 3;

/**
 * Strided 3×3 windows over maps far beyond the second-level cache wait for lines: few pixels, two vectors of
 * each. 96@112: 17 GFLOPS against 11 (wide 25, 18) with other work on the machine, level without; 144@56 and
 * 5×5 are faster by the usual tiles. Pixels of 512 or 1024 channels, whose lines meet in one place of the
 * first-level cache, want the same tile: where they are dense 512@14 9.4 → 20.8 (wide 19.5 → 25.5), 1024@14
 * 5.2 → 12.4 (11 → 18); where place.ts spreads them, as in MobileNet v1, a tenth.
 */
export const isFar = (w: Pick<Window, "kernel" | "stride" | "h" | "w">, pixelBytes: number): boolean =>
  w.stride[1] > 1 &&
  w.kernel[1] <= 3 &&
  (w.h * w.w * pixelBytes > 2 ** 21 || (pixelBytes >= 2048 && Number.isInteger(Math.log2(pixelBytes))));
export const farTile = { rows: 1, columns: 2 } as const;

/**
 * Of a pooling tile, over two vectors of channels. Max 3×3 s2 reads large maps for the first time: half a cache
 * line of few pixels at once 0.31 ms (5 shapes of three networks), a quarter of many 0.48, whole lines of few 0.38.
 */
export const poolTile = (kw: number, max: boolean): { readonly rows: number; readonly columns: number } => ({
  rows: 1,
  columns: max && kw < 5 ? 2 : 4,
});

/** Groups of rows that make some 20 µs, at 40 GFLOPS. @param macs of one group */
export const depthwiseGrain = (macs: number): number => Math.max(1, Math.round(4e5 / macs));

/**
 * Steps of k in the inner loop. Where product and sum are two instructions, V8 11 (Node 20) keeps too much
 * in flight when unrolled: 4×8 37 GFLOPS at 1, 21 at 2, 15 at 4. Fused: no difference (48), less to count;
 * integer products (V8 13) 36 → 37 GMAC/s from 2 to 4.
 */
export const unrollOf = (fma: boolean): number => (fma ? 4 : 1);
