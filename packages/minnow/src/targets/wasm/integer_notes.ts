// Why integer products run as they do, for report(): people quantise models to make them faster, and want
// to know where that does not hold.
import type { Dot } from "./engine.js";

const noBytes = "they have groups, or weights that are no bytes once their zero point is taken off";
const reasons: Record<Dot, string> = {
  i16: "this engine has no 8-bit dot product that is exact",
  relaxed: "sums of two 8-bit products of their weights may overflow",
  sdot: noBytes,
  usdot: noBytes,
};

/**
 * @param labels of a program's kernels
 * @returns a line for products by 16 bits, and one for convolutions that float32 would make by Winograd
 */
export function integerNotes(labels: readonly string[], dot: Dot = "i16"): string[] {
  const count = (pattern: RegExp): number => labels.filter((l) => pattern.test(l)).length;
  const [wide, all, windows] = [
    count(/^i16_i?gemm/),
    count(/^(i16|u8|s8)_i?gemm/),
    count(/^(i16|u8|s8)_igemm/),
  ];
  const notes: string[] = [];
  if (wide) notes.push(`${wide} of ${all} integer products by 16 bits: ${reasons[dot]}`);
  if (windows)
    notes.push(
      `${windows} integer convolutions larger than a point: with stride 1 float32 makes fewer multiplications (Winograd) and may be as fast`,
    );
  return notes;
}
