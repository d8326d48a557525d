import { test } from "node:test";
import * as e from "../../compiler/expr.js";
import { type Access, type AxisIndex, at, fromTable, type LoopNest } from "../../compiler/nest.js";
import type { DType } from "../../graph/dtype.js";
import { baseline } from "./engine.js";

import { relaxed, paired, random, pick, upTo, tensor, check, walk } from "./nest_check.test.helper.js";

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
