// Every row of the operator table against LiteRT: the same small files (cases.test.helper.ts) were run by
// it, and its answers lie in fixtures/tflite-rows.json. Ours come from the reference target.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { evaluate } from "../../targets/reference/index.js";
import { buildTflite } from "./build.test.helper.js";
import { cases, inputOf } from "./cases.test.helper.js";
import { builtins } from "./operators.js";
import { readTflite } from "./reader.js";

interface Golden {
  oracle: string;
  /** Case → outputs. */
  outputs: Record<string, { shape: number[]; data: (number | string)[] }[]>;
}
const golden = JSON.parse(
  readFileSync(new URL("../../../fixtures/tflite-rows.json", import.meta.url), "utf8"),
) as Golden;

for (const [name, spec] of cases)
  test(name, () => {
    const graph = readTflite(buildTflite(spec));
    const values = evaluate(graph, { x: inputOf(spec) });
    const want = golden.outputs[name] ?? assert.fail("no golden");
    assert.equal(want.length, graph.outputs.length);
    want.forEach((w, i) => {
      const got = values.get(graph.outputs[i] ?? assert.fail()) ?? assert.fail();
      assert.deepEqual(got.shape, w.shape);
      w.data.forEach((v, k) => {
        const a = got.data[k] as number;
        assert.ok(
          Math.abs(a - Number(v)) <= 1e-5 + 1e-5 * Math.abs(Number(v)),
          `element ${k} of output ${i}: ${a}, not ${v}`,
        );
      });
    });
  });

test("rows that these cases leave out", () => {
  const covered = new Set(cases.flatMap(([, spec]) => spec.ops.map((o) => o.op)));
  // Checked by models of shared/testdata, by LiteRT lacking them, or by being another row's twin.
  const elsewhere =
    "POW FLOOR_DIV FLOOR_MOD EQUAL LESS_EQUAL GREATER LOGICAL_AND LOGICAL_OR LOGICAL_NOT CEIL ROUND " +
    "SQRT RSQRT LOG QUANTIZE DEQUANTIZE FAKE_QUANT REDUCE_MIN REDUCE_ANY REDUCE_ALL ONE_HOT RANGE FILL";
  assert.deepEqual([...builtins.keys()].filter((op) => !covered.has(op)).sort(), elsewhere.split(" ").sort());
});
