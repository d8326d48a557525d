import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as e from "../../../compiler/expr.js";
import { type Access, at, fromTable } from "../../../compiler/nest.js";
import { fusesMultiplyAdd } from "../probe.js";
import { convTranspose } from "./conv_transpose.js";
import { actual, type Case, CaseBuilder, expected, noise, worst } from "./harness.js";

interface Options {
  n?: number;
  h: number;
  w: number;
  c: number;
  o: number;
  k: [number, number];
  s: [number, number];
  /** top, left, bottom, right */
  pads?: [number, number, number, number];
  xPitch?: number;
  outPitch?: number;
}

/** As ops/conv_transpose.ts lowers it, always by tables. */
function transposeCase(p: Options): Case {
  const { n = 1, h, w, c, o, k, s, pads = [0, 0, 0, 0] } = p;
  const oh = (h - 1) * s[0] + k[0] - pads[0] - pads[2];
  const ow = (w - 1) * s[1] + k[1] - pads[1] - pads[3];
  const b = new CaseBuilder();
  const x = b.add(noise(n * h * w * (p.xPitch ?? c) + 64, 2), "float32", [n, h, w, c], false, p.xPitch);
  const weights = b.add(noise(c * k[0] * k[1] * o, 3), "float32", [c, k[0], k[1], o], true);
  const out = b.add(noise(n * oh * ow * (p.outPitch ?? o), 4), "float32", [n, oh, ow, o], false, p.outPitch);
  const bias = b.add(noise(o, 5), "float32", [o], true);
  const operands: Access[] = [
    { value: x, index: [at(0), fromTable(3), fromTable(5), at(6)] },
    { value: weights, index: [at(6), at(4), at(5), at(3)] },
    { value: bias, index: [at(3)] },
  ];
  [
    [oh, h, 0],
    [ow, w, 1],
  ].forEach(([extent, size, i]) => {
    const [length, axis] = [extent as number, i as 0 | 1];
    const position = new Int32Array(length * k[axis]);
    const exists = new Int32Array(length * k[axis]);
    for (let y = 0; y < length; y++)
      for (let t = 0; t < k[axis]; t++) {
        const from = y + pads[axis] - t;
        if (from < 0 || from % s[axis] || from / s[axis] >= (size as number)) continue;
        position[y * k[axis] + t] = from / s[axis];
        exists[y * k[axis] + t] = 1;
      }
    const index = [at(1 + axis), at(4 + axis)];
    for (const table of [position, exists])
      operands.push({ value: b.add(table, "int32", [length, k[axis]], true), index });
  });
  const condition = e.and(e.input(4, "i32"), e.input(6, "i32"));
  return b.finish(
    "conv_transpose2d",
    {
      kh: k[0],
      kw: k[1],
      strideY: s[0],
      strideX: s[1],
      dilationY: 1,
      dilationX: 1,
      padTop: pads[0],
      padLeft: pads[1],
      group: 1,
    },
    {
      loops: [n, oh, ow, o],
      reduce: [k[0], k[1], c],
      operands,
      body: e.select(condition, e.mul(e.input(0, "f32"), e.input(1, "f32")), 0),
      combine: "sum",
      result: e.max(e.add(e.accumulator("f32"), e.input(2, "f32")), 0),
      out: { value: out, index: [at(0), at(1), at(2), at(3)] },
    },
  );
}

const cases: Record<string, Options> = {
  "2x2 stride 2": { h: 5, w: 7, c: 8, o: 16, k: [2, 2], s: [2, 2] },
  "3x3 stride 2, cut": { n: 2, h: 4, w: 5, c: 6, o: 9, k: [3, 3], s: [2, 2], pads: [1, 1, 0, 0] },
  "4x4 stride 2, padded": { h: 5, w: 4, c: 5, o: 21, k: [4, 4], s: [2, 2], pads: [1, 1, 1, 1] },
  "3x3 stride 1": { h: 6, w: 5, c: 4, o: 8, k: [3, 3], s: [1, 1], pads: [1, 1, 1, 1] },
  "kernel smaller than the stride": { h: 3, w: 4, c: 4, o: 5, k: [1, 2], s: [2, 3] },
  pitches: { h: 3, w: 9, c: 4, o: 1, k: [2, 2], s: [2, 2], xPitch: 7, outPitch: 3 },
};

describe("transposed convolution against the loop nest", () => {
  for (const [name, o] of Object.entries(cases))
    test(name, () => {
      const c = transposeCase(o);
      const want = expected(c);
      for (const nr of [8, 16] as const)
        for (const fma of fusesMultiplyAdd() ? [false, true] : [false]) {
          const got = actual(c, convTranspose, {
            fma,
            f32: { mr: 6, nr },
            i8: { mr: 4, nr: 8 },
            wide: false,
          });
          assert.ok(got, "planned");
          assert.ok(worst(got, want) < 1e-5, `off by ${worst(got, want)}`);
        }
    });
});
