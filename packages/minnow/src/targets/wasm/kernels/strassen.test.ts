import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { bytesOf, type TypedArray } from "../../../graph/dtype.js";
import type { Engine } from "../engine.js";
import type { TunedKernel } from "../kernel.js";
import { fusesMultiplyAdd } from "../probe.js";
import { actual, convCase, type ConvOptions, expected, noise, relative } from "./harness.js";
import { planStrassen } from "./strassen.js";
import { chooseHalves, cutRows, type Halves } from "./strassen_cost.js";

const engine = (mr: number, nr: 8 | 16, fma: boolean): Engine => ({
  fma,
  f32: { mr, nr },
  i8: { mr: 4, nr: 8 },
  wide: nr === 16,
});
const tiles = [
  [4, 8],
  [6, 8],
  [6, 16],
] as const;

/** Wherever it can run; `rows` of a half block. */
const always = (rows?: number): TunedKernel => ({
  kernels: ["conv2d"],
  plan: (step, e, program) =>
    planStrassen(step, e, program, (pixels, k): Halves => {
      if (!rows) return cutRows(pixels, k);
      return { rows, blocks: Math.ceil(pixels / 2 / rows) };
    }),
});

const plain: ConvOptions = { h: 6, w: 6, c: 32, o: 64 };
const cases: Record<string, ConvOptions & { rows?: number }> = {
  plain,
  "tiles not filled": { ...plain, h: 7, w: 10, c: 16, o: 32 },
  "two pixels": { ...plain, h: 1, w: 2 },
  "an odd number": { ...plain, h: 5, w: 5 },
  "one pixel": { ...plain, h: 1, w: 1 },
  "a pixel in a block of its own": { ...plain, h: 5, w: 5, rows: 6 },
  "blocks, the last one short": { ...plain, h: 9, w: 10, rows: 12 },
  "images of several blocks": { ...plain, n: 3, h: 8, w: 5, rows: 6, relu6: true },
  "in a concat": { ...plain, xPitch: 40, outPitch: 70, relu6: true },
  "no bias, gate": { ...plain, bias: false, gate: true },
  "float16 weights": { ...plain, c: 48, o: 96, half: true },
};

describe("Strassen's products against the loop nest", () => {
  for (const [name, { rows, ...o }] of Object.entries(cases))
    test(name, () => {
      const c = convCase(o);
      const want = expected(c);
      for (const fma of fusesMultiplyAdd() ? [false, true] : [false]) {
        const all = tiles.map(([mr, nr]) => actual(c, always(rows), engine(mr, nr, fma)));
        for (const got of all) {
          assert.ok(got, "planned");
          assert.ok(relative(got, want) < 3e-6, `off by ${relative(got, want)}`);
          assert.deepEqual(bytesOf(got), bytesOf(all[0] as TypedArray), "every tile gives the same bits");
        }
      }
    });

  test("an image in a batch gives the bits that it gives alone", () => {
    const o: ConvOptions = { ...plain, h: 8, w: 9 };
    const [one, two] = [convCase(o), convCase({ ...o, n: 2 })];
    const image = noise(72 * 32, 9);
    (one.data[0] as Float32Array).set(image);
    (two.data[0] as Float32Array).set(image, 72 * 32);
    const [alone, both] = [one, two].map((c) => actual(c, always(12), engine(6, 8, false)) as Float32Array);
    assert.deepEqual(both?.subarray(72 * 64, 144 * 64), alone?.subarray(0, 72 * 64));
  });

  test("only what gains is cut, and what can be", () => {
    assert.deepEqual(chooseHalves(36, 128, 128), { rows: 18, blocks: 1 });
    assert.deepEqual(chooseHalves(576, 128, 128), { rows: 96, blocks: 3 });
    assert.deepEqual(chooseHalves(125, 64, 64), { rows: 63, blocks: 1 });
    assert.equal(chooseHalves(9, 128, 128), null, "5 rows are 6");
    assert.equal(chooseHalves(14, 128, 128), null, "7 rows are 10");
    assert.equal(chooseHalves(768, 192, 32), null, "sums for few channels");
    assert.equal(chooseHalves(784, 16, 96), null, "few steps");
    assert.equal(chooseHalves(2916, 32, 128), null, "outputs leave the cache");
    assert.deepEqual(chooseHalves(784, 256, 256), { rows: 60, blocks: 7 });
    assert.equal(chooseHalves(144, 256, 256), null, "weights grow for few pixels");
    const c = convCase({ ...plain, c: 128, o: 128 });
    const e = engine(6, 8, false);
    assert.ok(planStrassen(c.step, e, c));
    assert.equal(planStrassen(c.step, { ...e, small: true }, c), null);
    const added = convCase({ ...plain, c: 128, o: 128, residual: "other" });
    assert.equal(planStrassen(added.step, e, added), null);
    assert.equal(planStrassen(c.step, e, { ...c, dynamic: true }), null);
  });
});
