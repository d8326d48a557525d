// Both lowerings of Expr against the reference evaluator, over every operator and awkward numbers; the
// transcendentals once more on the engine, also with fused multiply-add, within 2 ULP of float64.
import assert from "node:assert/strict";
import { test } from "node:test";
import { pow as power } from "../../compiler/expand_pow.js";
import * as e from "../../compiler/expr.js";
import { evaluator, erf64, type Value } from "../reference/evaluate.js";
import { ModuleBuilder, type WasmType } from "./assembler.js";
import { moduleImports } from "./imports.js";
import { isVectorizable, prepareScalar, prepareVector } from "./expr.js";

const floats = [
  0,
  -0,
  1,
  -1,
  2.5,
  -2.5,
  3.5,
  0.1,
  1e-40,
  -1e30,
  3e38,
  2 ** 31,
  -(2 ** 31),
  8388609.5,
  Infinity,
  -Infinity,
  NaN,
].map(Math.fround);
const ints = [0, 1, -1, 2, 7, -7, 31, 33, 255, -128, 65536, 2 ** 31 - 1, -(2 ** 31)];
const longs = [...ints.map(BigInt), 2n ** 63n - 1n, -(2n ** 63n), 2n ** 40n + 3n];

/** All pairs (a, b) through the expression of operands 0 and 1; results in order. */
function runAll(
  x: e.Expr,
  types: readonly [e.ScalarType, e.ScalarType],
  pairs: readonly (readonly [Value, Value])[],
  vector: boolean,
  fma = false,
): Value[] {
  const m = new ModuleBuilder();
  const step = vector ? 16 : 8;
  m.func(
    ["i32", "i32"],
    [],
    (f) => {
      const kind = (t: e.ScalarType): WasmType => (vector ? "v128" : t);
      const ready = vector ? prepareVector(f, x, { fma }) : prepareScalar(f, x);
      const operands = types.map((t) => f.local(kind(t)));
      const [at] = [0];
      f.repeat(1, () => {
        operands.forEach((l, i) => {
          f.get(at);
          if (vector) f.vload(16 * i);
          else f.mem(`${types[i] as e.ScalarType}.load`, 8 * i);
          f.set(l);
        });
        f.get(at);
        ready.emit((i) => operands[i] as number);
        if (vector) f.vstore(32);
        else f.mem(`${x.t}.store`, 16);
        f.inc(at, step * 3);
      });
    },
    "f",
  );
  const per = vector ? 4 : 1;
  const steps = Math.ceil(pairs.length / per);
  const memory = new WebAssembly.Memory({ initial: Math.ceil((steps * step * 3) / 65536) + 1 });
  const view = new DataView(memory.buffer);
  const write = (t: e.ScalarType, p: number, v: Value): void => {
    if (t === "f32") view.setFloat32(p, v as number, true);
    else if (t === "i32") view.setInt32(p, v as number, true);
    else view.setBigInt64(p, v as bigint, true);
  };
  const place = (n: number, slot: number): number =>
    Math.floor(n / per) * step * 3 + slot * step + (n % per) * 4;
  pairs.forEach((pair, n) =>
    pair.forEach((v, slot) => write(types[slot] as e.ScalarType, place(n, slot), v)),
  );
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.build()), moduleImports(memory));
  (exports.f as (at: number, steps: number) => void)(0, steps);
  return pairs.map((_, n) => {
    const p = place(n, 2);
    return x.t === "f32"
      ? view.getFloat32(p, true)
      : x.t === "i32"
        ? view.getInt32(p, true)
        : view.getBigInt64(p, true);
  });
}

const same = (a: Value, b: Value): boolean =>
  Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b));
const samples = { f32: floats, i32: ints, i64: longs } as const;

function check(x: e.Expr, a: e.ScalarType, b: e.ScalarType = a): void {
  const pairs = samples[a].flatMap((v) => samples[b].map((w) => [v, w] as const));
  const reference = evaluator(x, true);
  const want = pairs.map((p) => reference((i) => p[i] as Value));
  for (const vector of isVectorizable(x) ? [false, true] : [false]) {
    const got = runAll(x, [a, b], pairs, vector);
    want.forEach((w, n) =>
      assert.ok(
        same(got[n] as Value, w),
        `${e.print(x)} at ${pairs[n]}: ${got[n]}, not ${w} (${vector ? "vector" : "scalar"})`,
      ),
    );
  }
}

const A = (t: e.ScalarType): e.Expr => e.input(0, t);
const B = (t: e.ScalarType): e.Expr => e.input(1, t);

test("float operators", () => {
  for (const f of [e.neg, e.abs, e.sqrt, e.floor, e.ceil, e.trunc, e.nearest]) check(f(A("f32")), "f32");
  for (const f of [e.add, e.sub, e.mul, e.div, e.min, e.max]) check(f(A("f32"), B("f32")), "f32");
  for (const f of [e.add, e.sub, e.mul, e.div]) check(f(A("f32"), 2.75), "f32");
  check(e.clamp(A("f32"), -1.5, 6), "f32");
});

test("integer operators, division by zero and overflow included", () => {
  for (const t of ["i32", "i64"] as const) {
    for (const f of [e.add, e.sub, e.mul, e.div, e.rem, e.min, e.max, e.and, e.or, e.xor, e.shl, e.shr]) {
      check(f(A(t), B(t)), t);
      check(f(A(t), 3), t);
    }
    for (const f of [e.div, e.rem]) {
      check(f(A(t), 0), t);
      check(f(A(t), -1), t);
    }
    check(e.neg(A(t)), t);
    check(e.abs(A("i32")), "i32");
  }
});

test("comparisons, masks and selection", () => {
  for (const t of ["f32", "i32", "i64"] as const)
    for (const f of [e.eq, e.ne, e.lt, e.le, e.gt, e.ge]) {
      check(f(A(t), B(t)), t);
      check(e.select(f(A(t), B(t)), e.neg(A(t)), B(t)), t);
    }
  const less = e.lt(A("f32"), B("f32"));
  const small = e.lt(A("f32"), 2);
  check(e.select(e.and(less, small), A("f32"), 9), "f32");
  check(e.add(e.or(less, small), e.xor(less, small)), "f32");
  check(e.select(A("i32"), B("i32"), 5), "i32");
  check(e.select(e.xor(less, e.num(1, "i32")), A("f32"), B("f32")), "f32");
});

test("conversions", () => {
  check(e.cast(A("f32"), "i32"), "f32");
  check(e.cast(A("f32"), "i64"), "f32");
  check(e.cast(A("i32"), "f32"), "i32");
  check(e.cast(A("i32"), "i64"), "i32");
  check(e.cast(A("i64"), "i32"), "i64");
  check(e.cast(A("i64"), "f32"), "i64");
  check(e.bits(A("f32"), "i32"), "f32");
  check(e.bits(A("i32"), "f32"), "i32");
});

test("rounding between small bounds, as requantisation does it", () => {
  const rounded = (x: e.Expr): e.Expr => e.cast(e.nearest(e.clamp(x, -131, 124)), "i32");
  check(rounded(A("f32")), "f32");
  check(e.add(rounded(e.mul(e.cast(A("i32"), "f32"), 0.37)), 3), "i32");
  const halves = (i: e.Expr): e.Expr => e.mul(e.cast(i, "f32"), 0.5);
  check(rounded(halves(A("i32"))), "i32");
  check(e.cast(e.nearest(e.clamp(halves(A("i32")), -5e6, 5e6)), "i32"), "i32");
});

test("shared nodes are computed once, whatever form they are used in", () => {
  const sum = e.add(A("f32"), B("f32"));
  const test0 = e.gt(sum, 0);
  check(e.add(e.select(test0, e.mul(sum, sum), e.neg(sum)), e.cast(test0, "f32")), "f32");
  const code = (x: e.Expr): number => {
    const m = new ModuleBuilder();
    m.func([], [], (f) => {
      const operands = f.someLocals(2, "v128");
      prepareVector(f, x, { fma: false }).emit((i) => operands[i] as number);
      f.op("drop");
    });
    return m.build().length;
  };
  const deep = (n: number): e.Expr => {
    let x = sum;
    for (let i = 0; i < n; i++) x = e.mul(x, x);
    return x;
  };
  assert.ok(code(deep(40)) < 2000);
});

test("transcendentals on the engine, with and without fused multiply-add", (t) => {
  const probe = new ModuleBuilder();
  probe.func([], [], (f) => f.f32x4(1).f32x4(1).f32x4(1).op("f32x4.relaxed_madd", "drop"));
  const modes = WebAssembly.validate(probe.build()) ? [false, true] : [false];
  const functions: [e.UnaryOp, (x: number) => number, number][] = [
    ["exp", Math.exp, 100],
    ["log", Math.log, 1e30],
    ["tanh", Math.tanh, 12],
    ["sigmoid", (x) => 1 / (1 + Math.exp(-x)), 100],
    ["erf", erf64, 5],
    ["sin", Math.sin, 1e4],
    ["cos", Math.cos, 1e4],
  ];
  const ulp = (x: number): number =>
    2 ** Math.max(-149, Math.floor(Math.log2(Math.abs(x) || 2 ** -149)) - 23);
  for (const [op, exact, reach] of functions) {
    const x: e.Expr = { k: "un", op, a: A("f32"), t: "f32" };
    const inputs = Array.from(
      { length: 4000 },
      (_, i) => [Math.fround(reach * ((i % 400) / 200 - 1) ** (1 + 2 * (i % 4)) + 1e-3 * i), 0] as const,
    );
    for (const fma of modes)
      for (const vector of [true, false]) {
        const got = runAll(x, ["f32", "f32"], inputs, vector, fma) as number[];
        let worst = 0;
        got.forEach((y, n) => {
          const want = exact((inputs[n] as readonly [number, number])[0]);
          if (Number.isNaN(want) && Number.isNaN(y)) return;
          worst = Math.max(worst, y === Math.fround(want) ? 0 : Math.abs(y - want) / ulp(want));
        });
        if (vector) t.diagnostic(`${op}${fma ? " fma" : ""}: ${worst.toFixed(2)} ULP`);
        assert.ok(worst <= 2, `${op}: ${worst} ULP`);
      }
  }
  const pow = power(A("f32"), B("f32"));
  const pairs = Array.from(
    { length: 3000 },
    (_, i) => [Math.fround(0.01 + (i % 61) * 0.7), Math.fround(((i % 53) - 26) * 0.37)] as const,
  );
  for (const fma of modes)
    runAll(pow, ["f32", "f32"], pairs, true, fma).forEach((y, n) => {
      const [a, b] = pairs[n] as readonly [number, number];
      assert.ok(Math.abs((y as number) - a ** b) <= 2 * ulp(a ** b), `${a}^${b} = ${y}`);
    });
});
