import assert from "node:assert/strict";
import { test } from "node:test";
import { canOrder, type OrderedMatrix, ordersOf, placesOf, sixteensOf, unsuitedQuads } from "./quad_order.js";

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
  const data = weights(n * k, deviation);
  const rows = { data, dtype: "int8", offset: 0, n, k, nStride: k, kStride: 1 } as const;
  return { ...rows, taps, zero: [0], above: 128, signed: true, ordered };
}

for (const [n, k, taps, ordered, deviation] of [
  [24, 64, 1, 8, 45],
  [21, 77, 1, 8, 45],
  [40, 141, 1, 16, 40],
  [16, 9 * 14, 9, 8, 45],
] as const)
  test(`${n} channels of ${taps}x${k / taps}: pairs suit all channels of a tile`, () => {
    const m = matrix(n, k, taps, ordered, deviation);
    const data = m.data as Int8Array;
    assert.ok(canOrder(m));
    const { places, unsuited, repeated } = ordersOf(m, "key");
    const sixteens = sixteensOf(m);
    let [entries, quads, suiting, changed] = [0, 0, 0, 0];
    unsuited.forEach((left, at) => {
      const tile = Math.floor(at / (taps * sixteens));
      const [tap, sixteen] = [Math.floor(at / sixteens) % taps, at % sixteens];
      const own = Array.from(places.subarray(16 * at, 16 * at + 16));
      assert.deepEqual(
        own.map((p) => p & 15).sort((a, b) => a - b),
        Array.from(own.keys()),
      );
      const size = placesOf(m, sixteen);
      const channels = Array.from(
        { length: Math.min(ordered, n - tile * ordered) },
        (_, c) => tile * ordered + c,
      );
      const weight = (c: number, place: number): number => {
        const i = 16 * sixteen + (place & 15);
        const w = i < k / taps ? (data[c * k + (tap * k) / taps + i] as number) : 0;
        return place > 127 ? -w : w;
      };
      for (let j = 0; j < size; j += 2) {
        const ok = channels.every((c) => {
          const [a, b] = [weight(c, own[j] as number), weight(c, own[j + 1] as number)];
          return Math.abs(a + b) <= 128 && b < 128;
        });
        if (j < size - 2 * left) assert.ok(ok, `places ${j} and ${j + 1} of ${at}`);
        suiting += Number(ok);
        changed += Number((own[j + 1] as number) > 127);
      }
      const panels = Math.ceil(channels.length / 8);
      entries += panels * unsuitedQuads(size, left);
      quads += (panels * size) / 4;
    });
    assert.equal(repeated, entries);
    assert.ok(changed > suiting / 10, "signs change");
    assert.ok(entries < quads / 10, `${entries} of ${quads} quads come again`);
  });

test("what cannot be ordered, or does not pay, is told", () => {
  const m = matrix(32, 64, 1, 8, 45);
  assert.equal(canOrder({ ...m, zero: [1] }), false);
  assert.equal(canOrder({ ...m, kStride: 2 }), false);
  const data = (m.data as Int8Array).map((w) => (w < 0 ? -100 : 100));
  assert.equal(ordersOf({ ...m, data }, "key").repeated, Number.POSITIVE_INFINITY);
});
