import assert from "node:assert/strict";
import { test } from "node:test";
import { compile, type CompileOptions } from "../../../compiler/compile.js";
import type { Step, View } from "../../../compiler/program.js";
import { parse } from "../../../graph/text.js";
import { runGraph } from "../../../runtime/run_graph.js";
import { type EngineName, presets } from "../engine.js";
import { fusesMultiplyAdd } from "../probe.js";
import { Bench, noise } from "./harness.js";
import "../../../ops/registry.js";
import { takes } from "./index.js";
import { softmax } from "./softmax.js";

/** The kernel over x, whole or in pieces; `inPlace`: over its own input. */
function run(
  x: Float32Array,
  columns: number,
  options: { beta?: number; inPlace?: boolean; engine?: EngineName; cuts?: number[] } = {},
): Float32Array {
  const rows = x.length / columns;
  const value = (buffer: number): View => ({
    buffer,
    dtype: "float32",
    shape: [rows, columns],
    strides: [columns, 1],
    offset: 0,
  });
  const out = options.inPlace ? 0 : 1;
  const index = [0, 1].map((l) => ({ offset: 0, terms: [[l, 1] as const] }));
  const result = { k: "in", i: 0, t: "f32" } as const;
  const step: Step = {
    kernel: "softmax",
    params: { beta: options.beta ?? 1 },
    values: [value(0), value(out)],
    reads: [0],
    writes: [1],
    // where Bench finds the output
    nest: { loops: [rows, columns], reduce: [], operands: [], result, out: { value: 1, index } },
    op: "Softmax",
    node: "",
    fused: [],
    macs: 0,
  };
  const planned = softmax.plan(step, presets[options.engine ?? "baseline"], { buffers: [] });
  assert.ok(planned);
  const data = options.inPlace ? [x] : [x, new Float32Array(x.length)];
  const bench = new Bench({ step, buffers: [], data }, planned);
  let from = 0;
  for (const to of [...(options.cuts ?? []), rows]) {
    bench.run(from, to);
    from = to;
  }
  bench.check();
  return bench.output() as Float32Array;
}

function wanted(x: Float32Array, columns: number, beta = 1): Float64Array {
  const y = new Float64Array(x.length);
  for (let r = 0; r < x.length; r += columns) {
    const row = Array.from(x.subarray(r, r + columns));
    const most = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
    const powers = row.map((v) => Math.exp(beta * (v - most)));
    const sum = powers.reduce((a, b) => a + b);
    y.set(
      powers.map((p) => p / sum),
      r,
    );
  }
  return y;
}

/** x − most is rounded before its power is taken. */
function close(got: Float32Array, want: Float64Array, what: string): void {
  got.forEach((g, i) => {
    const w = want[i] as number;
    const fine = Number.isNaN(w) ? Number.isNaN(g) : Math.abs(g - w) <= 3e-6 * w + 2 ** -126;
    assert.ok(fine, `${what}: [${i}] is ${g}, wanted ${w}`);
  });
}

test("rows of any length, in place, in pieces, scaled: close, and the same bits", () => {
  for (const columns of [1, 2, 3, 4, 5, 7, 15, 16, 17, 30, 63, 64, 131, 1500])
    for (const engine of fusesMultiplyAdd() ? (["baseline", "fma"] as const) : (["baseline"] as const)) {
      const x = noise(9 * columns, columns).map((v) => 12 * v);
      const got = run(x, columns, { engine });
      close(got, wanted(x, columns), `${columns}`);
      assert.deepEqual(run(x, columns, { engine, inPlace: true }), got);
      assert.deepEqual(run(x, columns, { engine, cuts: [1, 2, 6] }), got);
      if (engine === "fma") assert.deepEqual(run(x, columns, { engine: "wide" }), got);
      close(
        run(x, columns, { engine, beta: 0.3 }),
        wanted(x, columns, Math.fround(0.3)),
        `${columns} scaled`,
      );
    }
});

test("masks, numbers far apart, infinities and NaN, in whole vectors and in what is left of them", () => {
  const { NEGATIVE_INFINITY: less, POSITIVE_INFINITY: more, NaN: none } = Number;
  for (const columns of [3, 6, 19])
    for (const special of [less, -3e38, -1e4, -87.2, -87.4, -89, -104, 88, 3e38, more, none])
      for (const at of [0, columns - 2, columns - 1]) {
        const x = noise(3 * columns, 5);
        x[columns + at] = special;
        close(run(x, columns), wanted(x, columns), `${special} at ${at} of ${columns}`);
      }
  for (const all of [less, -3e38, 3e38, none]) {
    const x = new Float32Array(24).fill(all);
    close(run(x, 6), wanted(x, 6), `all ${all}`);
  }
  assert.equal(run(Float32Array.of(0, -1e4, less, -120, 1), 5)[1], 0, "what is masked is nothing");
});

test("many rows of floats are one step, in the place of their input; few rows, other axes, types and targets have nests", async () => {
  const steps = (
    shape: string,
    axis = -1,
    type = "float32",
    quant = "",
    rest = "",
    options: CompileOptions = { takes },
  ): string[] => {
    const graph = parse(`graph main(%x: ${type}[${shape}]${quant}) -> (%y) {
      %y: ${type}[${shape}]${rest || quant} = Softmax(%x) {axis: ${axis}}
    }`);
    return compile(graph, {}, options).steps.map((s) => s.kernel);
  };
  assert.deepEqual(steps("2, 4, 10"), ["softmax"]);
  for (const other of [
    steps("7, 10"),
    steps("10, 8, 1", 1),
    steps("8, 16385"),
    steps("8, 4", -1, "int8", " q(0.1, 0)", " q(0.00390625, -128)"),
    steps("2, 4, 10", -1, "float32", "", "", {}),
  ])
    assert.ok(!other.includes("softmax"));
  const text = `graph main(%x: float32[2, 4, 10]) -> (%y) {
    %a: float32[2, 4, 10] = Neg(%x)
    %s: float32[2, 4, 10] = Softmax(%a)
    %y: float32[2, 4, 10] = Neg(%s)
  }`;
  const program = compile(parse(text), {}, { takes });
  assert.equal(new Set(program.steps.flatMap((s) => s.values.map((v) => v.buffer))).size, 1);
  const x = noise(80, 3);
  const y = (await runGraph(parse(text), { x: { data: x, shape: [2, 4, 10] } })).y?.data as Float32Array;
  close(
    y.map((v) => -v),
    wanted(
      x.map((v) => -v),
      10,
    ),
    "a graph",
  );
});
