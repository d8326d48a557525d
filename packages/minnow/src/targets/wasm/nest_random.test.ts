// Random loop nests (seeded) against the interpreter, and what holds for all of them: order of writes, work in place,
// one structure for all sizes.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as e from "../../compiler/expr.js";
import { type Access, type AxisIndex, at, fromTable, type LoopNest } from "../../compiler/nest.js";
import { baseline } from "./engine.js";
import { planNest } from "./nest.js";
import { type HarnessTensor, stepOf } from "./nest_harness.js";

import {
  relaxed,
  paired,
  random,
  pick,
  upTo,
  tensor,
  check,
  walk,
  reseed,
} from "./nest_check.test.helper.js";

/** Random nests to try; MINNOW_NESTS=5000 for a long search. */
const rounds = Number(process.env.MINNOW_NESTS ?? 400);

test("random nests", () => {
  for (let i = 0; i < rounds; i++) {
    reseed(i + 1);
    const loops = Array.from({ length: upTo(3) }, () => 1 + upTo(pick([3, 9, 40, 90])));
    const combine = pick([undefined, undefined, "sum", "max", "min", "prod"] as const);
    const reduce = combine ? Array.from({ length: 1 + upTo(2) }, () => 1 + upTo(pick([2, 5, 30]))) : [];
    while ([...loops, ...reduce].reduce((a, b) => a * b, 1) > 4000) (loops.length > 0 ? loops : reduce).pop();
    if (combine && reduce.length === 0) reduce.push(3);
    const dtype = pick([
      "float32",
      "float32",
      "float16",
      "int8",
      "uint8",
      "int16",
      "int32",
      "int64",
    ] as const);
    const t: e.ScalarType =
      dtype === "float32" || dtype === "float16" ? "f32" : dtype === "int64" ? "i64" : "i32";
    const extents = [...loops, ...reduce];
    const values: HarnessTensor[] = [];
    const tables: Access[] = [];
    /** An int32 or int64 tensor over some of the loops, with values in [−extent, extent). */
    const table = (extent: number): number => {
      const kept = extents.flatMap((_, l) => (random() < 0.6 ? [l] : []));
      const t = tensor(
        pick(["int32", "int64"] as const),
        kept.map((l) => extents[l] as number),
        true,
      );
      for (let k = 0; k < t.data.length; k++) {
        const v = upTo(2 * extent - 1) - extent;
        t.data[k] = (t.dtype === "int64" ? BigInt(v) : v) as never;
      }
      values.push(t);
      tables.push({ value: values.length - 1, index: kept.map((l) => at(l)) });
      return 1 + tables.length;
    };
    const operand = (): Access => {
      const index: AxisIndex[] = [];
      const shape: number[] = [];
      for (let l = 0; l < extents.length; l++) {
        if (random() < 0.25) continue;
        const k = pick([1, 1, 1, 2]);
        const other = Math.floor(random() * extents.length);
        const terms: [number, number][] = [[l, k]];
        if (random() < 0.15 && other !== l) terms.push([other, 1]);
        const reach = terms.reduce((sum, [loop, c]) => sum + c * ((extents[loop] as number) - 1), 0);
        const guard = random() < 0.25;
        if (random() < 0.12) {
          const extent = 1 + upTo(6);
          index.push(fromTable(table(extent), true));
          shape.push(extent);
          continue;
        }
        index.push({ offset: guard ? -upTo(3) : upTo(1), terms, ...(guard && { guard }) });
        shape.push(guard ? 1 + upTo(reach + 2) : reach + 2);
      }
      values.push(tensor(dtype, shape, true));
      const fillValue = pick([0, 0, 3, combine === "max" && t === "f32" ? Number.NEGATIVE_INFINITY : 1]);
      return { value: values.length - 1, index, fill: fillValue };
    };
    const operands = [operand(), operand()];
    operands.push(...tables);
    const [a, b] = [e.input(0, t), e.input(1, t)];
    const small = (x: e.Expr): e.Expr => (t === "f32" ? e.mul(x, 0.125) : e.rem(x, 7));
    const mix = pick([
      e.mul(small(a), small(b)),
      e.add(a, e.select(e.lt(b, 1), b, e.neg(b))),
      a,
      e.max(a, b),
      e.mul(small(a), small(b)),
    ]);
    const body = combine === "prod" ? e.add(small(small(a)), 1) : mix;
    const cap = (x: e.Expr): e.Expr =>
      dtype === "int8" || dtype === "uint8" ? e.clamp(x, dtype === "int8" ? -128 : 0, 127) : x;
    const result = combine ? cap(e.add(e.accumulator(t), pick([0, 1]))) : cap(mix);
    values.push(tensor(dtype, loops, true));
    const nest: LoopNest = {
      loops,
      reduce,
      operands,
      ...(combine && { body, combine }),
      result,
      out: walk(values.length - 1, loops),
    };
    check(nest, values, pick([baseline, relaxed, paired]), 2e-4);
  }
});

test("writes through a table keep their order, whatever the share", () => {
  const index = tensor("int32", [7]);
  [2, 0, 2, -1, 3, 2, 0].forEach((v, i) => (index.data[i] = v as never));
  const scatter = (result: e.Expr): LoopNest => ({
    loops: [7, 5],
    reduce: [],
    operands: [
      walk(0, [7, 5]),
      { value: 1, index: [at(0)] },
      { value: 2, index: [fromTable(1, true), at(1)] },
    ],
    result,
    out: { value: 2, index: [fromTable(1, true), at(1)] },
  });
  const x = tensor("float32", [7, 5]);
  check(scatter(e.input(0, "f32")), [x, index, tensor("float32", [4, 5])]);
  check(scatter(e.add(e.input(2, "f32"), e.input(0, "f32"))), [x, index, tensor("float32", [4, 5])]);
});

test("in place", () => {
  for (const length of [1, 5, 100, 5000]) {
    const x = tensor("float32", [length]);
    check(
      {
        loops: [length],
        reduce: [],
        operands: [walk(0, [length])],
        result: e.mul(e.input(0, "f32"), 3),
        out: walk(0, [length]),
      },
      [x],
    );
  }
});

test("one structure serves all sizes", () => {
  const plan = (n: number, c: number) =>
    planNest(
      stepOf(
        {
          loops: [n, c],
          reduce: [],
          operands: [walk(0, [n, c]), walk(1, [c], 2)],
          result: e.add(e.input(0, "f32"), e.mul(e.input(1, "f32"), n + 0.25)),
          out: walk(2, [n, c]),
        },
        [tensor("float32", [n, c]), tensor("float32", [c]), tensor("float32", [n, c])],
      ),
      baseline,
    );
  assert.equal(plan(10, 64).key, plan(77, 32).key);
});
