// Deferred constants hold what eager ones would: whoever reads them, in whatever order.
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  borrow,
  copyInto,
  dataFromBytes,
  dataOf,
  Deferred,
  derive,
  materialize,
  sameData,
  sampleOf,
  setData,
} from "./deferred.js";
import { constant } from "./graph.js";
import { permuteData } from "./permute.js";

const floats = Float32Array.from({ length: 3000 }, (_, i) => Math.sin(i));

/** The floats' bytes one byte off every alignment. */
function unaligned(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.byteLength + 1);
  bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 1);
  return bytes.subarray(1);
}

test("unaligned bytes are copied when they are read, once", () => {
  const d = dataFromBytes("float32", unaligned(floats));
  assert.ok(d instanceof Deferred);
  const t = constant("w", "float32", [3000], d);
  assert.equal(dataOf(t), d);
  const first = t.data;
  assert.deepEqual(first, floats);
  assert.equal(t.data, first);
  assert.equal(dataOf(t), first);
});

test("aligned bytes stay a view, few bytes are copied at once", () => {
  const bytes = new Uint8Array(floats.buffer);
  assert.equal((dataFromBytes("float32", bytes) as Float32Array).buffer, floats.buffer);
  assert.deepEqual(dataFromBytes("float32", unaligned(floats.slice(0, 5))), floats.slice(0, 5));
});

test("a chain of recipes gives what eager steps give", () => {
  const doubled = (source: Parameters<typeof derive>[2]) =>
    derive("float32", source.length, source, "double", (out) => {
      copyInto(source, out);
      for (let i = 0; i < out.length; i++) out[i] = 2 * (out[i] as number);
    });
  const chain = doubled(
    permuteData(doubled(dataFromBytes("float32", unaligned(floats))), "float32", [60, 50], [1, 0]),
  );
  assert.ok(chain instanceof Deferred);
  const want = Float32Array.from(
    { length: 3000 },
    (_, i) => 4 * (floats[(i % 60) * 50 + Math.floor(i / 60)] as number),
  );
  assert.deepEqual(materialize(chain), want);
  borrow(chain, (a) =>
    borrow(doubled(chain), (b) => assert.deepEqual([a[7], b[7]], [want[7], 2 * (want[7] as number)])),
  );
  const out = new Float32Array(3000);
  copyInto(chain, out);
  assert.deepEqual(out, want);
});

test("equal contents are found however they are held", () => {
  const other = floats.slice();
  other[1234] = 5;
  const [a, b, c] = [unaligned(floats), unaligned(floats), unaligned(other)].map((x) =>
    dataFromBytes("float32", x),
  );
  assert.ok(a && b && c);
  assert.equal(sampleOf(a), sampleOf(floats));
  assert.ok(sameData(a, b) && sameData(a, floats) && !sameData(a, c));
  const turn = (d: typeof a) => permuteData(d, "float32", [60, 50], [1, 0]);
  assert.equal(sampleOf(turn(a)), sampleOf(turn(b)));
  assert.ok(sameData(turn(a), turn(b)) && !sameData(turn(a), turn(c)) && !sameData(turn(a), a));
});

test("new data replaces a recipe", () => {
  const t = constant("w", "float32", [3000], dataFromBytes("float32", unaligned(floats)));
  const mine = new Float32Array(3000);
  t.data = mine;
  assert.equal(dataOf(t), mine);
  setData(t, dataFromBytes("float32", unaligned(floats)));
  assert.deepEqual(t.data, floats);
});
