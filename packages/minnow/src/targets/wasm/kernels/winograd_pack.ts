// Filters into the points of Winograd's transform, U = G g Gᵀ: one matrix of panels (pack.ts) for each point.
import { halfArrayToFloat } from "../../../graph/dtype.js";
import type { Packed } from "../kernel.js";
import { dataId, roundUp } from "./operands.js";
import type { Matrix } from "./pack.js";
import type { Matrix as Numbers } from "./winograd_toom.js";

/** Bytes of one point's panels. */
export const planeBytes = (channels: number, k: number): number => 4 * roundUp(channels, 8) * k;

/**
 * @param m weights as [n][kh·kw·C]
 * @param gy points × kh; @param gx points × kw
 */
export function packWinograd(m: Matrix, gy: Numbers, gx: Numbers, key: string): Packed {
  const taps = (gy[0] as readonly number[]).length * (gx[0] as readonly number[]).length;
  const c = m.k / taps;
  const planes = gy.length * gx.length;
  const plane = planeBytes(m.n, c) / 4;
  return {
    key: `winograd:${key}:${dataId(m.data)}:${m.offset}:${m.n}x${m.k}`,
    bytes: 4 * planes * plane,
    fill(memory, at) {
      const source =
        m.dtype === "float16" ? halfArrayToFloat(m.data as Uint16Array) : (m.data as Float32Array);
      const out = new Float32Array(memory as ArrayBuffer, at, planes * plane).fill(0);
      for (let n = 0; n < m.n; n++)
        for (let i = 0; i < c; i++) {
          const from = m.offset + n * m.k + i;
          const to = ((n >> 3) * c + i) * 8 + (n & 7);
          const kw = (gx[0] as readonly number[]).length;
          gy.forEach((ry, y) => {
            const line = Array.from({ length: kw }, (_, b) =>
              ry.reduce((s, g, a) => s + g * (source[from + (a * kw + b) * c] as number), 0),
            );
            gx.forEach((rx, x) => {
              out[(y * gx.length + x) * plane + to] = rx.reduce((s, g, b) => s + g * (line[b] as number), 0);
            });
          });
        }
    },
  };
}
