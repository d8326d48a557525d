// Packed weights multiplied as the kernels do, with sums of pairs that saturate, against plain sums.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { fillPacked } from "../pack_harness.js";
import { stagingBytes } from "../packing.js";
import { quadEntry, quadHeader } from "./quad_code.js";
import { orderVectors } from "./quad_rows.js";
import { packQuads, quadsPay } from "./quad_weights.js";
import {
  lastQuads,
  listsAt,
  ordersAt,
  type QuadMatrix,
  quadPanelBytes,
  quadsOf,
  sixteensOf,
} from "./quads.js";

let seed = 3;
const random = (n: number): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 2 ** 32) * n);
};

/** Sums of numbers up to `spread`, with some of the type's ends. */
function matrix(
  type: "int8" | "uint8",
  spread: number,
  m: Omit<QuadMatrix, "data" | "dtype" | "offset">,
): QuadMatrix {
  const middle = type === "int8" ? 0 : 128;
  const number = (): number => {
    if (random(40) === 0) return random(2) ? -128 : 127;
    return random(spread) + random(spread) - spread;
  };
  const data = Int8Array.from({ length: 5 + m.n * m.nStride }, () => middle + number());
  return { ...m, data: type === "int8" ? data : new Uint8Array(data.buffer), dtype: type, offset: 5 };
}

class Packing {
  readonly #bytes: Int8Array;
  readonly #words: Int32Array;

  constructor(private readonly m: QuadMatrix) {
    const p = packQuads(m);
    const staging = Math.ceil(p.bytes / 64) * 64 + 64;
    const bytes = staging + stagingBytes(p.pack ? [p.pack] : []);
    const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) });
    this.#bytes = new Int8Array(memory.buffer).fill(0xa5, 0, staging);
    fillPacked(p, memory, 0, staging);
    assert.ok(
      this.#bytes.subarray(p.bytes, staging).every((b) => (b & 255) === 0xa5),
      "no more than it says",
    );
    this.#words = new Int32Array(memory.buffer, 0, p.bytes / 4);
  }

  /** Σ of a channel for a row of taps × k unsigned bytes of x. */
  sum(n: number, x: Uint8Array): number {
    const { m } = this;
    const [panel, lane] = [(n >> 3) * quadPanelBytes(m), n & 7];
    const ordered = this.#ordered(n, x);
    const pairs = (at: number, place: number): [number, number] =>
      [0, 2].map((i) => {
        const w = this.#bytes.subarray(at + 4 * lane + i, at + 4 * lane + i + 2);
        const y = ordered.subarray(place + i, place + i + 2);
        const pair = (w[0] as number) * (y[0] as number) + (w[1] as number) * (y[1] as number);
        return Math.max(-32768, Math.min(32767, pair));
      }) as [number, number];
    const quad = (at: number, place: number): number => {
      const [a, b] = pairs(at, place);
      return a + b;
    };
    /** Two quads, summed in 16 bits. */
    const joined = (at: number, place: number): number => {
      const [a, b] = [pairs(at, place), pairs(at + 32, place + 4)];
      return (((a[0] + b[0]) << 16) >> 16) + (((a[1] + b[1]) << 16) >> 16);
    };
    let sum = this.#words[panel / 4 + lane] as number;
    const each = quadsOf(m) / m.taps;
    for (let q = 0; q < quadsOf(m); ) {
      const both = m.joined && (q % each) + 1 < each;
      sum += (both ? joined : quad)(panel + quadHeader + 32 * q, 4 * q);
      q += both ? 2 : 1;
    }
    let list = panel + (this.#words[panel / 4 + 8] as number);
    for (; this.#words[list / 4]; list += quadEntry) {
      const [number, place] = this.#words.subarray(list / 4, list / 4 + 2) as unknown as [number, number];
      const from = m.ordered ? 16 * (number - 1) : (m.taps - number) * ((4 * quadsOf(m)) / m.taps);
      sum += quad(list + 16, from + place);
    }
    return sum;
  }

  /** x as its quads are multiplied: in the order of a channel's tile, or each tap filled up to whole quads. */
  #ordered(n: number, x: Uint8Array): Uint8Array {
    const { m } = this;
    const k = m.k / m.taps;
    const out = new Uint8Array(4 * quadsOf(m));
    const sixteens = sixteensOf(m);
    for (let tap = 0, to = 0; tap < m.taps; tap++)
      for (let s = 0; s < sixteens; s++) {
        const size = s < sixteens - 1 ? 16 : 4 * lastQuads(m);
        const tile = Math.floor(n / (m.ordered ?? 8));
        const order = ordersAt(m) + orderVectors * ((tile * m.taps + tap) * sixteens + s);
        for (let j = 0; j < size; j++, to++) {
          const i = m.ordered ? (this.#bytes[order + j] as number) : j;
          // What lies behind a tap is multiplied by 0.
          const byte = 16 * s + i < k ? (x[tap * k + 16 * s + i] as number) : 77;
          // Orders make int8 unsigned too.
          const flip = m.ordered ? (this.#bytes[order + 16 + j] as number) ^ (m.signed ? 128 : 0) : 0;
          out[to] = byte ^ flip;
        }
      }
    return out;
  }

  get listed(): number {
    return (this.#words.length * 4 - listsAt(this.m) - 16 * Math.ceil(this.m.n / 8)) / quadEntry;
  }
}

function check(m: QuadMatrix): Packing {
  const packing = new Packing(m);
  for (const x of [255, 0, 256].map((top) =>
    Uint8Array.from({ length: m.k }, () => (top > 255 ? random(top) : top)),
  ))
    for (let n = 0; n < m.n; n++) {
      const zero = m.zero[m.zero.length === 1 ? 0 : n] as number;
      let want = 0;
      for (let i = 0; i < m.k; i++)
        want += ((m.data[m.offset + n * m.nStride + i] as number) - zero) * ((x[i] as number) - m.above);
      assert.equal(packing.sum(n, x), want, `channel ${n}`);
    }
  return packing;
}

for (const [n, k, taps, stride] of [
  [1, 1, 1, 1],
  [3, 7, 1, 9],
  [16, 32, 1, 32],
  [21, 45, 1, 50],
  [19, 9 * 13, 9, 9 * 13],
  [8, 4 * 34, 4, 4 * 34],
  [11, 3000, 1, 3000],
  [30, 10000, 1, 10000],
] as const) {
  const shape = { n, k, taps, nStride: stride, kStride: 1 };
  test(`${n} channels of ${taps}x${k / taps} as they lie`, () => {
    check(matrix("int8", 60, { ...shape, zero: [0], above: 131, signed: true }));
    check(matrix("uint8", 100, { ...shape, zero: [131], above: 7, signed: false }));
    const zero = Array.from({ length: n }, (_, c) => (c * 37) & 255);
    const listed = check(matrix("uint8", 50, { ...shape, zero, above: 128, signed: true })).listed;
    if (n > 1) assert.ok(listed > (n * k) / 40, `${listed} entries`);
  });
  test(`${n} channels of ${taps}x${k / taps}, joined`, () => {
    const m = matrix("int8", 40, { ...shape, zero: [0], above: 131, signed: true });
    const [joined, single] = [check({ ...m, joined: true }).listed, check(m).listed];
    if (n > 3) assert.ok(joined > single, `${joined} entries, ${single}`);
    check({ ...matrix("uint8", 100, { ...shape, zero: [131], above: 7, signed: false }), joined: true });
    check({ ...matrix("uint8", 250, { ...shape, zero: [0], above: 0, signed: false }), joined: true });
  });
  if (n > 1)
    test(`${n} channels of ${taps}x${k / taps} in order`, () => {
      for (const ordered of [8, 16])
        for (const signed of [false, true])
          check(matrix("int8", 90, { ...shape, zero: [0], above: signed ? 3 : 250, signed, ordered }));
    });
}

test("what code cannot pack, or is not worth it, does not pay", () => {
  const shape = { n: 40, k: 64, taps: 1, nStride: 64, kStride: 1, above: 0, signed: false };
  const wide = matrix("int8", 90, { ...shape, zero: [0] });
  assert.equal(quadsPay(wide), false);
  const m = { ...wide, data: (wide.data as Int8Array).map((w) => w >> 1) };
  assert.equal(quadsPay(m), true);
  assert.equal(quadsPay({ ...m, kStride: 40, nStride: 1 }), false);
  assert.equal(quadsPay({ ...m, zero: [200] }), false);
  assert.equal(quadsPay({ ...m, zero: [-100] }), false);
  const equal = (w: number, joined: boolean): boolean =>
    quadsPay({ ...m, data: new Int8Array(m.data.length).fill(w), joined });
  assert.ok(equal(50, false) && !equal(50, true) && equal(32, true), "two quads");
});
