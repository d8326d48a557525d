import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as e from "../../../compiler/expr.js";
import { type Access, at, type AxisIndex } from "../../../compiler/nest.js";
import type { DType, TypedArray } from "../../../graph/dtype.js";
import { actual, type Case, CaseBuilder, expected, noise, worst } from "./harness.js";
import { pool } from "./pool.js";

interface Options {
  n?: number;
  h: number;
  w: number;
  c: number;
  k: [number, number];
  s: [number, number];
  pads?: [number, number, number, number];
  max: boolean;
  dtype?: "float32" | "int8" | "uint8";
  /** The divisor differs by pixel. */
  counts?: boolean;
  relu?: boolean;
  /** Adds a constant per channel. */
  bias?: boolean;
  xPitch?: number;
  outPitch?: number;
  nan?: boolean;
}

function poolCase(o: Options): Case {
  const { h, w, c, k, s, n = 1, pads = [0, 0, 0, 0], dtype = "float32" } = o;
  const oh = Math.floor((h + pads[0] + pads[2] - k[0]) / s[0]) + 1;
  const ow = Math.floor((w + pads[1] + pads[3] - k[1]) / s[1]) + 1;
  const b = new CaseBuilder();
  const make = (size: number, seed: number): TypedArray => {
    const x = noise(size, seed);
    if (dtype === "float32") return x;
    return dtype === "int8" ? Int8Array.from(x, (v) => v * 128) : Uint8Array.from(x, (v) => v * 128 + 128);
  };
  const data = make(n * h * w * (o.xPitch ?? c), 2);
  if (o.nan)
    for (let i = 3; i < data.length; i += 41) data[i] = i % 2 ? Number.NaN : Number.NEGATIVE_INFINITY;
  const x = b.add(data, dtype as DType, [n, h, w, c], false, o.xPitch);
  const out = b.add(
    make(n * oh * ow * (o.outPitch ?? c), 3),
    dtype as DType,
    [n, oh, ow, c],
    false,
    o.outPitch,
  );
  const axis = (loop: number, tap: number, i: 0 | 1): AxisIndex => ({
    offset: -pads[i],
    terms: [
      [loop, s[i]],
      [tap, 1],
    ],
    guard: true,
  });
  const t = dtype === "float32" ? "f32" : "i32";
  const fill = !o.max ? 0 : dtype === "float32" ? Number.NEGATIVE_INFINITY : dtype === "int8" ? -128 : 0;
  const operands: Access[] = [{ value: x, index: [at(0), axis(1, 4, 0), axis(2, 5, 1), at(3)], fill }];
  let result: e.Expr = e.accumulator(t);
  if (o.counts) {
    operands.push({
      value: b.add(
        noise(oh * ow, 4).map((v) => 4 + v),
        "float32",
        [oh, ow],
        true,
      ),
      index: [at(1), at(2)],
    });
    result = e.div(result, e.input(1, "f32"));
  } else if (!o.max) result = e.div(result, k[0] * k[1]);
  if (o.bias) {
    operands.push({ value: b.add(noise(c, 5), "float32", [c], true), index: [at(3)] });
    result = e.add(result, e.input(operands.length - 1, "f32"));
  }
  if (o.relu) result = e.max(result, 0);
  return b.finish(
    o.max ? "max_pool2d" : "avg_pool2d",
    {
      kh: k[0],
      kw: k[1],
      strideY: s[0],
      strideX: s[1],
      dilationY: 1,
      dilationX: 1,
      padTop: pads[0],
      padLeft: pads[1],
    },
    {
      loops: [n, oh, ow, c],
      reduce: k,
      operands,
      body: e.input(0, t),
      combine: o.max ? "max" : "sum",
      result,
      out: { value: out, index: [at(0), at(1), at(2), at(3)] },
    },
  );
}

const cases: Record<string, Options> = {
  "max 3x3 s2": { h: 9, w: 11, c: 20, k: [3, 3], s: [2, 2], max: true },
  "max 3x3 s1 same, batch, odd": {
    n: 2,
    h: 6,
    w: 5,
    c: 7,
    k: [3, 3],
    s: [1, 1],
    pads: [1, 1, 1, 1],
    max: true,
    relu: true,
  },
  "max with NaN and infinities": { h: 8, w: 8, c: 9, k: [2, 2], s: [2, 2], max: true, nan: true },
  "max in a concat": { h: 7, w: 6, c: 34, k: [3, 3], s: [2, 2], max: true, xPitch: 40, outPitch: 50 },
  "max int8": { h: 7, w: 6, c: 37, k: [3, 3], s: [1, 1], pads: [1, 1, 1, 1], max: true, dtype: "int8" },
  "max uint8": { h: 7, w: 6, c: 80, k: [2, 2], s: [2, 2], max: true, dtype: "uint8" },
  "max and a bias": { h: 5, w: 6, c: 8, k: [3, 3], s: [2, 2], pads: [0, 0, 1, 1], max: true, bias: true },
  "max 13x13": { h: 14, w: 15, c: 6, k: [13, 13], s: [1, 1], pads: [6, 6, 6, 6], max: true },
  "max 1x1 s2": { h: 6, w: 7, c: 12, k: [1, 1], s: [2, 2], max: true },
  "max 1x5": { h: 3, w: 17, c: 9, k: [1, 5], s: [1, 2], pads: [0, 2, 0, 2], max: true },
  "sum and a bias": { h: 6, w: 6, c: 8, k: [1, 1], s: [1, 1], max: false, bias: true },
  "average 2x2": { h: 6, w: 8, c: 10, k: [2, 2], s: [2, 2], max: false },
  "average 7x7, whole": { h: 7, w: 7, c: 21, k: [7, 7], s: [1, 1], max: false },
  "average, counts by pixel": {
    h: 7,
    w: 6,
    c: 18,
    k: [3, 3],
    s: [2, 2],
    pads: [1, 1, 1, 1],
    max: false,
    counts: true,
  },
};

describe("pooling against the loop nest", () => {
  for (const [name, o] of Object.entries(cases))
    test(name, () => {
      const c = poolCase(o);
      const engine = { fma: false, f32: { mr: 4, nr: 8 }, i8: { mr: 4, nr: 8 } } as const;
      const want = expected(c);
      for (const wide of [false, true]) {
        const got = actual(c, pool, { ...engine, wide });
        assert.ok(got, "planned");
        const limit = o.max && !o.bias ? 1e-12 : 1e-6;
        assert.ok(worst(got, want) < limit, `off by ${worst(got, want)}`);
        assert.deepEqual(actual({ ...c, dynamic: true }, pool, { ...engine, wide }), got);
      }
    });
});
