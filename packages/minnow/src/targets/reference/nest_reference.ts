// Interprets any LoopNest over strided tensors, element by element: slow, obvious, and the oracle for
// what the other targets generate.
import type { Access, AxisIndex, LoopNest } from "../../compiler/nest.js";
import type { ScalarType } from "../../compiler/expr.js";
import { type DType, floatToHalf, halfToFloat, type TypedArray } from "../../graph/dtype.js";
import { evaluator, type Value } from "./evaluate.js";

/** A strided tensor over a typed array (float16 as bits in a Uint16Array, bool as Uint8Array). */
export interface NestTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** In elements. */
  readonly strides: readonly number[];
  readonly offset: number;
  readonly data: TypedArray;
}

/**
 * Runs the nest; `values` are its ValueIds in order.
 * @param single round to float32 after each operation instead of computing in float64
 * @returns whether every table-driven index was in range
 */
export function interpretNest(nest: LoopNest, values: readonly NestTensor[], single = false): boolean {
  let inRange = true;
  const body = nest.body && evaluator(nest.body, single);
  const result = evaluator(nest.result, single);
  const tensor = (a: Access): NestTensor => values[a.value] as NestTensor;

  /** Position in the data array, or undefined where a guard keeps it outside. */
  const locate = (a: Access, at: readonly number[]): number | undefined => {
    const t = tensor(a);
    let position = t.offset;
    let inside = true;
    a.index.forEach((axis, d) => {
      const extent = t.shape[d] as number;
      let i = axisPosition(axis, at);
      if (axis.table !== undefined) {
        if (axis.wrap && i < 0) i += extent;
        if (i < 0 || i >= extent) {
          inRange = false;
          i = 0;
        }
      } else if (axis.guard && (i < 0 || i >= extent)) inside = false;
      position += i * (t.strides[d] as number);
    });
    return inside ? position : undefined;
  };
  const axisPosition = (axis: AxisIndex, at: readonly number[]): number => {
    if (axis.table !== undefined) return Number(read(nest.operands[axis.table] as Access, at));
    return axis.terms.reduce((sum, [loop, k]) => sum + k * (at[loop] as number), axis.offset);
  };
  const read = (a: Access, at: readonly number[]): Value => {
    const { dtype, data } = tensor(a);
    const p = locate(a, at);
    if (p === undefined) return dtype === "int64" ? BigInt(a.fill ?? 0) : (a.fill ?? 0);
    const v = data[p] as number | bigint;
    return dtype === "float16" ? halfToFloat(v as number) : v;
  };

  eachIndex(nest.loops, (outer) => {
    const operand = (at: readonly number[], acc: Value) => (i: number) =>
      i < 0 ? acc : read(nest.operands[i] as Access, at);
    const { body: bodyExpr, combine } = nest;
    let acc: Value = 0;
    if (body && bodyExpr && combine) {
      const folded = fold(combine, bodyExpr.t, single);
      eachIndex(nest.reduce, (inner) => {
        const at = [...outer, ...inner];
        folded.step(body(operand(at, 0)), inner[0] ?? 0);
      });
      acc = folded.value();
    }
    const v = result(operand(outer, acc));
    const p = locate(nest.out, outer);
    if (p !== undefined) write(tensor(nest.out), p, v);
  });
  return inRange;
}

function write(t: NestTensor, position: number, v: Value): void {
  if (t.dtype === "float16") t.data[position] = floatToHalf(v as number);
  else t.data[position] = v as never;
}

function eachIndex(extents: readonly number[], visit: (at: readonly number[]) => void): void {
  if (extents.some((n) => n === 0)) return;
  const at = extents.map(() => 0);
  for (;;) {
    visit(at);
    let d = extents.length - 1;
    while (d >= 0 && ++(at[d] as number) === extents[d]) at[d--] = 0;
    if (d < 0) return;
  }
}

interface Fold {
  step(v: Value, index: number): void;
  value(): Value;
}

/** Identities: max −∞ or the least integer; arg… starts at index 0. */
function fold(combine: NonNullable<LoopNest["combine"]>, t: ScalarType, single: boolean): Fold {
  const round = (v: Value): Value => {
    if (t === "i64") return BigInt.asIntN(64, v as bigint);
    if (t === "i32") return Number(v) | 0;
    return single ? Math.fround(v as number) : v;
  };
  const lift = (n: number): Value => (t === "i64" ? BigInt(n) : n);
  const least = t === "f32" ? Number.NEGATIVE_INFINITY : t === "i32" ? -(2 ** 31) : -(2n ** 63n);
  const most = t === "f32" ? Number.POSITIVE_INFINITY : t === "i32" ? 2 ** 31 - 1 : 2n ** 63n - 1n;
  if (combine.startsWith("arg")) {
    const sign = combine.startsWith("argmax") ? 1 : -1;
    const last = combine.endsWith("last");
    let best: Value = sign > 0 ? least : most;
    let at = 0;
    return {
      step(v, index) {
        const better = sign > 0 ? v > best : v < best;
        if (better || (last && v === best)) {
          best = v;
          at = index;
        }
      },
      value: () => at,
    };
  }
  let acc: Value =
    combine === "sum" ? lift(0) : combine === "prod" ? lift(1) : combine === "max" ? least : most;
  return {
    step(v) {
      if (combine === "sum") acc = round((acc as number) + (v as number));
      else if (combine === "prod") {
        acc = t === "i32" ? Math.imul(acc as number, v as number) : round((acc as number) * (v as number));
      } else if (Number.isNaN(v) || Number.isNaN(acc)) acc = t === "f32" ? Number.NaN : acc;
      else if (combine === "max" ? v > acc : v < acc) acc = v;
    },
    value: () => acc,
  };
}
