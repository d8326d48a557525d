// Recurrent layers beyond rows.test.ts: weights of 8 bits, states that do not last, and what is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ModelError } from "../../error.js";
import { load } from "../../index.js";
import { buildTflite, type ModelSpec, type TensorSpec } from "./build.test.helper.js";
import { cases, inputOf } from "./cases.test.helper.js";
import { readTflite } from "./reader.js";

const lstm = cases.find(([name]) => name === "UNIDIRECTIONAL_SEQUENCE_LSTM")?.[1] as ModelSpec;

/** The layer with operator input `at` taken from tensor `from` (−1: none). */
function rewired(at: number, from: number): ModelSpec {
  const op = lstm.ops[0] as ModelSpec["ops"][number];
  return { ...lstm, ops: [{ ...op, inputs: op.inputs.map((t, i) => (i === at ? from : t)) }] };
}

/** Weights as bytes of one scale; biases stay. */
const hybrid: ModelSpec = {
  ...lstm,
  tensors: lstm.tensors.map((t): TensorSpec => {
    if (t.type !== "FLOAT32" || t.shape.length !== 2 || !t.data) return t;
    const step = 0.01;
    return {
      ...t,
      type: "INT8",
      quant: { scale: [step] },
      data: Int8Array.from(t.data as Float32Array, (v) => Math.round(v / step)),
    };
  }),
};

async function twice(spec: ModelSpec): Promise<[Float32Array, Float32Array]> {
  await using m = await load(buildTflite(spec));
  const x = inputOf(spec).data as Float32Array;
  const run = async (): Promise<Float32Array> => (await m.run({ x })).y?.data as Float32Array;
  return [(await run()).slice(), await run()];
}

test("each run starts from zeros", async () => {
  const [first, second] = await twice(lstm);
  assert.deepEqual(first, second);
  assert.ok(first.some((v) => Math.abs(v) > 0.1));
});

test("weights of 8 bits are real numbers; LiteRT rounds x and h to bytes besides", async () => {
  // biome-ignore format: a list of numbers
  const litert = [0.00385, 0.5969, 0.35588, -0.06453, -0.00774, -0.00243, -0.02609, 0.29143, 0.13271, 0.01386, 0.6834, 0.38922, -0.13884, -0.00582, -0.00156, -0.07718, -0.02655, -0.00285, 0.00405, 0.21618, 0.14624, 0.00978, 0.67273, 0.40484];
  const [y] = await twice(hybrid);
  assert.equal(y.length, litert.length);
  litert.forEach((v, i) => assert.ok(Math.abs(v - (y[i] as number)) < 0.02, `${i}: ${y[i]}, not ${v}`));
});

test("what is not there is refused", () => {
  const refused = (spec: ModelSpec, why: RegExp): void =>
    assert.throws(
      () => readTflite(buildTflite(spec)),
      (e) => e instanceof ModelError && e.code === "unsupported" && why.test(e.message),
    );
  const options = (more: object): ModelSpec => ({
    ...lstm,
    ops: lstm.ops.map((o) => ({ ...o, options: { ...o.options, ...more } })),
  });
  const states = lstm.tensors.flatMap((t, i) => (t.variable ? [i] : []));
  refused(rewired(1, -1), /without one of its gates/);
  refused(rewired(9, lstm.ops[0]?.inputs[12] as number), /peepholes/);
  refused(rewired(16, lstm.ops[0]?.inputs[5] as number), /projections/);
  refused(rewired(19, states[0] as number), /lasts from run to run/);
  refused(options({ 0: { i8: 1 } }), /TANH/);
});
