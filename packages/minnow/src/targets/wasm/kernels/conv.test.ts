import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Engine } from "../engine.js";
import { fusesMultiplyAdd } from "../probe.js";
import { conv2d } from "./conv.js";
import { actual, convCase, type ConvOptions, expected, worst } from "./harness.js";

const engine = (mr: number, nr: 8 | 16, fma: boolean): Engine => ({
  fma,
  f32: { mr, nr },
  i8: { mr: 4, nr: 8 },
  wide: nr === 16,
});
const engines = [engine(4, 8, false), engine(6, 8, false), engine(4, 16, false), engine(6, 16, false)];

const cases: Record<string, ConvOptions> = {
  "1x1": { h: 5, w: 7, c: 16, o: 24 },
  "1x1, k not a multiple of 4, odd channels": { h: 3, w: 5, c: 13, o: 21, relu6: true },
  "1x1, 3 in, 1 out": { h: 9, w: 4, c: 3, o: 1 },
  "1x1, one pixel": { h: 1, w: 1, c: 40, o: 33 },
  "1x1 in a concat": { h: 6, w: 5, c: 8, o: 12, xPitch: 20, outPitch: 31 },
  "1x1 in a concat, one column": { n: 2, h: 6, w: 1, c: 8, o: 12, xPitch: 20 },
  "1x1, batch, residual": { n: 3, h: 4, w: 4, c: 8, o: 16, residual: "other" },
  "1x1, residual in place, rows over": { h: 5, w: 5, c: 8, o: 20, residual: "in-place", outPitch: 24 },
  "1x1 stride 2": { h: 9, w: 8, c: 12, o: 8, stride: [2, 2] },
  "3x3 same": { h: 7, w: 6, c: 8, o: 16, kernel: [3, 3], pads: [1, 1, 1, 1], relu6: true },
  "3x3 first, stride 2": { h: 11, w: 14, c: 3, o: 8, kernel: [3, 3], stride: [2, 2], pads: [0, 0, 1, 1] },
  "7x7 stride 2, batch": {
    n: 2,
    h: 13,
    w: 15,
    c: 3,
    o: 10,
    kernel: [7, 7],
    stride: [2, 2],
    pads: [3, 3, 3, 3],
  },
  "3x3 dilated": { h: 9, w: 9, c: 4, o: 8, kernel: [3, 3], dilation: [2, 3], pads: [2, 3, 2, 3] },
  "3x3 from a concat": {
    h: 5,
    w: 6,
    c: 5,
    o: 7,
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    xPitch: 9,
    residual: "in-place",
  },
  "1x7 and pads larger than the image": { h: 2, w: 3, c: 4, o: 8, kernel: [1, 7], pads: [0, 4, 0, 4] },
  "5x1": { h: 8, w: 3, c: 6, o: 9, kernel: [5, 1], pads: [2, 0, 2, 0] },
  "grouped 1x1": { h: 5, w: 5, c: 16, o: 24, group: 2 },
  "grouped 3x3, odd": {
    h: 6,
    w: 5,
    c: 15,
    o: 21,
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    group: 3,
    residual: "other",
  },
  "computed gate per channel": { h: 4, w: 4, c: 8, o: 21, gate: true, relu6: true },
  "computed gate, grouped": { h: 4, w: 4, c: 8, o: 12, group: 2, gate: true },
  "float16 weights": { h: 4, w: 4, c: 8, o: 12, half: true, bias: false },
  "3x3, tiles inside the image": { n: 2, h: 5, w: 33, c: 4, o: 8, kernel: [3, 3], pads: [1, 1, 1, 1] },
  "3x3 stride 2 from a concat, tiles inside": {
    h: 9,
    w: 41,
    c: 3,
    o: 8,
    kernel: [3, 3],
    stride: [2, 2],
    pads: [0, 0, 1, 1],
    xPitch: 5,
  },
  "3x3 first, tiles inside": { h: 9, w: 40, c: 3, o: 8, kernel: [3, 3], stride: [2, 2], pads: [0, 0, 1, 1] },
  "1x1, one pixel, 1 to 4 panels over": { h: 1, w: 1, c: 19, o: 57, relu6: true },
  "1x1, one pixel, 16 channels": { h: 1, w: 1, c: 8, o: 16 },
  "10x4 over one channel, every tile at an edge": {
    h: 13,
    w: 10,
    c: 1,
    o: 20,
    kernel: [10, 4],
    stride: [2, 2],
    pads: [4, 1, 5, 1],
  },
  "several chunks": { h: 24, w: 25, c: 320, o: 2, xPitch: 321 },
};

describe("conv2d against the loop nest", () => {
  for (const [name, options] of Object.entries(cases))
    test(name, () => {
      const c = convCase(options);
      const want = expected(c);
      let bits: string | undefined;
      for (const e of fusesMultiplyAdd()
        ? [...engines, ...engines.map((x) => ({ ...x, fma: true }))]
        : engines) {
        const got = actual(c, conv2d, e);
        assert.ok(got, "planned");
        assert.ok(worst(got, want) < 2e-5, `${JSON.stringify(e)}: off by ${worst(got, want)}`);
        if (e.fma) continue;
        const text = Buffer.from(got.buffer).toString("base64");
        bits ??= text;
        assert.equal(text, bits, "every tile gives equal bits");
      }
    });
});
