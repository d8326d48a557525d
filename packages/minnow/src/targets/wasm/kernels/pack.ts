// Weights into panels of 8 output channels: [panel][tap·k][8], what is left of the last panel is not
// read. Two panels side by side serve a 16-wide tile, so the layout does not depend on the tile. Generated code packs what lies
// along k (convolutions) or along n (matrices); odd strides and zero points per channel go by script.
import { byteSize, type DType, halfArrayToFloat, type TypedArray } from "../../../graph/dtype.js";
import type { Pack, Packed } from "../kernel.js";
import { dataId, roundUp } from "./operands.js";
import { emitColumns, emitRows, type RowSource, type Source } from "./pack_code.js";

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

export const matrixKey = (m: Matrix): string =>
  `${dataId(m.data)}:${m.offset}:${m.n}x${m.k}:${m.nStride},${m.kStride}`;

export const panelBytes = (k: number): number => 32 * k;

/** float32 or float16 weights, `groups` matrices of n/groups channels each padded to whole panels. */
export function packPanels(m: Matrix, groups = 1): Packed {
  const total = Math.ceil(m.n / groups / 8) * groups;
  const known = { key: `panels:${matrixKey(m)}:${groups}`, bytes: total * panelBytes(m.k) };
  const type = m.dtype as Source;
  const pack =
    packRows(m, groups, { type, lanes: 8, words: m.k }) ?? (groups === 1 ? packColumns(m, type) : null);
  if (pack) return { ...known, pack };
  return {
    ...known,
    source: m.data,
    fill(memory, at) {
      const source =
        m.dtype === "float16" ? halfArrayToFloat(m.data as Uint16Array) : (m.data as Float32Array);
      const out = new Float32Array(memory as ArrayBuffer, at, total * 8 * m.k);
      eachElement(m, groups, (from, panel, lane, k) => {
        out[(panel * m.k + k) * 8 + lane] = source[from] as number;
      });
    },
  };
}

/** As [groups of 8·side channels][k][8·side]; null where generated code cannot. */
export function packGroups(m: Matrix, side: number): Packed | null {
  const type = m.dtype as Source;
  const pack = packRows(m, 1, { type, lanes: 8, words: m.k, side }) ?? packColumns(m, type, side);
  const bytes = Math.ceil(m.n / 8 / side) * side * panelBytes(m.k);
  return pack && { key: `groups:${side}:${matrixKey(m)}`, bytes, pack };
}

/** Depth-wise weights [channel][tap] as [C/lanes][tap][lanes]. */
export const packTaps = (m: Matrix, lanes: 4 | 8): Packed => ({
  key: `taps${lanes}:${matrixKey(m)}`,
  bytes: 4 * roundUp(m.n, lanes) * m.k,
  pack: packRows(m, 1, { type: m.dtype as Source, lanes, words: m.k }) as Pack,
});

/** Calls back with every element's place in the source, its panel, its lane there, and k. */
export function eachElement(
  m: Matrix,
  groups: number,
  visit: (from: number, panel: number, lane: number, k: number) => void,
): void {
  const each = m.n / groups;
  const panels = Math.ceil(each / 8);
  for (let n = 0; n < m.n; n++) {
    const c = n % each;
    const panel = Math.floor(n / each) * panels + (c >> 3);
    for (let k = 0; k < m.k; k++) visit(m.offset + n * m.nStride + k * m.kStride, panel, c & 7, k);
  }
}

export interface RowPacking {
  readonly type: RowSource;
  /** Channels of a panel. */
  readonly lanes: 4 | 8;
  /** 32-bit words that a row becomes; the last of a row of bytes or pairs is filled up with zeros. */
  readonly words: number;
  /** Panels that lie side by side, a step of k after the other; default 1. */
  readonly side?: number;
  /** 8-bit weights: what is subtracted. */
  readonly zero?: number;
}

const sideKey = (side = 1): string => (side > 1 ? `_${side}` : "");

/** Rows of k that lie one after the other; a unit is a panel of them. Null where they do not. */
export function packRows(m: Matrix, groups: number, p: RowPacking): Pack | null {
  const stride = m.n === 1 ? m.k : m.nStride;
  if ((m.k > 1 && m.kStride !== 1) || stride < m.k) return null;
  const each = m.n / groups;
  const panels = Math.ceil(each / p.lanes);
  const size = byteSize(m.dtype, 1);
  const rowBytes = stride * size;
  const row = (panel: number): number =>
    Math.floor(panel / panels) * each + Math.min(each, (panel % panels) * p.lanes);
  return {
    source: m.data,
    key: `pack_rows_${p.type}_${p.lanes}${sideKey(p.side)}`,
    emit: (b) => emitRows(b, p.type, p.lanes, p.side ?? 1),
    extent: panels * groups,
    begins: (panel) => m.offset * size + (panel === panels * groups ? m.n : row(panel)) * rowBytes,
    words: (at) => [at, each, panels, p.words, rowBytes, p.zero ?? 0, ...lastWord(p.type, m.k)],
  };
}

/** What is kept of the last four words of a row of k: see emitRows. */
function lastWord(type: RowSource, k: number): readonly number[] {
  if (type !== "bytes") return new Array<number>(4).fill(k & 1 ? 0xffff : -1);
  const [a, b] = [
    [-1, -1],
    [0x00ff00ff, 0],
    [-1, 0],
    [-1, 0x00ff00ff],
  ][k & 3] as [number, number];
  return [a, a, b, b];
}

/** Rows of n that lie one after the other; a unit is one of them. Null where they do not. */
function packColumns(m: Matrix, type: Source, side = 1): Pack | null {
  const stride = m.k === 1 ? m.n : m.kStride;
  if (m.nStride !== 1 || stride < m.n) return null;
  const size = byteSize(m.dtype, 1);
  return {
    source: m.data,
    key: `pack_columns_${type}${sideKey(side)}`,
    emit: (b) => emitColumns(b, type, side),
    extent: m.k,
    begins: (k) => (m.offset + k * stride) * size,
    words: (at) => [at, Math.ceil(m.n / 8), side * panelBytes(m.k), stride * size],
  };
}

export { roundUp };
