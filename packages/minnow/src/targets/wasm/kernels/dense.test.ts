import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as e from "../../../compiler/expr.js";
import { type Access, at } from "../../../compiler/nest.js";
import { fusesMultiplyAdd } from "../probe.js";
import { dense } from "./dense.js";
import { matmul } from "./matmul.js";
import { actual, type Case, CaseBuilder, expected, noise, worst } from "./harness.js";

interface Options {
  rows: number[];
  k: number[];
  n: number;
  /** Right side as [K,N]. */
  transposed?: boolean;
  bias?: boolean;
  /** x·sigmoid(x) + a tensor like the output: too long for sums in registers. */
  long?: boolean;
  xPitch?: number;
}

function denseCase(o: Options): Case {
  const b = new CaseBuilder();
  const rank = o.rows.length + 1;
  const k = o.k.reduce((x, y) => x * y, 1);
  const rows = o.rows.reduce((x, y) => x * y, 1);
  const x = b.add(noise(rows * (o.xPitch ?? k) + 64, 2), "float32", [...o.rows, ...o.k], false, o.xPitch);
  const w = b.add(noise(o.n * k, 3), "float32", o.transposed ? [k, o.n] : [o.n, k], true);
  const out = b.add(noise(rows * o.n, 4), "float32", [...o.rows, o.n]);
  const rowsAt = o.rows.map((_, i) => at(i));
  const kAt = o.k.map((_, i) => at(rank + i));
  let stride = k;
  const flat = {
    offset: 0,
    terms: o.k.map((d, i): [number, number] => {
      stride /= d;
      return [rank + i, stride];
    }),
  };
  const operands: Access[] = [
    { value: x, index: [...rowsAt, ...kAt] },
    { value: w, index: o.transposed ? [flat, at(rank - 1)] : [at(rank - 1), flat] },
  ];
  let result = e.accumulator("f32");
  if (o.bias) {
    operands.push({ value: b.add(noise(o.n, 5), "float32", [o.n], true), index: [at(rank - 1)] });
    result = e.max(e.add(result, e.input(2, "f32")), 0);
  }
  if (o.long) {
    const residual = b.alias(out); // as where its buffer dies there
    operands.push({ value: residual, index: [...rowsAt, at(rank - 1)] });
    result = e.add(e.mul(result, e.sigmoid(result)), e.input(operands.length - 1, "f32"));
  }
  return b.finish(
    "dense",
    {},
    {
      loops: [...o.rows, o.n],
      reduce: o.k,
      operands,
      body: e.mul(e.input(0, "f32"), e.input(1, "f32")),
      combine: "sum",
      result,
      out: { value: out, index: [...rowsAt, at(rank - 1)] },
    },
  );
}

const cases: Record<string, Options> = {
  "one row": { rows: [1], k: [37], n: 30, bias: true },
  "one row, whole panels": { rows: [1], k: [64], n: 64 },
  "one row, tiny": { rows: [1], k: [2], n: 1 },
  "one row, flattened": { rows: [1], k: [3, 4, 5], n: 9, bias: true },
  "rows of a low tile alone": { rows: [3], k: [20], n: 13, bias: true },
  "rows of tiles and a low one": { rows: [22], k: [21], n: 29, bias: true },
  "rows of tiles and two": { rows: [26], k: [7], n: 8 },
  "rows of tiles and more than a low one": { rows: [17], k: [20], n: 13, bias: true },
  rows: { rows: [11], k: [20], n: 13, bias: true },
  "a long epilogue": { rows: [22], k: [21], n: 29, bias: true, long: true },
  "a long epilogue, a low tile alone": { rows: [3], k: [20], n: 13, long: true },
  "rows of higher rank, [K,N]": { rows: [2, 3, 4], k: [18], n: 24, transposed: true },
  "rows at a pitch": { rows: [9], k: [10], n: 8, xPitch: 16 },
};

describe("dense and matmul against the loop nest", () => {
  for (const [name, o] of Object.entries(cases))
    test(name, () => {
      const c = denseCase(o);
      const want = expected(c);
      for (const mr of [4, 6])
        for (const nr of [8, 16] as const)
          for (const fma of fusesMultiplyAdd() ? [false, true] : [false]) {
            const got = actual(c, dense, { fma, f32: { mr, nr }, i8: { mr: 4, nr: 8 }, wide: nr === 16 });
            assert.ok(got, "planned");
            assert.ok(worst(got, want) < 1e-5, `off by ${worst(got, want)}`);
          }
    });
});

/** [B…, M, K] × [B…, K, N]; `batch` entries of b may be 1. */
function matmulCase(a: number[], b: number[], transposeB = false, long = false): Case {
  const c = new CaseBuilder();
  const count = (s: number[]): number => s.reduce((x, y) => x * y, 1);
  const rank = Math.max(a.length, b.length);
  const [m, k] = a.slice(-2) as [number, number];
  const n = b[b.length - (transposeB ? 2 : 1)] as number;
  const batch = Array.from({ length: rank - 2 }, (_, i) =>
    Math.max(a[i - rank + a.length] ?? 1, b[i - rank + b.length] ?? 1),
  );
  const lead = (s: number[]) =>
    s
      .slice(0, -2)
      .map((d, i) => (d === 1 ? { offset: 0, terms: [] } : at(i + batch.length - (s.length - 2))));
  const [lm, ln, lk] = [batch.length, batch.length + 1, batch.length + 2];
  const operands: Access[] = [
    { value: c.add(noise(count(a) + 64, 2), "float32", a), index: [...lead(a), at(lm), at(lk)] },
    {
      value: c.add(noise(count(b) + 64, 3), "float32", b),
      index: [...lead(b), ...(transposeB ? [at(ln), at(lk)] : [at(lk), at(ln)])],
    },
  ];
  const shape = [...batch, m, n];
  const out = c.add(noise(count(shape), 4), "float32", shape);
  return c.finish(
    "matmul",
    {},
    {
      loops: shape,
      reduce: [k],
      operands,
      body: e.mul(e.input(0, "f32"), e.input(1, "f32")),
      combine: "sum",
      result: long ? e.sigmoid(e.accumulator("f32")) : e.mul(e.accumulator("f32"), 0.5),
      out: { value: out, index: shape.map((_, i) => at(i)) },
    },
  );
}

describe("matmul of two computed tensors against the loop nest", () => {
  const products: [string, number[], number[], boolean, boolean?][] = [
    ["plain", [7, 10], [10, 9], false],
    ["transposed", [7, 12], [21, 12], true],
    ["batches", [3, 5, 8], [3, 8, 24], false],
    ["heads, transposed", [2, 3, 9, 5], [2, 3, 9, 5], true],
    ["one b for all", [4, 5, 6], [6, 8], false],
    ["one a for all", [1, 5, 6], [3, 6, 8], false],
    ["a row", [1, 33], [33, 17], false],
    ["a row, few columns", [1, 33], [33, 15], false],
    ["a row a batch", [2, 3, 1, 37], [2, 3, 37, 40], false],
    ["a row a batch, transposed", [2, 3, 1, 38], [2, 3, 40, 38], true],
    ["a row a batch, short", [3, 1, 3], [3, 16, 3], true],
    ["a row a batch, one b for all", [5, 1, 12], [12, 33], false],
    ["a row a batch, a long epilogue", [2, 1, 21], [2, 21, 30], false, true],
    ["a column", [19, 4], [4, 1], false],
    ["a long epilogue", [2, 9, 12], [2, 21, 12], true, true],
  ];
  for (const [name, a, b, transposed, long] of products)
    test(name, () => {
      const c = matmulCase(a, b, transposed, long);
      const want = expected(c);
      for (const nr of [8, 16] as const)
        for (const fma of fusesMultiplyAdd() ? [false, true] : [false]) {
          const got = actual(c, matmul, { fma, f32: { mr: 4, nr }, i8: { mr: 4, nr: 8 }, wide: false });
          assert.ok(got, "planned");
          assert.ok(worst(got, want) < 1e-5, `off by ${worst(got, want)}`);
        }
    });
});
