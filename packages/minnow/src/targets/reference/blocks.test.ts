// The block evaluator against the element evaluator, over every node kind and hostile numbers.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as e from "../../compiler/expr.js";
import { blockEvaluator } from "./blocks.js";
import { evaluator } from "./evaluate.js";

const reals = [0, -0, 1, -1, 0.5, 2.5, -3.75, 1e10, -1e10, Number.NaN, Infinity, -Infinity, 7, 100];
const whole = [0, 1, -1, 5, -7, 2147483647, -2147483648, 31, 64, 12, -12, 3, 2, 9];

function agree(x: e.Expr, data: readonly (readonly number[])[]): void {
  const block = blockEvaluator(x);
  assert.ok(block);
  const n = (data[0] as number[]).length;
  const got = block(n, (i) => Float64Array.from(data[i] as number[]));
  const one = evaluator(x);
  for (let k = 0; k < n; k++) {
    const wanted = Number(one((i) => (data[i] as number[])[k] as number));
    assert.ok(
      Object.is(got[k], wanted),
      `${e.print(x)} of ${data.map((d) => d[k])}: ${got[k]}, wanted ${wanted}`,
    );
  }
}

test("blocks agree with single elements", () => {
  const pairs = (v: readonly number[]) => [v.flatMap((a) => v.map(() => a)), v.flatMap(() => v)];
  const f = [e.input(0, "f32"), e.input(1, "f32")] as const;
  const i = [e.input(0, "i32"), e.input(1, "i32")] as const;
  for (const op of [
    "neg",
    "abs",
    "sqrt",
    "floor",
    "ceil",
    "trunc",
    "nearest",
    "exp",
    "log",
    "tanh",
    "sigmoid",
    "erf",
    "sin",
    "cos",
  ] as const)
    agree({ k: "un", op, a: f[0], t: "f32" }, [reals]);
  for (const op of ["neg", "abs"] as const) agree({ k: "un", op, a: i[0], t: "i32" }, [whole]);
  for (const op of ["add", "sub", "mul", "div", "min", "max", "pow"] as const)
    agree({ k: "bin", op, a: f[0], b: f[1], t: "f32" }, pairs(reals));
  for (const op of [
    "add",
    "sub",
    "mul",
    "div",
    "rem",
    "min",
    "max",
    "and",
    "or",
    "xor",
    "shl",
    "shr",
  ] as const)
    agree({ k: "bin", op, a: i[0], b: i[1], t: "i32" }, pairs(whole));
  for (const op of ["eq", "ne", "lt", "le", "gt", "ge"] as const) {
    agree({ k: "cmp", op, a: f[0], b: f[1], t: "i32" }, pairs(reals));
    agree(e.select({ k: "cmp", op, a: i[0], b: i[1], t: "i32" }, i[0], e.mul(i[0], i[1])), pairs(whole));
  }
  agree(e.cast(f[0], "i32"), [reals]);
  agree(e.cast(i[0], "f32"), [whole]);
  agree(e.bits(f[0], "i32"), [reals.filter((x) => !Number.isNaN(x))]);
});

test("64-bit integers are left to the element evaluator", () => {
  assert.equal(blockEvaluator(e.add(e.input(0, "i64"), 1)), null);
});
