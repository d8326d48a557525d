import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compile } from "../../../compiler/compile.js";
import * as e from "../../../compiler/expr.js";
import { at } from "../../../compiler/nest.js";
import type { Step } from "../../../compiler/program.js";
import { parse } from "../../../graph/text.js";
import { presets } from "../engine.js";
import { planSteps } from "../prepare.js";
import { fusesMultiplyAdd } from "../probe.js";
import { sparse } from "./gemv_sparse.js";
import { actual, type Case, CaseBuilder, expected, noise, worst } from "./harness.js";

/** A row behind a ReLU times weights; `x` says what the ReLU let through. */
function rowCase(k: number, n: number, x: Float32Array, transposed = false, float16 = false): Case {
  const b = new CaseBuilder();
  const padded = new Float32Array(k + 64).fill(Number.NaN);
  padded.set(x);
  const from = b.add(padded, "float32", [1, k]);
  const numbers = noise(n * k, 3);
  const w = float16
    ? b.add(
        Uint16Array.from(numbers, (v) => 0x3000 + ((Math.abs(v) * 4096) | 0)),
        "float16",
        [n, k],
        true,
      )
    : b.add(numbers, "float32", transposed ? [k, n] : [n, k], true);
  const bias = b.add(noise(n, 5), "float32", [n], true);
  const out = b.add(noise(n, 4), "float32", [1, n]);
  return b.finish(
    "dense",
    {},
    {
      loops: [1, n],
      reduce: [k],
      operands: [
        { value: from, index: [at(0), at(2)] },
        { value: w, index: transposed ? [at(2), at(1)] : [at(1), at(2)] },
        { value: bias, index: [at(1)] },
      ],
      body: e.mul(e.input(0, "f32"), e.input(1, "f32")),
      combine: "sum",
      result: e.max(e.add(e.accumulator("f32"), e.input(2, "f32")), 0),
      out: { value: out, index: [at(0), at(1)] },
    },
  );
}

/** The step that wrote its x. */
function relu(c: Case): Step {
  const index = [at(0), at(1)];
  const { shape } = c.step.values[0] as { shape: readonly number[] };
  return {
    ...c.step,
    kernel: "nest",
    nest: {
      loops: shape,
      reduce: [],
      operands: [{ value: 0, index }],
      result: e.max(e.input(0, "f32"), 0),
      out: { value: 0, index },
    },
  };
}

const kernel = (c: Case) => ({
  ...sparse,
  plan: (step: Step, engine: Parameters<typeof sparse.plan>[1]) =>
    sparse.plan(step, engine, { buffers: c.buffers, steps: [relu(c), step] }),
});

const masks: Record<string, (i: number) => boolean> = {
  none: () => true,
  all: () => false,
  "every other one": (i) => i % 2 === 0,
  "what comes in fours": (i) => (i & 4) === 0,
  "here and there": (i) => (i * 7919) % 11 < 5,
  "all but the last": (i) => i > 60,
};

describe("one row behind a ReLU against the loop nest", () => {
  for (const [name, kept] of Object.entries(masks))
    for (const [k, n, ...form] of [
      [64, 64],
      [37, 32, true],
      [66, 95],
      [129, 160, true],
      [70, 64, false, true],
      [33, 1100],
    ] as [number, number, boolean?, boolean?][])
      test(`zeros: ${name}; ${k} → ${n} ${form}`, () => {
        const c = rowCase(
          k,
          n,
          noise(k, 2).map((v, i) => (kept(i) ? v : 0)),
          ...form,
        );
        const want = expected(c);
        for (const fma of fusesMultiplyAdd() ? [false, true] : [false])
          for (const wide of [false, true]) {
            const got = actual(c, kernel(c), { ...presets.baseline, fma, wide });
            assert.ok(got, "planned");
            assert.ok(worst(got, want) < 1e-5, `off by ${worst(got, want)}`);
          }
      });
});

/** The kernel of the last step; `lines` make %r, a row of 64, from 4 channels of 4×4. */
async function last(lines: string): Promise<string | undefined> {
  const numbers = Array.from({ length: 4096 }, (_, i) => ((i * 37) % 19) / 19 - 0.5).join(", ");
  const program = compile(
    parse(`graph main(%x: float32[1, 4, 4, 4]) -> (%y) {
      const %w: float32[64, 64] = [${numbers}]
      ${lines}
      %y: float32[1, 64] = Dense(%r, %w)
    }`),
  );
  const planned = await planSteps(program, presets.baseline, () => false);
  return planned.at(-1)?.label.replace(/_muladd.*/, "");
}

test("rows are read whole where no ReLU wrote them", async () => {
  const flat = "%f: float32[1, 64] = Reshape(%x) {shape: [1, 64]}";
  const after = (op: string) => `${flat}\n%d: float32[1, 64] = Dense(%f, %w)\n%r: float32[1, 64] = ${op}`;
  assert.equal(await last(flat.replace("%f", "%r")), "f32_gemv");
  assert.equal(await last(after("Sigmoid(%d)")), "f32_gemv");
  assert.equal(await last(after("Clip(%d) {min: -1, max: 6}")), "f32_gemv");
  assert.equal(await last(after("Clip(%d) {min: 0, max: 6}")), "f32_gemv_sparse");
  assert.equal(await last(after("Relu(%d)")), "f32_gemv_sparse");
  assert.equal(
    await last(`%a: float32[1, 4, 4, 4] = Relu(%x)
      %t: float32[1, 4, 4, 4] = Transpose(%a) {perm: [0, 3, 1, 2]}
      %r: float32[1, 64] = Reshape(%t) {shape: [1, 64]}`),
    "f32_gemv_sparse",
  );
});
