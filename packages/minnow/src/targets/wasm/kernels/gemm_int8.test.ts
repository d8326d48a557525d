import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { actual, expected, quantCase, type QuantOptions } from "./harness.js";
import { convInt8 } from "./gemm_int8.js";
import { baseline, type Engine } from "../engine.js";
import { probeEngine } from "../probe.js";
import type { TypedArray } from "../../../graph/dtype.js";
import { released } from "../../../graph/released.js";
import { emulating } from "./dots_emulated.test.helper.js";

const cases: Record<string, QuantOptions> = {
  "1x1": { h: 5, w: 7, c: 16, o: 24 },
  "1x1 uint8, odd everything": { h: 3, w: 5, c: 13, o: 21, dtype: "uint8", zx: 128, zw: 131 },
  "1x1, tiny k": { h: 3, w: 4, c: 1, o: 3, perChannel: true },
  "1x1, zero points by channel": { h: 4, w: 4, c: 10, o: 17, zeroTable: true, perChannel: true },
  "1x1 in a concat": { h: 6, w: 5, c: 8, o: 12, xPitch: 20, outPitch: 31 },
  "3x3 same, per channel": { h: 7, w: 6, c: 8, o: 16, kernel: [3, 3], pads: [1, 1, 1, 1], perChannel: true },
  "3x3 first, stride 2": {
    n: 2,
    h: 11,
    w: 14,
    c: 3,
    o: 9,
    kernel: [3, 3],
    stride: [2, 2],
    pads: [0, 0, 1, 1],
    dtype: "uint8",
    zx: 100,
    zw: 90,
  },
  "3x3 from a concat": { h: 5, w: 6, c: 5, o: 7, kernel: [3, 3], pads: [1, 1, 1, 1], xPitch: 9 },
  "3x3 dilated": { h: 9, w: 9, c: 20, o: 8, kernel: [3, 3], dilation: [2, 3], pads: [2, 3, 2, 3] },
  "one row": { h: 1, w: 1, c: 40, o: 37, perChannel: true },
  "one row, whole groups": { h: 1, w: 1, c: 64, o: 96, zx: -128 },
  "one row, unsigned by signed, odd everything": {
    h: 1,
    w: 1,
    c: 131,
    o: 75,
    dtype: "uint8",
    weightType: "int8",
    zx: 255,
  },
  "one row, weights of some pages": { h: 1, w: 1, c: 518, o: 270 },
  "one row, many weights of few pages": { h: 1, w: 1, c: 201, o: 700, perChannel: true },
  "one row of little": { h: 1, w: 1, c: 3, o: 20 },
  "one row, trained": { h: 1, w: 1, c: 50, o: 37, perChannel: true, weights: "trained" },
  "one row, zero points of weights": { h: 1, w: 1, c: 50, o: 37, dtype: "uint8", zw: 131 },
  "two rows, trained": { h: 2, w: 1, c: 50, o: 37, perChannel: true, weights: "trained" },
  "1x1, deep": { h: 2, w: 3, c: 131, o: 20, perChannel: true },
  "weights as bytes, odd everything": { h: 5, w: 7, c: 13, o: 21, perChannel: true },
  "weights as bytes, 3x3": { h: 6, w: 6, c: 9, o: 40, kernel: [3, 3], pads: [1, 1, 1, 1], perChannel: true },
  "weights as bytes, unsigned by signed": {
    h: 9,
    w: 6,
    c: 36,
    o: 16,
    dtype: "uint8",
    weightType: "int8",
    zx: 99,
  },
  "1x1, trained, unsigned by signed": {
    h: 5,
    w: 7,
    c: 48,
    o: 24,
    dtype: "uint8",
    weightType: "int8",
    zx: 7,
    weights: "trained",
  },
  "many rows, unsigned weights without zero point": { h: 5, w: 7, c: 13, o: 21, dtype: "uint8", zx: 128 },
  "1x1, trained": { h: 5, w: 7, c: 48, o: 24, weights: "trained", perChannel: true },
  "1x1, trained, uint8": { h: 4, w: 5, c: 61, o: 13, weights: "trained", dtype: "uint8", zx: 255, zw: 128 },
  "1x1, trained, uint8, weights of 9 bits": {
    h: 3,
    w: 5,
    c: 64,
    o: 16,
    weights: "trained",
    dtype: "uint8",
    zw: 120,
    zx: 140,
  },
  "1x1, trained, zero points by channel": {
    h: 4,
    w: 4,
    c: 30,
    o: 17,
    weights: "trained",
    zeroTable: true,
    zx: 127,
  },
  "3x3, trained": {
    n: 2,
    h: 7,
    w: 6,
    c: 8,
    o: 16,
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    weights: "trained",
    zx: -128,
  },
  "3x3 stride 2, trained, uint8": {
    h: 9,
    w: 8,
    c: 3,
    o: 12,
    kernel: [3, 3],
    stride: [2, 2],
    pads: [0, 0, 1, 1],
    weights: "trained",
    dtype: "uint8",
    zx: 7,
    zw: 128,
  },
  "3x3 from a concat, trained": {
    h: 5,
    w: 6,
    c: 6,
    o: 20,
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    xPitch: 9,
    outPitch: 23,
    weights: "trained",
  },
  "3x3 dilated, trained": {
    h: 9,
    w: 9,
    c: 20,
    o: 5,
    kernel: [3, 3],
    dilation: [2, 3],
    pads: [2, 3, 2, 3],
    weights: "trained",
  },
  "1x1, small": { h: 5, w: 7, c: 48, o: 24, weights: "small", perChannel: true },
  "1x1, small, uint8": { h: 4, w: 5, c: 61, o: 13, weights: "small", dtype: "uint8", zx: 255, zw: 128 },
  "1x1, small, unsigned by signed": {
    h: 9,
    w: 7,
    c: 150,
    o: 33,
    dtype: "uint8",
    weightType: "int8",
    zx: 7,
    weights: "small",
  },
  "two rows, small": { h: 2, w: 1, c: 70, o: 37, weights: "small" },
  "3x3, small": {
    n: 2,
    h: 7,
    w: 6,
    c: 18,
    o: 16,
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    weights: "small",
    zx: -128,
  },
  "3x3 stride 2, small, uint8": {
    h: 9,
    w: 8,
    c: 3,
    o: 12,
    kernel: [3, 3],
    stride: [2, 2],
    pads: [0, 0, 1, 1],
    weights: "small",
    dtype: "uint8",
    zx: 7,
    zw: 128,
  },
  "1x1, scaled": { h: 5, w: 7, c: 48, o: 24, weights: "scaled", perChannel: true },
  "1x1, scaled, many tiles": {
    h: 23,
    w: 21,
    c: 61,
    o: 19,
    weights: "scaled",
    perChannel: true,
    xPitch: 70,
  },
  "1x1, scaled, deep": { h: 3, w: 7, c: 141, o: 40, weights: "scaled", zx: -128 },
  "1x1, scaled, unsigned by signed": {
    h: 5,
    w: 7,
    c: 150,
    o: 33,
    dtype: "uint8",
    weightType: "int8",
    zx: 7,
    weights: "scaled",
  },
  "two rows, scaled": { h: 2, w: 1, c: 70, o: 37, weights: "scaled" },
  "3x3, scaled": { n: 2, h: 7, w: 6, c: 16, o: 16, kernel: [3, 3], pads: [1, 1, 1, 1], weights: "scaled" },
  "3x3, scaled, part of a concat": {
    h: 7,
    w: 9,
    c: 14,
    o: 24,
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    xPitch: 19,
    weights: "scaled",
  },
  "far outside the range": { h: 5, w: 7, c: 16, o: 22, perChannel: true, unit: 1e5 },
  "as far as it goes": { h: 5, w: 7, c: 16, o: 21, unit: 3e30, dtype: "uint8", zx: 128, zw: 128 },
  "small steps, activation bounds": { h: 9, w: 7, c: 32, o: 23, unit: 0.01, bounds: [-4, 60] },
  "odd zero point": { h: 5, w: 7, c: 16, o: 22, perChannel: true, zeroOut: -3 },
  "half of it outside the range": { h: 5, w: 7, c: 16, o: 22, unit: 0.02 },
  halves: { h: 17, w: 14, c: 1, o: 23, unit: 1 / 64, zeroOut: -128 },
  "halves, odd zero point": { h: 17, w: 14, c: 1, o: 23, unit: 1 / 64, dtype: "uint8", zeroOut: 3 },
  grouped: { h: 6, w: 5, c: 16, o: 24, kernel: [3, 3], pads: [1, 1, 1, 1], group: 2, perChannel: true },
};

const dots = probeEngine().dot === "relaxed" ? (["i16", "relaxed"] as const) : (["i16"] as const);

describe("int8 convolution is exact against the loop nest", () => {
  for (const [name, o] of Object.entries(cases))
    test(name, () => {
      const c = quantCase(o);
      const want = Array.from(expected(c, true), Number);
      assert.ok(new Set(want).size > (o.unit ? 1 : 10), "the case does not saturate");
      for (const mr of [4, 5])
        for (const nr of [8, 16] as const)
          for (const dot of dots) {
            const engine: Engine = {
              ...baseline,
              fma: dot === "relaxed",
              i8: { mr, nr },
              dot,
              wide: nr === 16,
            };
            const label = convInt8.plan(c.step, engine, c)?.label ?? "";
            if (dot === "i16") assert.match(label, /^i16_/);
            else if (o.weights === "small")
              assert.match(label, o.h === 2 ? /^s8_.*\d$/ : /^[su]8_.*_joined$/);
            else if (o.weights === "trained") assert.match(label, /^[su]8_.*\d$/);
            else if (o.weights === "scaled" && nr === 8) assert.match(label, /^[su]8_.*_ordered$/);
            const got = actual(c, convInt8, engine);
            assert.ok(got, "planned");
            assert.deepEqual(Array.from(got, Number), want);
          }
    });
});

describe("products of engines that sum four in 32 bits are exact", () => {
  for (const [name, o] of Object.entries(cases))
    test(name, () => {
      const c = quantCase(o);
      const want = Array.from(expected(c, true), Number);
      for (const dot of ["sdot", "usdot"] as const)
        for (const nr of [8, 16] as const) {
          const engine: Engine = { ...baseline, i8: { mr: 4, nr }, dot };
          const label = convInt8.plan(c.step, engine, c)?.label ?? "";
          // Bytes of all sizes less a zero point may leave too much to lists.
          const middle = o.dtype === "uint8" && o.weightType !== "int8" ? 128 : 0;
          const beyond = !o.weights && (o.zeroTable || (o.zw ?? 0) !== middle);
          if (!beyond) assert.match(label, o.group ? /^i16_/ : new RegExp(`^[su]8_.*_${dot}$`));
          const got = emulating(dot, () => actual(c, convInt8, engine));
          assert.deepEqual(got && Array.from(got, Number), want);
        }
    });
});

test("results are narrowed by the low half of their bits where that is exact", () => {
  const isLow = (more: Partial<QuantOptions>, wide = false): boolean => {
    const c = quantCase({ h: 5, w: 7, c: 16, o: 22, ...more });
    return !!convInt8.plan(c.step, { ...baseline, wide }, c)?.key.endsWith("|low");
  };
  assert.ok(isLow({}) && isLow({ unit: 0.02 }) && isLow({ dtype: "uint8" }));
  assert.ok(!isLow({ unit: 0.2 }), "beyond 16 bits");
  assert.ok(!isLow({ zeroOut: 3 }), "zero points that change where halves go");
  assert.ok(!isLow({ bounds: [-4, 127] }), "bounds within the type's");
  assert.ok(!isLow({}, true), "pairs of vectors");
});

test("one row is planned as one, and streams bytes where 8-bit products do not suit them", () => {
  const label = (more: Partial<QuantOptions>, dot: Engine["dot"], dynamic: boolean): string => {
    const c = { ...quantCase({ h: 1, w: 1, c: 70, o: 40, ...more }), dynamic };
    return convInt8.plan(c.step, { ...baseline, fma: true, dot }, c)?.label ?? "";
  };
  for (const dynamic of [false, true]) {
    assert.equal(label({}, "i16", dynamic), "i16_gemv");
    assert.equal(label({}, "relaxed", dynamic), "i16_gemv");
    assert.equal(label({ weights: "trained" }, "relaxed", dynamic), "s8_gemm_1x16");
    assert.equal(label({}, "usdot", dynamic), "s8_gemm_1x16_usdot");
    assert.equal(label({ dtype: "uint8", zw: 3 }, "i16", dynamic), "i16_gemm_1x16");
  }
  assert.equal(label({ h: 2 }, "i16", true), "i16_gemm_4x8");
});

test("what one row has packed serves many when weights have been given back, and the other way round", () => {
  const size = 140;
  const weights = quantCase({ h: 1, w: 1, c: size, o: size }).data[1] as TypedArray;
  const plan = (h: number, there?: string) => {
    const c = quantCase({ h, w: 1, c: size, o: size });
    const data = there ? released(weights) : weights;
    const buffers = c.buffers.map((b, i) => (i === 1 ? { ...b, data } : b));
    const planned = convInt8.plan(c.step, baseline, { buffers, has: (key) => key === there });
    return { label: planned?.label, key: planned?.packed[0]?.key ?? "" };
  };
  const [bytes, pairs] = [plan(1).key, plan(2).key];
  assert.match(bytes, /^bytes/);
  assert.match(pairs, /^pairs/);
  assert.deepEqual(plan(30, bytes), { label: "i16_gemm_4x8", key: bytes });
  assert.deepEqual(plan(1, bytes), { label: "i16_gemv", key: bytes });
  assert.deepEqual(plan(1, pairs), { label: "i16_gemm_1x16", key: pairs });
});
