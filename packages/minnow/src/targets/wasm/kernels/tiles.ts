// The policy table: which tile, how many rows at a time. Everything that is a judgement about speed is
// here, with the measurement it rests on; nothing here changes results.
import type { Tile } from "../engine.js";

/** Bytes of the left side that stay in the second-level cache while all panels pass over it. */
export const leftBytes = 256 * 1024;

/** Tiles the probe times, in order of preference when they are equally fast (see probe.ts). */
export const candidates: readonly Tile[] = [
  { mr: 6, nr: 8 },
  { mr: 4, nr: 8 },
  { mr: 6, nr: 16 },
];

/**
 * Rows per chunk: whole tiles, equal chunks, the left side within `leftBytes` and the table small.
 * @param rowBytes distinct input bytes that a further output row brings in
 * @param tableBytes table bytes a row
 */
export function chunkRows(rows: number, mr: number, rowBytes: number, tableBytes: number): number {
  const most = Math.max(2 * mr, Math.floor(leftBytes / Math.max(rowBytes, tableBytes, 1)));
  const chunks = Math.max(1, Math.ceil(rows / most));
  return Math.max(mr, Math.ceil(rows / chunks / mr) * mr);
}
