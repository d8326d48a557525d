// int16 weights of the dot kernels lie in pairs along k: [panel of 8 channels][pair][8][2]. Generated code packs
// rows of one zero point; zero points by channel go by script. Where many rows share them and no zero point is to
// be taken off, weights stay bytes, four of k at a time, and are widened just before (widen_int8.ts).
import type { Packed } from "../kernel.js";
import { eachElement, type Matrix, matrixKey, packRows } from "./pack.js";
import type { Source } from "./pack_code.js";

/**
 * 8-bit weights minus their zero points as int16 pairs; k is padded to an even number per matrix.
 * @param zero zero point of channel n
 */
export function packPairs(m: Matrix, zero: readonly number[], groups = 1): Packed {
  const pairs = Math.ceil(m.k / 2);
  const size = Math.ceil(m.n / groups / 8) * groups * pairs * 16;
  const same = zero.every((z) => z === zero[0]);
  const known = {
    key: `pairs:${matrixKey(m)}:${groups}:${same ? zero[0] : zero.join()}`,
    bytes: 2 * size,
  };
  const type = m.dtype as Source;
  const pack = same && packRows(m, groups, { type, lanes: 8, words: pairs, zero: zero[0] as number });
  if (pack) return { ...known, pack };
  return {
    ...known,
    source: m.data,
    fill(memory, at) {
      const source = m.data as Int8Array | Uint8Array;
      const out = new Int16Array(memory as ArrayBuffer, at, size).fill(0);
      let n = 0;
      eachElement(m, groups, (from, panel, lane, k) => {
        const z = (zero.length === 1 ? zero[0] : zero[n]) as number;
        out[((panel * pairs + (k >> 1)) * 8 + lane) * 2 + (k & 1)] = (source[from] as number) - z;
        if (k === m.k - 1) n++;
      });
    },
  };
}

/**
 * int8 weights as they are: [panel of 8 channels][quad of k][two of 4 channels][two pairs][4][2], behind k zeros.
 * Null for other types and where they do not lie row by row.
 */
export function packBytes(m: Matrix): Packed | null {
  if (m.dtype !== "int8") return null;
  const pack = packRows(m, 1, { type: "bytes", lanes: 8, words: Math.ceil(m.k / 4) });
  return pack && { key: `bytes:${matrixKey(m)}`, bytes: Math.ceil(m.n / 8) * packedPanel(m.k), pack };
}

/** Bytes of a panel of packBytes: half of what it is widened to. */
export const packedPanel = (k: number): number => 32 * Math.ceil(k / 4);

export const pairBytes = (k: number): number => 32 * Math.ceil(k / 2);
