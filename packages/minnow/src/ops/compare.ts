// Comparisons and logic: bool out. With NaN only NotEqual holds. And/Or/Xor on integers are bitwise.
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import type { Dim } from "../graph/dim.js";
import { elementwise } from "./elementwise.js";

const ab = ["a", "b"] as const;

/** Symbols compare only where they are equal; `reflexive` is the answer then. */
const comparison = (
  name: string,
  expr: (a: Expr, b: Expr) => Expr,
  plain: (a: number, b: number) => boolean,
  reflexive: boolean,
) =>
  elementwise(name, ab, ([a, b]) => expr(a, b), {
    types: "any",
    dtype: "bool",
    value: ([a, b]: readonly Dim[]) => {
      if (typeof a === "number" && typeof b === "number") return plain(a, b) ? 1 : 0;
      return a === b && reflexive ? 1 : a === b ? 0 : null;
    },
  });

const logic = (name: string, expr: (a: Expr, b: Expr) => Expr, plain: (a: number, b: number) => number) =>
  elementwise(name, ab, ([a, b]) => expr(a, b), {
    types: "logical",
    value: ([a, b], _, c) =>
      c.inputs[0]?.dtype === "bool" && typeof a === "number" && typeof b === "number" ? plain(a, b) : null,
  });

export const ops = [
  comparison("Equal", e.eq, (a, b) => a === b, true),
  comparison("NotEqual", e.ne, (a, b) => a !== b, false),
  comparison("Less", e.lt, (a, b) => a < b, false),
  comparison("LessEqual", e.le, (a, b) => a <= b, true),
  comparison("Greater", e.gt, (a, b) => a > b, false),
  comparison("GreaterEqual", e.ge, (a, b) => a >= b, true),
  logic("And", e.and, (a, b) => a & b),
  logic("Or", e.or, (a, b) => a | b),
  logic("Xor", e.xor, (a, b) => a ^ b),
];
