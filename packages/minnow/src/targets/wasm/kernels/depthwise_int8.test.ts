import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { depthwiseInt8 } from "./depthwise_int8.js";
import { actual, expected, quantCase, type QuantOptions } from "./harness.js";

const dw = (
  h: number,
  w: number,
  c: number,
  k: number,
  s: number,
  pad: number,
  more: Partial<QuantOptions> = {},
) => ({
  h,
  w,
  c,
  o: c,
  group: c,
  kernel: [k, k] as const,
  stride: [s, s] as const,
  pads: [pad, pad, pad, pad] as const,
  perChannel: true,
  ...more,
});

const cases: Record<string, QuantOptions> = {
  "3x3 same": dw(9, 14, 16, 3, 1, 1),
  "3x3 uint8, one scale": dw(7, 7, 24, 3, 1, 1, { dtype: "uint8", zx: 128, zw: 117, perChannel: false }),
  "3x3 stride 2": dw(11, 13, 8, 3, 2, 1, { zx: -128 }),
  "3x3 stride 2, padded behind": dw(10, 12, 8, 3, 2, 0, { pads: [0, 0, 1, 1] }),
  "odd channels": dw(5, 9, 13, 3, 1, 1),
  "3 channels": dw(5, 9, 3, 3, 1, 1, { zx: 0 }),
  "small maps": dw(2, 3, 8, 3, 1, 1),
  "5x5": dw(9, 10, 8, 5, 1, 2),
  "even kernel": dw(8, 9, 8, 2, 1, 0),
  "batch, pitches": dw(6, 9, 8, 3, 1, 1, { n: 2, xPitch: 20, outPitch: 11 }),
  "zero points by channel": dw(6, 9, 12, 3, 1, 1, { zeroTable: true }),
  "far outside the range": dw(6, 9, 11, 3, 1, 1, { unit: 1e5 }),
  "activation bounds": dw(6, 9, 11, 3, 1, 1, { unit: 0.1, bounds: [-4, 60], perChannel: false }),
  "odd zero point": dw(6, 9, 13, 3, 1, 1, { zeroOut: 5 }),
  "half of it outside the range": dw(6, 9, 11, 3, 1, 1, { unit: 0.03 }),
  dilated: dw(14, 15, 8, 3, 1, 2, { dilation: [2, 2] }),
};

describe("int8 depth-wise convolution is exact against the loop nest", () => {
  for (const [name, o] of Object.entries(cases))
    test(name, () => {
      const c = quantCase(o);
      const want = Array.from(expected(c, true), Number);
      assert.ok(new Set(want).size > (o.unit ? 1 : 10), "the case does not saturate");
      for (const dynamic of [false, true]) {
        const got = actual({ ...c, dynamic }, depthwiseInt8, {
          fma: false,
          f32: { mr: 4, nr: 8 },
          i8: { mr: 4, nr: 8 },
          wide: false,
        });
        assert.ok(got, "planned");
        assert.deepEqual(Array.from(got, Number), want);
      }
    });
});
