// Weights into panels of 8 output channels: [panel][tap·k][8], the last panel padded with zeros. Two
// panels side by side serve a 16-wide tile, so the layout does not depend on the tile. int16 weights of
// the dot kernels lie in pairs along k: [panel][pair][8][2].
import { type DType, halfArrayToFloat, type TypedArray } from "../../../graph/dtype.js";
import type { Packed } from "../kernel.js";
import { dataId, roundUp } from "./operands.js";

/** A constant matrix: element (n, k) at offset + n·nStride + k·kStride. */
export interface Matrix {
  readonly data: TypedArray;
  readonly dtype: DType;
  readonly offset: number;
  readonly n: number;
  readonly k: number;
  readonly nStride: number;
  readonly kStride: number;
}

const matrixKey = (m: Matrix): string =>
  `${dataId(m.data)}:${m.offset}:${m.n}x${m.k}:${m.nStride},${m.kStride}`;

const asFloats = (m: Matrix): Float32Array =>
  m.dtype === "float16" ? halfArrayToFloat(m.data as Uint16Array) : (m.data as Float32Array);

export const panelBytes = (k: number): number => 32 * k;

/**
 * float32 or float16 weights, `groups` matrices of n/groups channels each padded to whole panels.
 * Reads run along k, which is how weights lie.
 */
export function packPanels(m: Matrix, groups = 1): Packed {
  const each = m.n / groups;
  const panels = Math.ceil(each / 8);
  const total = panels * groups;
  return {
    key: `panels:${matrixKey(m)}:${groups}`,
    bytes: total * panelBytes(m.k),
    fill(memory, at) {
      const source = asFloats(m);
      const out = new Float32Array(memory as ArrayBuffer, at, total * 8 * m.k);
      for (let g = 0, to = 0; g < groups; g++)
        for (let p = 0; p < panels; p++, to += 8 * m.k)
          packPanel(source, m, g * each + 8 * p, Math.min(8, each - 8 * p), out, to);
    },
  };
}

function packPanel(
  source: Float32Array,
  m: Matrix,
  n0: number,
  lanes: number,
  out: Float32Array,
  to: number,
): void {
  const { k: depth, kStride, nStride } = m;
  if (lanes < 8) out.fill(0, to, to + 8 * depth);
  const first = m.offset + n0 * nStride;
  if (lanes === 8 && kStride === 1) {
    let [a, b, c, d] = [first, first + nStride, first + 2 * nStride, first + 3 * nStride];
    let [e, f, g, h] = [first + 4 * nStride, first + 5 * nStride, first + 6 * nStride, first + 7 * nStride];
    for (let i = to, end = to + 8 * depth; i < end; i += 8) {
      out[i] = source[a++] as number;
      out[i + 1] = source[b++] as number;
      out[i + 2] = source[c++] as number;
      out[i + 3] = source[d++] as number;
      out[i + 4] = source[e++] as number;
      out[i + 5] = source[f++] as number;
      out[i + 6] = source[g++] as number;
      out[i + 7] = source[h++] as number;
    }
    return;
  }
  for (let lane = 0; lane < lanes; lane++) {
    let from = first + lane * nStride;
    for (let i = to + lane, end = to + 8 * depth; i < end; i += 8, from += kStride)
      out[i] = source[from] as number;
  }
}

/**
 * 8-bit weights minus their zero points as int16 pairs; k is padded to an even number per matrix.
 * @param zero zero point of channel n
 */
export function packPairs(m: Matrix, zero: readonly number[], groups = 1): Packed {
  const each = m.n / groups;
  const panels = Math.ceil(each / 8);
  const pairs = Math.ceil(m.k / 2);
  const size = panels * groups * pairs * 16;
  return {
    key: `pairs:${matrixKey(m)}:${groups}:${zero.some((z) => z !== 0) ? zero.join() : ""}`,
    bytes: 2 * size,
    fill(memory, at) {
      const source = m.data as Int8Array | Uint8Array;
      const out = new Int16Array(memory as ArrayBuffer, at, size).fill(0);
      for (let g = 0; g < groups; g++)
        for (let c = 0; c < each; c++) {
          const n = g * each + c;
          const z = zero[zero.length === 1 ? 0 : n] ?? 0;
          let to = (g * panels + (c >> 3)) * pairs * 16 + (c & 7) * 2;
          let from = m.offset + n * m.nStride;
          for (let k = 0; k < m.k; k++, from += m.kStride) {
            out[to] = (source[from] as number) - z;
            to += k & 1 ? 15 : 1;
          }
        }
    },
  };
}

export const pairBytes = (k: number): number => 32 * Math.ceil(k / 2);
export { roundUp };
