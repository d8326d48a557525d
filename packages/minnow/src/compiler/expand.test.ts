// Sweeps the expanded functions, evaluated with float32 rounding after every operation, against float64.
import assert from "node:assert/strict";
import { test } from "node:test";
import { erf64, evaluator } from "../targets/reference/evaluate.js";
import { expand } from "./expand.js";
import { pow as power } from "./expand_pow.js";
import * as e from "./expr.js";

const view = new DataView(new ArrayBuffer(4));
const fromBits = (b: number): number => {
  view.setInt32(0, b);
  return view.getFloat32(0);
};
/** Distance of neighbours around |x| in float32, subnormals included. */
const ulp = (x: number): number => 2 ** Math.max(-149, Math.floor(Math.log2(Math.abs(x) || 2 ** -149)) - 23);

/** Every float32 whose bits are a multiple of `step` off the last, both signs. */
function* sweep(step: number, limit = Number.POSITIVE_INFINITY): Generator<number> {
  for (let b = 0; b < 0x7f800000; b += step) {
    const x = fromBits(b);
    if (x > limit) return;
    yield x;
    yield -x;
  }
}

function worst(
  op: e.UnaryOp,
  exact: (x: number) => number,
  inputs: Iterable<number>,
): { ulps: number; at: number } {
  const f = evaluator(expand(e.input(0, "f32")), true);
  assert.equal(
    f(() => 1),
    1,
  );
  const g = evaluator(expand({ k: "un", op, a: e.input(0, "f32"), t: "f32" }), true);
  let found = { ulps: 0, at: 0 };
  for (const x of inputs) {
    const got = g(() => x) as number;
    const want = exact(x);
    const rounded = Math.fround(want);
    if (Object.is(got, rounded) || (Number.isNaN(got) && Number.isNaN(want))) continue;
    const ulps =
      Number.isFinite(rounded) && Number.isFinite(got)
        ? Math.abs(got - want) / ulp(want)
        : Number.POSITIVE_INFINITY;
    if (!(ulps <= found.ulps)) found = { ulps, at: x };
  }
  return found;
}

const exact: [e.UnaryOp, (x: number) => number, number, number][] = [
  // limits: highest argument swept; the measured error in ULP, rounded up
  ["exp", Math.exp, Number.POSITIVE_INFINITY, 2],
  ["log", Math.log, Number.POSITIVE_INFINITY, 2],
  ["tanh", Math.tanh, Number.POSITIVE_INFINITY, 2],
  ["sigmoid", (x) => (x < -700 ? 0 : 1 / (1 + Math.exp(-x))), Number.POSITIVE_INFINITY, 2],
  ["erf", erf64, Number.POSITIVE_INFINITY, 2],
  ["sin", Math.sin, 1e5, 2],
  ["cos", Math.cos, 1e5, 2],
];
const step = Number(process.env.MINNOW_SWEEP ?? 40009);
for (const [op, f, limit, bound] of exact)
  test(`${op}: float32 sweep`, (t) => {
    const { ulps, at } = worst(op, f, sweep(step, limit));
    t.diagnostic(`${op}: ${ulps.toFixed(2)} ULP at ${at}`);
    assert.ok(ulps <= bound, `${ulps} ULP at ${at}`);
  });

test("special values", () => {
  const run = (op: e.UnaryOp, x: number): number =>
    evaluator(expand({ k: "un", op, a: e.input(0, "f32"), t: "f32" }), true)(() => x) as number;
  const inf = Number.POSITIVE_INFINITY;
  const nan = Number.NaN;
  const rows: [e.UnaryOp, number, number][] = [
    ["exp", inf, inf],
    ["exp", -inf, 0],
    ["exp", nan, nan],
    ["exp", 0, 1],
    ["exp", -0, 1],
    ["exp", 89, inf],
    ["log", inf, inf],
    ["log", 0, -inf],
    ["log", -0, -inf],
    ["log", -1, nan],
    ["log", -inf, nan],
    ["log", nan, nan],
    ["log", 1, 0],
    ["tanh", inf, 1],
    ["tanh", -inf, -1],
    ["tanh", nan, nan],
    ["tanh", -0, -0],
    ["tanh", 0, 0],
    ["sigmoid", inf, 1],
    ["sigmoid", -inf, 0],
    ["sigmoid", nan, nan],
    ["sigmoid", 0, 0.5],
    ["erf", inf, 1],
    ["erf", -inf, -1],
    ["erf", nan, nan],
    ["erf", -0, -0],
    ["erf", 0, 0],
    ["sin", inf, nan],
    ["sin", -inf, nan],
    ["sin", nan, nan],
    ["sin", -0, -0],
    ["sin", 0, 0],
    ["cos", inf, nan],
    ["cos", nan, nan],
    ["cos", 0, 1],
    ["cos", -0, 1],
  ];
  for (const [op, x, want] of rows)
    assert.ok(Object.is(run(op, x), want), `${op}(${x}) = ${run(op, x)}, not ${want}`);
  assert.ok(Math.abs(run("sin", 3e38)) <= 1);
});

const pow = evaluator(expand(power(e.input(0, "f32"), e.input(1, "f32"))), true);
const powOf = (x: number, y: number): number => pow((i) => (i === 0 ? x : y)) as number;

test("pow: random pairs over the whole range, and special values", (t) => {
  let seed = 7;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    return (seed >>> 0) / 2 ** 32;
  };
  let found = { ulps: 0, x: 0, y: 0 };
  for (let i = 0; i < 60_000; i++) {
    const x = Math.fround(
      i % 3 === 0
        ? 1 + (random() - 0.5) * 2 ** -(20 * random())
        : fromBits(Math.floor(random() * 0x7f800000)),
    );
    const reach = 155 / Math.max(1e-7, Math.abs(Math.log2(x)));
    let y = Math.fround((random() - 0.5) * 2 * reach);
    if (i % 5 === 0) y = Math.round(y);
    const base = i % 7 === 0 ? -x : x;
    const want = base ** y;
    const got = powOf(base, y);
    const rounded = Math.fround(want);
    if (Object.is(got, rounded) || (Number.isNaN(want) && Number.isNaN(got))) continue;
    const ulps =
      Number.isFinite(rounded) && Number.isFinite(got)
        ? Math.abs(got - want) / ulp(want)
        : Number.POSITIVE_INFINITY;
    if (!(ulps <= found.ulps)) found = { ulps, x: base, y };
  }
  t.diagnostic(`pow: ${found.ulps.toFixed(2)} ULP at ${found.x}, ${found.y}`);
  assert.ok(found.ulps <= 2, JSON.stringify(found));

  const interesting = [
    0,
    -0,
    1,
    -1,
    2,
    -2,
    3,
    -3,
    0.5,
    -0.5,
    1.5,
    Infinity,
    -Infinity,
    NaN,
    1e-40,
    -1e-40,
    3e38,
    16777217,
  ];
  for (const x of interesting.map(Math.fround))
    for (const y of interesting.map(Math.fround)) {
      const want = x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : Math.fround(x ** y);
      for (const got of [
        powOf(x, y),
        evaluator(expand(power(e.input(0, "f32"), y)), true)(() => x) as number,
      ]) {
        const same =
          Object.is(got, want) ||
          (Number.isNaN(got) && Number.isNaN(want)) ||
          Math.abs(got - want) <= 2 * ulp(want);
        assert.ok(same && (got !== 0 || Object.is(got, want)), `${x}^${y} = ${got}, not ${want}`);
      }
    }
});
