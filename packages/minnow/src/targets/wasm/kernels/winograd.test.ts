import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Engine } from "../engine.js";
import type { TunedKernel } from "../kernel.js";
import { fusesMultiplyAdd } from "../probe.js";
import { actual, convCase, type ConvOptions, expected, relative } from "./harness.js";
import { planWinograd } from "./winograd.js";
import { formOf } from "./winograd_cost.js";
import { toom } from "./winograd_toom.js";

const engine = (mr: number, nr: 8 | 16, fma: boolean): Engine => ({
  fma,
  f32: { mr, nr },
  i8: { mr: 4, nr: 8 },
  wide: nr === 16,
});
const all = [engine(4, 8, false), engine(6, 8, false), engine(4, 16, false), engine(6, 16, false)];
const engines = fusesMultiplyAdd() ? [...all, ...all.map((x) => ({ ...x, fma: true }))] : all;

/** The kernel with m outputs a tile, wherever it can run. */
const withOutputs = (m: number): TunedKernel => ({
  kernels: ["conv2d"],
  plan: (step, e, program) =>
    planWinograd(step, e, program, (k) => [formOf(m, k)].flatMap((f) => f ?? []), true),
});

const same: ConvOptions = { h: 9, w: 11, c: 8, o: 16, kernel: [3, 3], pads: [1, 1, 1, 1] };
const cases: Record<string, ConvOptions> = {
  same,
  "no padding": { ...same, pads: [0, 0, 0, 0] },
  "uneven padding": { ...same, pads: [0, 2, 1, 0] },
  "padding beyond the tile": { ...same, h: 3, w: 2, pads: [7, 9, 6, 8] },
  "one pixel": { ...same, h: 1, w: 1 },
  "one output": { ...same, h: 3, w: 3, pads: [0, 0, 0, 0] },
  "one row": { ...same, h: 1, w: 9 },
  "4 channels in, 1 out": { ...same, c: 4, o: 1 },
  "6 in, 5 out": { ...same, c: 6, o: 5 },
  "5 in, 12 out": { ...same, c: 5, o: 12 },
  "16 in, 31 out": { ...same, c: 16, o: 31 },
  "31 in, 64 out": { ...same, c: 31, o: 64, h: 4, w: 3 },
  "20 in, 100 out, slices": { ...same, h: 3, w: 3, c: 20, o: 100 },
  "more channels than a stage holds": { ...same, h: 3, w: 2, c: 134, o: 9 },
  "several blocks": { ...same, n: 2, h: 13, w: 17, c: 4, o: 64 },
  "batch, residual, clamp": { ...same, n: 3, residual: "other", relu6: true },
  "in a concat, residual in place": { ...same, xPitch: 20, outPitch: 31, residual: "in-place" },
  "no bias, gate": { ...same, bias: false, gate: true },
  "float16 weights": { ...same, half: true },
  "5x5": { ...same, kernel: [5, 5], pads: [2, 2, 2, 2] },
  "1x3": { ...same, kernel: [1, 3], pads: [0, 1, 0, 1] },
  "3x1, uneven": { ...same, kernel: [3, 1], pads: [2, 0, 0, 0], n: 2, c: 70 },
  "1x7": { ...same, kernel: [1, 7], pads: [0, 3, 0, 3], o: 13 },
  "7x1, short": { ...same, h: 2, kernel: [7, 1], pads: [3, 0, 3, 0] },
  "5x1 on padded columns": { ...same, kernel: [5, 1], pads: [2, 1, 2, 2], residual: "other" },
};

describe("Winograd convolution against the loop nest", () => {
  for (const [name, options] of Object.entries(cases))
    test(name, () => {
      const c = convCase(options);
      const want = expected(c);
      for (const m of [4, 2])
        for (const e of formOf(m, options.kernel as [number, number]) ? engines : []) {
          const got = actual(c, withOutputs(m), e);
          assert.ok(got, "planned");
          const error = relative(got, want);
          assert.ok(error < 1e-5, `${m} outputs a tile, ${JSON.stringify(e)}: off by ${error}`);
        }
    });
});

describe("Winograd's matrices", () => {
  for (const [m, r] of [
    [2, 3],
    [4, 3],
    [2, 5],
    [4, 5],
    [2, 7],
    [4, 7],
  ] as const)
    test(`F(${m},${r}) is the filter`, () => {
      const { n, bt, g, at } = toom(m, r);
      const times = (a: readonly (readonly number[])[], x: readonly number[]): number[] =>
        a.map((row) => row.reduce((s, v, i) => s + v * (x[i] as number), 0));
      const d = Array.from({ length: n }, (_, i) => Math.sin(3 * i + 1));
      const f = Array.from({ length: r }, (_, i) => Math.cos(5 * i + 2));
      const u = times(g, f);
      const y = times(
        at,
        times(bt, d).map((v, i) => v * (u[i] as number)),
      );
      y.forEach((v, i) => {
        const want = f.reduce((s, t, k) => s + t * (d[i + k] as number), 0);
        assert.ok(Math.abs(v - want) < 1e-12, `${v} for ${want}`);
      });
    });
});
