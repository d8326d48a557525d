// Packed weights against a plain reading of the matrix, element by element, for every source type, both
// directions, groups, offsets, odd sizes, and sources larger than a slab.
import { strict as assert } from "node:assert";
import { test } from "node:test";
import { type DType, halfToFloat, newArray } from "../../../graph/dtype.js";
import { fillPacked } from "../pack_harness.js";
import { stagingBytes } from "../packing.js";
import type { Packed } from "../kernel.js";
import { type Matrix, packPanels, packTaps } from "./pack.js";
import { packBytes, packPairs } from "./pairs.js";

function matrix(dtype: DType, m: Omit<Matrix, "data" | "dtype">): Matrix {
  const length = m.offset + (m.n - 1) * m.nStride + (m.k - 1) * m.kStride + 1;
  const data = newArray(dtype, length);
  // Halves: all exponents but the last, subnormals and both zeros among them.
  for (let i = 0; i < length; i++)
    (data as Int32Array)[i] = dtype === "float16" ? (i * 977) & 0xffff & ~0x0400 : ((i * 37) % 251) - 120;
  return { ...m, data, dtype };
}

const at = ({ data, dtype, offset, nStride, kStride }: Matrix, n: number, k: number): number => {
  const stored = data[offset + n * nStride + k * kStride] as number;
  return dtype === "float16" ? halfToFloat(stored) : stored;
};

function packed(p: Packed): ArrayBuffer {
  const [out, staging] = [1024, 1024 + Math.ceil(p.bytes / 64) * 64];
  const needed = staging + stagingBytes(p.pack ? [p.pack] : []) + 64;
  const memory = new WebAssembly.Memory({ initial: Math.ceil(needed / 65536) });
  new Uint8Array(memory.buffer).fill(0xa5);
  fillPacked(p, memory, out, staging);
  const bytes = new Uint8Array(memory.buffer);
  assert.ok(
    bytes.subarray(512, out).every((b) => b === 0xa5),
    "writes before the panels",
  );
  assert.ok(
    bytes.subarray(out + p.bytes, staging).every((b) => b === 0xa5),
    "writes past the panels",
  );
  return memory.buffer.slice(out, out + p.bytes);
}

function checkFloats(m: Matrix, p: Packed, lanes: number, groups: number): void {
  const got = new Float32Array(packed(p));
  const each = m.n / groups;
  const panels = Math.ceil(each / lanes);
  assert.equal(got.length, panels * groups * lanes * m.k);
  for (let n = 0; n < m.n; n++)
    for (let k = 0; k < m.k; k++) {
      const c = n % each;
      const panel = Math.floor(n / each) * panels + Math.floor(c / lanes);
      const [value, want] = [got[(panel * m.k + k) * lanes + (c % lanes)], at(m, n, k)];
      if (!Object.is(value, want)) assert.fail(`(${n}, ${k}) of ${m.n}×${m.k}: ${value}, not ${want}`);
    }
}

const sizes = [
  [1, 1],
  [3, 2],
  [8, 4],
  [9, 27],
  [16, 3],
  [20, 5],
  [24, 64],
  [33, 6],
  [7, 1],
  [40, 2500],
] as const;

for (const type of ["float32", "float16"] as const) {
  test(`${type} panels from rows of k and of n`, () => {
    for (const [n, k] of sizes) {
      const rows = matrix(type, { offset: 3, n, k, nStride: k, kStride: 1 });
      checkFloats(rows, packPanels(rows), 8, 1);
      const columns = matrix(type, { offset: 1, n, k, nStride: 1, kStride: n });
      checkFloats(columns, packPanels(columns), 8, 1);
      const gaps = matrix(type, { offset: 0, n, k, nStride: k + 5, kStride: 1 });
      checkFloats(gaps, packPanels(gaps), 8, 1);
      const odd = matrix(type, { offset: 0, n, k, nStride: 2 * k, kStride: 2 });
      checkFloats(odd, packPanels(odd), 8, 1);
    }
  });
  test(`${type} panels of groups, and taps`, () => {
    for (const [each, k] of sizes) {
      const m = matrix(type, { offset: 2, n: 3 * each, k, nStride: k, kStride: 1 });
      checkFloats(m, packPanels(m, 3), 8, 3);
      checkFloats(m, packTaps(m, 4), 4, 1);
    }
  });
}

test("pairs of 8-bit weights, less their zero points", () => {
  for (const type of ["int8", "uint8"] as const)
    for (const [each, k] of sizes)
      for (const groups of [1, 2]) {
        const m = matrix(type, { offset: 5, n: groups * each, k, nStride: k, kStride: 1 });
        for (const zero of [[0], [7], Array.from({ length: m.n }, (_, n) => n % 5)]) {
          const got = new Int16Array(packed(packPairs(m, zero, groups)));
          const [panels, pairs] = [Math.ceil(each / 8), Math.ceil(k / 2)];
          for (let n = 0; n < m.n; n++)
            for (let i = 0; i < 2 * pairs; i++) {
              const c = n % each;
              const panel = Math.floor(n / each) * panels + (c >> 3);
              const want = i < k ? at(m, n, i) - ((zero.length === 1 ? zero[0] : zero[n]) as number) : 0;
              const value = got[((panel * pairs + (i >> 1)) * 8 + (c & 7)) * 2 + (i & 1)];
              if (value !== want) assert.fail(`${type} (${n}, ${i}) of ${m.n}×${k}: ${value}, not ${want}`);
            }
        }
      }
});

test("8-bit weights as bytes, by quads of k", () => {
  for (const [n, k] of sizes)
    for (const nStride of [k, k + 3]) {
      const m = matrix("int8", { offset: 5, n, k, nStride, kStride: 1 });
      const got = new Int8Array(packed(packBytes(m) as Packed));
      const quads = Math.ceil(k / 4);
      for (let c = 0; c < n; c++)
        for (let i = 0; i < 4 * quads; i++) {
          const quad = (c >> 3) * quads + (i >> 2);
          const value = got[32 * quad + 16 * ((c >> 2) & 1) + 8 * ((i >> 1) & 1) + 2 * (c & 3) + (i & 1)];
          const want = i < k ? at(m, c, i) : 0;
          if (value !== want) assert.fail(`(${c}, ${i}) of ${n}×${k}: ${value}, not ${want}`);
        }
    }
  assert.equal(packBytes(matrix("int8", { offset: 0, n: 4, k: 4, nStride: 1, kStride: 4 })), null);
});
