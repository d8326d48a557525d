import assert from "node:assert/strict";
import { test } from "node:test";
import * as e from "../../../compiler/expr.js";
import { at, fromTable } from "../../../compiler/nest.js";
import { actual, type Case, CaseBuilder, expected } from "./harness.js";
import { lookup } from "./lookup.js";

function lookupCase(type: "int8" | "uint8", shape: number[], xPitch?: number, outPitch?: number): Case {
  const b = new CaseBuilder();
  const rows = shape.slice(0, -1).reduce((x, y) => x * y, 1);
  const of = (n: number, f: (i: number) => number) =>
    type === "int8"
      ? Int8Array.from({ length: n }, (_, i) => f(i))
      : Uint8Array.from({ length: n }, (_, i) => f(i));
  const last = shape.at(-1) as number;
  const table = b.add(
    of(256, (i) => i * 37 + 11),
    type,
    [256],
  );
  const x = b.add(
    of(rows * (xPitch ?? last), (i) => i * 29),
    type,
    shape,
    false,
    xPitch,
  );
  const out = b.add(
    of(rows * (outPitch ?? last), () => 7),
    type,
    shape,
    false,
    outPitch,
  );
  const index = shape.map((_, i) => at(i));
  const nest = {
    loops: shape,
    reduce: [],
    operands: [
      { value: table, index: [fromTable(1, true)] },
      { value: x, index },
    ],
    result: e.input(0, "i32"),
    out: { value: out, index },
  };
  return b.finish("lookup", {}, nest);
}

const engine = { fma: false, f32: { mr: 4, nr: 8 }, i8: { mr: 4, nr: 8 }, wide: false } as const;

for (const type of ["int8", "uint8"] as const)
  for (const [name, shape, xPitch, outPitch] of [
    ["whole", [3, 5, 67]],
    ["fewer than a block", [5]],
    ["blocks alone", [2, 8]],
    ["x in wider pixels", [2, 5, 13], 20],
    ["the output in wider pixels", [2, 5, 8], undefined, 24],
  ] as [string, number[], number?, number?][])
    test(`${type} by a table: ${name}`, () => {
      const c = lookupCase(type, shape, xPitch, outPitch);
      assert.deepEqual(actual(c, lookup, engine), expected(c));
    });
