// Runs a loop nest as generated code and by the interpreter, and compares all of what they write.
import assert from "node:assert/strict";
import * as e from "../../compiler/expr.js";
import { type Access, along, type LoopNest } from "../../compiler/nest.js";
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
export const relaxed: Engine = { ...baseline, fma: WebAssembly.validate(probe.build()) };
/** Pairs of vectors at a time: the same numbers, whether the engine joins them or not. */
export const paired: Engine = { ...relaxed, wide: true };

let seed = 1;

/** Starts the random numbers anew. */
export function reseed(value: number): void {
  seed = value;
}

export const random = (): number => {
  seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
  return ((seed >>> 8) & 0x3fffff) / 0x400000;
};
export const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
export const upTo = (n: number): number => Math.floor(random() * (n + 1));

export function fill(dtype: DType, data: TypedArray, range = 100): void {
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
export function tensor(dtype: DType, shape: readonly number[], loose = false): HarnessTensor {
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

export const number = (dtype: DType, v: number | bigint | undefined): number =>
  dtype === "float16" ? halfToFloat(Number(v)) : Number(v);

/** Runs both and compares the whole output array. */
export function check(
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

export const describe = (nest: LoopNest, values: readonly HarnessTensor[]): string =>
  JSON.stringify({
    nest: { ...nest, body: nest.body && e.print(nest.body), result: e.print(nest.result) },
    values: values.map(({ data, ...v }) => ({ ...v, length: data.length })),
  });

export const walk = (value: number, shape: readonly number[], rank = shape.length): Access => ({
  value,
  index: along(shape, rank),
});
