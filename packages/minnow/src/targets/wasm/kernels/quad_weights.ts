// Weights as 8-bit tiles want them (quads.ts), and whether they do, found by generated code.
import { oncePer } from "../../../graph/once.js";
import { isReleased } from "../../../graph/released.js";
import { rangeOfDType } from "../elements.js";
import type { Pack, Packed } from "../kernel.js";
import { runPack, stagingBytes } from "../packing.js";
import { quadEntry } from "./quad_code.js";
import { quadCode } from "./quad_module.js";
import { ordersOf } from "./quad_order.js";
import { emitPackQuads, listEnd, quadWords } from "./quad_pack.js";
import {
  isOrdered,
  lastQuads,
  listsAt,
  orderBytes,
  ordersAt,
  type QuadMatrix,
  quadPanelBytes,
  quadsKey,
  quadsOf,
  rowBytes,
} from "./quads.js";
import { mostJoined, mostRepeated } from "./tiles_int8.js";

/** Whether code can pack them: rows of k, and zero points that bytes can be. */
const isPackable = (m: QuadMatrix): boolean => {
  const [least, most] = rangeOfDType(m.dtype);
  return (m.k === 1 || m.kStride === 1) && rowBytes(m) >= m.k && m.zero.every((z) => z >= least && z <= most);
};

/** Whether lists are short enough for 8-bit products to be the faster ones. */
export const quadsPay = (m: QuadMatrix): boolean =>
  isPackable(m) && repeatedQuads(m) <= mostOf(m) * Math.ceil(m.n / 8) * quadsOf(m);

const mostOf = (m: QuadMatrix): number => (m.joined ? mostJoined : mostRepeated);

const codeOf = (m: QuadMatrix): "int8" | "uint8" | "int8_whole" | "uint8_whole" =>
  `${m.dtype as "int8" | "uint8"}${m.least === undefined ? "" : "_whole"}`;

const countOnce = oncePer<number>();

/** Entries of all lists; +∞ where the first panels have far too many. */
function repeatedQuads(m: QuadMatrix): number {
  const key = quadsKey(m);
  return isOrdered(m) ? ordersOf(m, key).repeated : countOnce(m.data, key, () => countEntries(m));
}

/** Packs panel after panel to the same place. */
function countEntries(m: QuadMatrix): number {
  const quads = quadsOf(m);
  const staging = listsAt({ ...m, n: 8 }) + mostEntries * quads * quadEntry + 16;
  let total = 0;
  for (let n = 0; n < m.n; n += 8) {
    const zero = m.zero.length === 1 ? m.zero : m.zero.slice(n, n + 8);
    const panel = { ...m, offset: m.offset + n * m.nStride, n: Math.min(8, m.n - n), zero };
    const pack = packing(panel);
    const { code, memory } = quadCode(codeOf(m), staging + stagingBytes([pack]));
    runPack(pack, code, memory, 0, staging);
    total += (listEnd(memory, staging) - listsAt(panel) - 16) / quadEntry;
    // One panel tells, or four do.
    const times = n === 0 ? 3 : n === 24 ? 2 : Number.POSITIVE_INFINITY;
    if (m.n >= 32 && total > times * mostOf(m) * quads * (n / 8 + 1)) return Number.POSITIVE_INFINITY;
  }
  return total;
}

/** Of one quad: ±255 is 127 and 128, or more beside another weight, or where the quad before leaves no room. */
const mostEntries = 4;

export function packQuads(m: QuadMatrix): Packed {
  const lists = 16 * Math.ceil(m.n / 8) + quadEntry * (isReleased(m.data) ? 0 : repeatedQuads(m));
  return { key: quadsKey(m), bytes: listsAt(m) + lists, pack: packing(m) };
}

function packing(m: QuadMatrix): Pack {
  const panels = Math.ceil(m.n / 8);
  const [panelBytes, row] = [quadPanelBytes(m), rowBytes(m)];
  // In the second half of where orders go: code that makes those from the first on stays behind what it reads.
  const places = (ordersAt(m) + listsAt(m)) / 2;
  const type = m.dtype as "int8" | "uint8";
  const form = isOrdered(m) ? "ordered" : m.least === undefined ? "pairs" : "whole";
  return {
    source: m.data,
    key: `pack_quads_${type}_${form}`,
    emit: (b) => emitPackQuads(b, type, form),
    extent: panels,
    begins: (panel) => m.offset + Math.min(m.n, 8 * panel) * row,
    words: (at) =>
      quadWords({
        out: at,
        panelBytes,
        list: at + listsAt(m),
        channels: m.n,
        rowBytes: row,
        k: m.k / m.taps,
        taps: m.taps,
        lastQuads: lastQuads(m),
        above: m.above,
        orders: at + ordersAt(m),
        orderBytes: orderBytes(m),
        shared: (m.ordered ?? 8) / 8,
        places: at + places,
        flip: m.signed ? 128 : 0,
        bound: m.least ?? (m.joined ? 4 : 0),
      }),
    prepare(memory, at) {
      const words = new Int32Array(memory, at, ordersAt(m) / 4);
      for (let n = 0; n < 8 * panels; n++) {
        const zero = m.zero[m.zero.length === 1 ? 0 : Math.min(n, m.n - 1)] as number;
        words[(n >> 3) * (panelBytes / 4) + (n & 7)] = zero;
      }
      if (isOrdered(m)) new Uint8Array(memory, at + places).set(ordersOf(m, quadsKey(m)).places);
    },
  };
}
