import assert from "node:assert/strict";
import { test } from "node:test";
import { quadModule } from "./quad_module.js";
import { canOrder, ordersOf } from "./quad_order.js";
import { lastQuads, type OrderedMatrix, sixteensOf } from "./quads.js";

/** Normal numbers of a deviation, clipped to int8. */
function weights(n: number, deviation: number): Int8Array {
  let seed = 7;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32 - 0.5;
  };
  return Int8Array.from({ length: n }, () => {
    let sum = 0;
    for (let i = 0; i < 12; i++) sum += random();
    return Math.max(-128, Math.min(127, Math.round(sum * deviation)));
  });
}

function matrix(n: number, k: number, taps: number, ordered: number, deviation: number): OrderedMatrix {
  const [offset, nStride] = [3, taps > 1 ? k : k + 5];
  const data = weights(offset + n * nStride, deviation);
  const rows = { data, dtype: "int8", offset, n, k, nStride, kStride: 1 } as const;
  return { ...rows, taps, zero: [0], above: 128, signed: true, ordered };
}

/** What orders say of each sixteen: its places, how many, and the weights of a place for all channels of the tile. */
function* sixteens(m: OrderedMatrix, places: Uint8Array) {
  const k = m.k / m.taps;
  const each = sixteensOf(m);
  for (let tile = 0, at = 0; tile < m.n; tile += m.ordered)
    for (let tap = 0; tap < m.taps; tap++)
      for (let s = 0; s < each; s++, at += 16) {
        const size = s < each - 1 ? 16 : 4 * lastQuads(m);
        const channels = Math.min(m.ordered, m.n - tile);
        const weightsOf = (place: number): number[] =>
          Array.from({ length: channels }, (_, c) => {
            const i = 16 * s + (place & 15);
            const w = i < k ? (m.data[m.offset + (tile + c) * m.nStride + tap * k + i] as number) : 0;
            return place > 127 ? -w : w;
          });
        yield { own: Array.from(places.subarray(at, at + 16)), size, channels, weightsOf };
      }
}

const suit = (a: readonly number[], b: readonly number[]): boolean =>
  a.every((w, c) => Math.abs(w + (b[c] as number)) <= 128 && (b[c] as number) < 128);

for (const [n, k, taps, ordered, deviation] of [
  [24, 64, 1, 8, 45],
  [21, 77, 1, 8, 45],
  [40, 141, 1, 16, 40],
  [16, 9 * 14, 9, 8, 45],
  [35, 4 * 37, 4, 16, 40],
  [9, 46, 1, 8, 70],
] as const)
  test(`${n} channels of ${taps}x${k / taps}, ${ordered} at a time: pairs suit all channels of a tile`, () => {
    const m = matrix(n, k, taps, ordered, deviation);
    assert.ok(canOrder(m));
    if (deviation > 60) assert.ok(m.data.includes(-128 as never), "there is a weight that has no opposite");
    const { places, repeated } = ordersOf(m, "key");
    let [entries, quads, pairs, changed] = [0, 0, 0, 0];
    for (const { own, size, channels, weightsOf } of sixteens(m, places)) {
      assert.deepEqual(
        own.map((p) => p & 15).sort((a, b) => a - b),
        Array.from(own.keys()),
      );
      assert.deepEqual(
        own.slice(size),
        Array.from({ length: 16 - size }, (_, i) => size + i),
      );
      const ok = Array.from({ length: size / 2 }, (_, j) =>
        suit(weightsOf(own[2 * j] as number), weightsOf(own[2 * j + 1] as number)),
      );
      const suited = ok.includes(false) ? ok.indexOf(false) : ok.length;
      const left = own.slice(2 * suited, size);
      for (const p of left)
        for (const q of left)
          assert.ok(
            p === q ||
              (p < 16 && !suit(weightsOf(p), weightsOf(q)) && !suit(weightsOf(p), weightsOf(q + 128))),
          );
      entries += Math.ceil(channels / 8) * Math.ceil(left.length / 4);
      quads += (Math.ceil(channels / 8) * size) / 4;
      pairs += size / 2;
      changed += own.filter((p) => p > 127).length;
    }
    assert.equal(repeated, entries);
    assert.ok(changed > pairs / 10, "signs change");
    assert.ok(deviation > 60 || entries < quads / 10, `${entries} of ${quads} quads come again`);
  });

test("two that are left and a pair become two pairs", () => {
  // Weights of two channels: the first two, the hardest, suit, the others do not, but each suits one of those.
  const data = Int8Array.from([127, 126, 90, 80, 0, 0, 90, -80]);
  const m = { ...matrix(2, 4, 1, 8, 1), data, offset: 0, nStride: 4 };
  const { repeated, places } = ordersOf(m, "key");
  assert.equal(repeated, 0);
  assert.deepEqual([...places.subarray(0, 4)], [3, 128, 2, 129]);
});

test("what cannot be ordered, or does not pay, is told", () => {
  const m = matrix(32, 64, 1, 8, 45);
  assert.equal(canOrder({ ...m, zero: [1] }), false);
  assert.equal(canOrder({ ...m, kStride: 2 }), false);
  const data = (m.data as Int8Array).map((w) => (w < 0 ? -100 : 100));
  assert.equal(ordersOf({ ...m, data }, "key").repeated, Number.POSITIVE_INFINITY);
});

test("a page's main thread may compile the code at once", () => {
  for (const name of ["search", "int8", "uint8"] as const) assert.ok(quadModule(name).length <= 4096, name);
});
