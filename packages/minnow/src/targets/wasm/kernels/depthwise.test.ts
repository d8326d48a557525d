import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fusesMultiplyAdd } from "../probe.js";
import { depthwise } from "./depthwise.js";
import { actual, convCase, type ConvOptions, expected, worst } from "./harness.js";

const dw = (
  h: number,
  w: number,
  c: number,
  k: number,
  s: number,
  pad: number,
  more: Partial<ConvOptions> = {},
) => ({
  h,
  w,
  c,
  o: c,
  group: c,
  kernel: [k, k] as const,
  stride: [s, s] as const,
  pads: [pad, pad, pad, pad] as const,
  ...more,
});

const cases: Record<string, ConvOptions> = {
  "3x3 same": dw(9, 14, 16, 3, 1, 1, { relu6: true }),
  "3x3, 7 columns": dw(7, 7, 24, 3, 1, 1),
  "3x3 stride 2, padded behind": dw(10, 12, 8, 3, 2, 0, { pads: [0, 0, 1, 1] }),
  "3x3 stride 2, padded before": dw(11, 13, 12, 3, 2, 1),
  "3x3 valid": dw(6, 11, 4, 3, 1, 0),
  "3x3, odd channels": dw(5, 9, 13, 3, 1, 1),
  "3 channels": dw(5, 9, 3, 3, 1, 1),
  "small maps": dw(2, 3, 8, 3, 1, 1),
  "one pixel": dw(1, 1, 20, 3, 1, 1),
  "two and one columns": dw(4, 2, 8, 3, 2, 1, { n: 2 }),
  "5x5": dw(9, 10, 8, 5, 1, 2),
  "5x5 stride 2": dw(12, 15, 12, 5, 2, 2),
  "7x7": dw(10, 12, 4, 7, 1, 3),
  "9x9, wider than a tile's padding": dw(12, 13, 4, 9, 1, 4),
  "13x13": dw(14, 15, 5, 13, 1, 6),
  "1x33": dw(1, 50, 12, 3, 1, 1, { kernel: [1, 33], pads: [0, 16, 0, 16] }),
  "1x11, stride 3, dilated": dw(2, 61, 8, 3, 1, 1, {
    kernel: [1, 11],
    stride: [1, 3],
    dilation: [1, 2],
    pads: [0, 9, 0, 7],
  }),
  "1x3": dw(5, 9, 8, 3, 1, 1, { kernel: [1, 3], pads: [0, 1, 0, 1] }),
  "batch, pitches": dw(6, 9, 8, 3, 1, 1, { n: 2, xPitch: 20, outPitch: 11 }),
  "residual in place": dw(6, 10, 12, 3, 1, 1, { residual: "in-place" }),
  residual: dw(6, 10, 21, 3, 1, 1, { residual: "other", relu6: true }),
  "float16 weights": dw(6, 10, 8, 3, 1, 1, { half: true }),
  dilated: dw(14, 15, 8, 3, 1, 2, { dilation: [2, 2] }),
  "dilated by 5, small": dw(9, 9, 12, 3, 1, 5, { dilation: [5, 5] }),
  "dilated by 6": dw(20, 33, 4, 3, 1, 6, { dilation: [6, 6] }),
  "stride 2, larger than a cache": dw(93, 91, 63, 3, 2, 1),
  "groups of 4": dw(7, 9, 12, 3, 1, 1, { group: 3, relu6: true }),
  "groups of 4, stride 2, batch and pitches": dw(8, 9, 8, 3, 2, 1, {
    group: 2,
    n: 2,
    xPitch: 12,
    outPitch: 20,
  }),
  "groups of 8": dw(7, 6, 24, 3, 1, 1, { group: 3, residual: "other" }),
  "groups of 8, 1x1": dw(3, 5, 16, 1, 1, 0, { group: 2 }),
  "groups of 2": dw(5, 9, 10, 3, 1, 1, { group: 5, residual: "in-place" }),
  "3 inputs make 4": dw(5, 9, 6, 3, 1, 1, { group: 2, o: 8 }),
  "5 inputs make 8, dilated": dw(9, 9, 10, 3, 1, 2, { group: 2, o: 16, dilation: [2, 2] }),
  "2 inputs make 1": dw(6, 7, 14, 3, 1, 1, { group: 7, o: 7 }),
  "multiplier 2": dw(7, 9, 5, 3, 1, 1, { group: 5, o: 10 }),
  "multiplier 4, 5x5 stride 2": dw(11, 9, 3, 5, 2, 2, { group: 3, o: 12 }),
  "multiplier 8, float16 weights": dw(6, 5, 3, 3, 1, 1, { group: 3, o: 24, half: true }),
};

describe("depth-wise convolution against the loop nest", () => {
  for (const [name, o] of Object.entries(cases))
    test(name, () => {
      const c = convCase(o);
      const want = expected(c);
      for (const wide of [false, true])
        for (const fma of fusesMultiplyAdd() ? [false, true] : [false]) {
          const engine = { fma, f32: { mr: 4, nr: 8 }, i8: { mr: 4, nr: 8 }, wide } as const;
          const got = actual(c, depthwise, engine);
          assert.ok(got, "planned");
          assert.ok(worst(got, want) < 1e-5, `off by ${worst(got, want)}`);
          assert.deepEqual(actual({ ...c, dynamic: true }, depthwise, engine), got, "code for all sizes");
        }
    });
});
