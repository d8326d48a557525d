// Generated loop nests against the interpreter: random nests (seeded) over every structure the planner
// knows, and the cases that random ones seldom hit.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as e from "../../compiler/expr.js";
import { type Access, type AxisIndex, along, at, fromTable, type LoopNest } from "../../compiler/nest.js";
import { contiguousStrides } from "../../compiler/program.js";
import {
  arrayFromBytes,
  type DType,
  floatToHalf,
  halfToFloat,
  newArray,
  type TypedArray,
} from "../../graph/dtype.js";
import { interpretNest } from "../reference/nest_reference.js";
import { ModuleBuilder } from "./assembler.js";
import { baseline, type Engine } from "./engine.js";
import { planNest } from "./nest.js";
import { type HarnessTensor, start, stepOf } from "./nest_harness.js";

const probe = new ModuleBuilder();
probe.exports.set(
  "f",
  probe.func([], [], (f) => f.f32x4(1).f32x4(1).f32x4(1).op("f32x4.relaxed_madd", "drop")),
);
/** With fused multiply-add where this engine has relaxed SIMD. */
const relaxed: Engine = { ...baseline, fma: WebAssembly.validate(probe.build()) };
/** Pairs of vectors at a time: the same numbers, whether the engine joins them or not. */
const paired: Engine = { ...relaxed, wide: true };

/** Random nests to try; MINNOW_NESTS=5000 for a long search. */
const rounds = Number(process.env.MINNOW_NESTS ?? 400);

let seed = 1;
const random = (): number => {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
  return ((seed >>> 8) & 0x3fffff) / 0x400000;
};
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
const upTo = (n: number): number => Math.floor(random() * (n + 1));

function fill(dtype: DType, data: TypedArray, range = 100): void {
  for (let i = 0; i < data.length; i++) {
    const x = (random() - 0.5) * 2 * range;
    if (dtype === "float32") data[i] = x / 16;
    else if (dtype === "float16") data[i] = floatToHalf(x / 16);
    else if (dtype === "int64") data[i] = BigInt(Math.round(x));
    else if (dtype === "bool") data[i] = x > 0 ? 1 : 0;
    else if (dtype === "uint8") data[i] = Math.round(Math.abs(x));
    else data[i] = Math.round(x);
  }
}

/** A tensor in a larger array: padded strides, an offset, perhaps permuted storage order. */
function tensor(dtype: DType, shape: readonly number[], loose = false): HarnessTensor {
  const order = shape.map((_, i) => i);
  if (loose && random() < 0.3) order.sort(() => random() - 0.5);
  const strides = new Array<number>(shape.length);
  let stride = loose ? pick([1, 1, 1, 2, 3]) : 1;
  for (let k = order.length - 1; k >= 0; k--) {
    const d = order[k] as number;
    strides[d] = stride;
    stride *= shape[d] as number;
    if (loose) stride += upTo(2);
  }
  const offset = loose ? upTo(5) : 0;
  const data = newArray(dtype, Math.max(1, stride + offset));
  fill(dtype, data);
  return { dtype, shape, strides: loose ? strides : contiguousStrides(shape), offset, data };
}

const number = (dtype: DType, v: number | bigint | undefined): number =>
  dtype === "float16" ? halfToFloat(Number(v)) : Number(v);

/** Runs both and compares the whole output array. */
function check(
  nest: LoopNest,
  values: readonly HarnessTensor[],
  engine = baseline,
  tolerance = 2e-6,
  wantError = false,
): void {
  const planned = planNest(stepOf(nest, values), engine);
  const running = start(planned, values);
  const middle = Math.floor(planned.extent * random());
  running.run(middle);
  running.run(0, middle);
  const out = values[nest.out.value] as HarnessTensor;
  const got = arrayFromBytes(out.dtype, running.read(nest.out.value).slice());
  const copies = new Map(values.map((t) => [t.data, t.data.slice()]));
  const expected = values.map((t) => ({ ...t, data: copies.get(t.data) as TypedArray }));
  const fine = interpretNest(nest, expected, true);
  const want = expected[nest.out.value]?.data as TypedArray;
  assert.equal(running.error() !== 0, wantError, "error word");
  assert.equal(fine, !wantError);
  for (let i = 0; i < want.length; i++) {
    const a = number(out.dtype, got[i]);
    const b = number(out.dtype, want[i]);
    if (Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const limit = out.dtype === "float16" ? 2e-3 : tolerance;
    const close =
      (out.dtype === "float32" || out.dtype === "float16") &&
      Math.abs(a - b) <= limit * Math.max(1, Math.abs(b));
    assert.ok(close, `element ${i}: ${a}, expected ${b}\n${describe(nest, values)}\n${planned.key}`);
  }
}

const describe = (nest: LoopNest, values: readonly HarnessTensor[]): string =>
  JSON.stringify({
    nest: { ...nest, body: nest.body && e.print(nest.body), result: e.print(nest.result) },
    values: values.map(({ data, ...v }) => ({ ...v, length: data.length })),
  });

const walk = (value: number, shape: readonly number[], rank = shape.length): Access => ({
  value,
  index: along(shape, rank),
});

test("element-wise: every dtype pair, lengths around the vector width", () => {
  const types: DType[] = ["float32", "float16", "int8", "uint8", "int16", "int32", "bool", "int64"];
  for (const from of types)
    for (const to of types)
      for (const length of [1, 3, 4, 7, 16, 37, 133]) {
        const x = tensor(from, [length]);
        const y = tensor(to, [length]);
        const type = (t: DType): e.ScalarType =>
          t === "float32" || t === "float16" ? "f32" : t === "int64" ? "i64" : "i32";
        const v = e.input(0, type(from));
        check(
          {
            loops: [length],
            reduce: [],
            operands: [walk(0, [length])],
            result: e.cast(e.add(v, 1), type(to)),
            out: walk(1, [length]),
          },
          [x, y],
        );
      }
});

test("rank 0, empty loops and empty reductions", () => {
  const scalar = tensor("float32", []);
  check(
    {
      loops: [],
      reduce: [],
      operands: [{ value: 0, index: [] }],
      result: e.mul(e.input(0, "f32"), 3),
      out: { value: 1, index: [] },
    },
    [scalar, tensor("float32", [])],
  );
  check(
    {
      loops: [0, 4],
      reduce: [],
      operands: [walk(0, [0, 4])],
      result: e.input(0, "f32"),
      out: walk(1, [0, 4]),
    },
    [tensor("float32", [0, 4]), tensor("float32", [0, 4])],
  );
  for (const combine of ["sum", "max", "prod"] as const)
    check(
      {
        loops: [5],
        reduce: [0],
        operands: [{ value: 0, index: [at(0), at(1)] }],
        body: e.input(0, "f32"),
        combine,
        result: e.accumulator("f32"),
        out: walk(1, [5]),
      },
      [tensor("float32", [5, 0]), tensor("float32", [5])],
    );
});

test("broadcasts and strided views", () => {
  for (let i = 0; i < 60; i++) {
    const shape = Array.from({ length: 1 + upTo(3) }, () => 1 + upTo(9));
    const some = shape.map((d) => (random() < 0.4 ? 1 : d));
    const a = tensor("float32", shape, true);
    const b = tensor("float32", some, true);
    const y = tensor("float32", shape, true);
    check(
      {
        loops: shape,
        reduce: [],
        operands: [walk(0, shape), walk(1, some, shape.length)],
        result: e.add(e.mul(e.input(0, "f32"), 2.5), e.input(1, "f32")),
        out: walk(2, shape),
      },
      [a, b, y],
      pick([baseline, relaxed, paired]),
    );
  }
});

test("max pooling with padding, average pooling, and a convolution with guards", () => {
  for (const [c, combine] of [
    [5, "max"],
    [16, "max"],
    [37, "sum"],
    [96, "max"],
  ] as const)
    for (const dtype of ["float32", "int8"] as const) {
      const t = dtype === "float32" ? "f32" : "i32";
      const x = tensor(dtype, [1, 9, 8, c]);
      const y = tensor(dtype === "float32" ? dtype : "int32", [1, 5, 4, c]);
      check(
        {
          loops: [1, 5, 4, c],
          reduce: [3, 3],
          operands: [
            {
              value: 0,
              index: [
                at(0),
                {
                  offset: -1,
                  terms: [
                    [1, 2],
                    [4, 1],
                  ],
                  guard: true,
                },
                {
                  offset: -1,
                  terms: [
                    [2, 2],
                    [5, 1],
                  ],
                  guard: true,
                },
                at(3),
              ],
              fill: combine === "sum" ? 0 : t === "f32" ? Number.NEGATIVE_INFINITY : -128,
            },
          ],
          body: e.input(0, t),
          combine,
          result: e.accumulator(t),
          out: walk(1, [1, 5, 4, c]),
        },
        [x, y],
      );
    }
  const x = tensor("float32", [2, 7, 6, 19]);
  const w = tensor("float32", [13, 3, 3, 19]);
  const y = tensor("float32", [2, 7, 6, 13]);
  const index = (l: number, r: number): AxisIndex => ({
    offset: -1,
    terms: [
      [l, 1],
      [r, 1],
    ],
    guard: true,
  });
  check(
    {
      loops: [2, 7, 6, 13],
      reduce: [3, 3, 19],
      operands: [
        { value: 0, index: [at(0), index(1, 4), index(2, 5), at(6)] },
        { value: 1, index: [at(3), at(4), at(5), at(6)] },
      ],
      body: e.mul(e.input(0, "f32"), e.input(1, "f32")),
      combine: "sum",
      result: e.max(e.accumulator("f32"), 0),
      out: walk(2, [2, 7, 6, 13]),
    },
    [x, w, y],
    relaxed,
    1e-4,
  );
});

test("pad, with a fill that is not neutral", () => {
  for (const inner of [1, 6, 33])
    check(
      {
        loops: [5, 9, inner + 3],
        reduce: [],
        operands: [
          {
            value: 0,
            index: [
              { offset: -1, terms: [[0, 1]], guard: true },
              { offset: -2, terms: [[1, 1]], guard: true },
              { offset: -1, terms: [[2, 1]], guard: true },
            ],
            fill: 7.5,
          },
        ],
        result: e.input(0, "f32"),
        out: walk(1, [5, 9, inner + 3]),
      },
      [tensor("float32", [3, 6, inner]), tensor("float32", [5, 9, inner + 3])],
    );
});

test("padding of the innermost axis, beside another operand and under a reduction", () => {
  for (const [c, before, after] of [
    [24, 0, 4],
    [7, 3, 2],
    [33, 1, 0],
    [1, 5, 5],
    [300, 200, 17],
  ] as const)
    for (const dtype of ["float32", "int8", "int64"] as const) {
      const t = dtype === "float32" ? "f32" : dtype === "int8" ? "i32" : "i64";
      const wide = before + c + after;
      const padded: Access = {
        value: 0,
        index: [
          { offset: -1, terms: [[0, 1]], guard: true },
          { offset: -before, terms: [[1, 1]], guard: true },
        ],
        fill: 5,
      };
      check(
        {
          loops: [6, wide],
          reduce: [],
          operands: [padded, walk(1, [6, wide])],
          result: e.add(e.input(0, t), e.input(1, t)),
          out: walk(2, [6, wide]),
        },
        [tensor(dtype, [4, c]), tensor(dtype, [6, wide]), tensor(dtype, [6, wide])],
      );
      const taps: Access = {
        value: 0,
        index: [at(1), { offset: -before, terms: [[0, 1]], guard: true }],
        fill: 2,
      };
      check(
        {
          loops: [wide],
          reduce: [4],
          operands: [taps],
          body: e.input(0, t),
          combine: "sum",
          result: e.accumulator(t),
          out: walk(1, [wide]),
        },
        [tensor(dtype, [4, c]), tensor(dtype === "int8" ? "int32" : dtype, [wide])],
      );
    }
});

test("gather along rows and lanes; indices out of range set the error word", () => {
  for (const dtype of ["int32", "int64"] as const)
    for (const bad of [false, true]) {
      const index = tensor(dtype, [6]);
      for (let i = 0; i < 6; i++) index.data[i] = (dtype === "int64" ? BigInt(i - 3) : i - 3) as never;
      if (bad) index.data[4] = (dtype === "int64" ? 2n ** 32n : 9) as never;
      for (const result of [e.input(0, "f32"), e.add(e.input(0, "f32"), 1)]) {
        const nest = (first: boolean): LoopNest => ({
          loops: [6, 20],
          reduce: [],
          operands: [
            { value: 0, index: first ? [fromTable(1, true), at(1)] : [at(1), fromTable(1, true)] },
            { value: 1, index: [at(0)] },
          ],
          result,
          out: walk(2, [6, 20]),
        });
        check(nest(true), [tensor("float32", [4, 20]), index, tensor("float32", [6, 20])], baseline, 0, bad);
        check(nest(false), [tensor("float32", [20, 4]), index, tensor("float32", [6, 20])], baseline, 0, bad);
        const swapped = {
          ...nest(true),
          loops: [20, 6],
          operands: [
            { value: 0, index: [at(0), fromTable(1, true)] },
            { value: 1, index: [at(1)] },
          ],
          out: walk(2, [20, 6]),
        };
        check(swapped, [tensor("float32", [20, 4]), index, tensor("float32", [20, 6])], baseline, 0, bad);
      }
    }
});

test("arg reductions", () => {
  for (const combine of ["argmax", "argmin", "argmax_last", "argmin_last"] as const)
    for (const dtype of ["float32", "int8"] as const)
      for (const [shape, axis] of [
        [[7, 23], 0],
        [[7, 23], 1],
        [[1, 50], 1],
      ] as const) {
        const t = dtype === "float32" ? "f32" : "i32";
        const x = tensor(dtype, shape);
        for (let i = 0; i < x.data.length; i++) x.data[i] = upTo(5);
        const wide = axis === 1;
        const kept = shape[1 - axis] as number;
        check(
          {
            loops: [kept],
            reduce: [shape[axis] as number],
            operands: [{ value: 0, index: axis === 0 ? [at(1), at(0)] : [at(0), at(1)] }],
            body: e.input(0, t),
            combine,
            result: e.cast(e.accumulator("i32"), wide ? "i64" : "i32"),
            out: walk(1, [kept]),
          },
          [x, tensor(wide ? "int64" : "int32", [kept])],
        );
      }
});

test("NaN goes through max and min, whichever lanes and loops it is met in", () => {
  for (const combine of ["max", "min"] as const)
    for (const [shape, axis] of [
      [[9, 37], 0],
      [[9, 37], 1],
    ] as const)
      for (let i = 0; i < 20; i++) {
        const x = tensor("float32", shape);
        for (let k = 0; k < 1 + upTo(3); k++) x.data[upTo(x.data.length - 1)] = Number.NaN;
        const kept = shape[1 - axis] as number;
        const index = axis === 0 ? [at(1), at(0)] : [at(0), at(1)];
        check(
          {
            loops: [kept],
            reduce: [shape[axis] as number],
            operands: [{ value: 0, index }],
            body: e.input(0, "f32"),
            combine,
            result: e.accumulator("f32"),
            out: walk(1, [kept]),
          },
          [x, tensor("float32", [kept])],
        );
      }
});

test("transpositions of every element size, with partial tiles and outer loops", () => {
  for (const dtype of ["float32", "int8", "float16", "int64", "int32"] as const)
    for (const [a, b, ...rest] of [
      [16, 4],
      [16, 7],
      [37, 21],
      [5, 64],
      [64, 5],
      [19, 33, 3],
      [20, 8, 2, 3],
    ] as [number, number, ...number[]][]) {
      const t = dtype === "int64" ? "i64" : dtype === "int8" || dtype === "int32" ? "i32" : "f32";
      const loops = [...rest, b, a];
      const k = rest.length;
      const x = tensor(dtype, [...rest, a, b], random() < 0.3);
      check(
        {
          loops,
          reduce: [],
          operands: [{ value: 0, index: [...rest.map((_, l) => at(l)), at(k + 1), at(k)] }],
          result: e.input(0, t),
          out: walk(1, loops),
        },
        [x, tensor(dtype, loops)],
      );
    }
});

test("fused transpositions go in panels; parts of panels, padding and broadcasts with them", () => {
  for (const [a, b] of [
    [64, 16],
    [100, 37],
    [256, 20],
    [131, 64],
    [90, 3],
  ] as const)
    for (const pad of [0, 3]) {
      const index: AxisIndex[] = [pad ? { offset: -pad, terms: [[2, 1]], guard: true } : at(2), at(1)];
      const loops = [2, b, a];
      check(
        {
          loops,
          reduce: [],
          operands: [{ value: 0, index, fill: 4 }, walk(1, loops), { value: 2, index: [at(1)] }],
          result: e.add(e.mul(e.input(0, "f32"), e.input(2, "f32")), e.input(1, "f32")),
          out: walk(3, loops),
        },
        [
          tensor("float32", [a - pad, b]),
          tensor("float32", loops, true),
          tensor("float32", [b]),
          tensor("float32", loops),
        ],
      );
      check(
        {
          loops,
          reduce: [3],
          operands: [{ value: 0, index: [at(3), at(2), at(1)] }],
          body: e.input(0, "i32"),
          combine: "sum",
          result: e.accumulator("i32"),
          out: walk(1, loops),
        },
        [tensor("int16", [3, a, b]), tensor("int32", loops)],
      );
    }
});

test("random nests", () => {
  for (let i = 0; i < rounds; i++) {
    seed = i + 1;
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
