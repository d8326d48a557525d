// ONNX's own backend cases through the reader: on the reference as read, and on WebAssembly after all passes.
// Every case passes, or is refused with a reason; a wrong answer fails, and so does a smaller number of passes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { optimize } from "../../passes/index.js";
import { runGraph } from "../../runtime/run_graph.js";
import { readCases, shared } from "./backend.test.helper.js";
import { onReference, runCase, type Target } from "./run_case.test.helper.js";

/** Cases of ONNX 1.23 (node, simple, pytorch-*: 2027) that pass. Raise them when operators are added. */
const passing = { reference: 1243, wasm: 1249 };

/** Where ONNX's reference is alone: ONNX Runtime gives what Minnow gives. */
const differs: Record<string, string> = {
  "node/test_resize_downsample_scales_linear_align_corners": "ONNX counts fractions of a pixel in the output",
  "node/test_resize_downsample_scales_cubic_align_corners": "ONNX counts fractions of a pixel in the output",
};

const archive = shared("op-level/onnx-backend-1.23.tar.gz");

async function runAll(
  target: Target,
): Promise<{ passed: number; unsupported: Map<string, number>; wrong: string[] }> {
  const unsupported = new Map<string, number>();
  const wrong: string[] = [];
  let passed = 0;
  for (const c of readCases(archive as string)) {
    const o = await runCase(c, target);
    if (o.kind === "passed") passed++;
    else if (o.kind === "unsupported") {
      const reason = o.reason.replace(/"[^"]*"/g, "…");
      unsupported.set(reason, (unsupported.get(reason) ?? 0) + 1);
    } else if (!(c.name in differs)) wrong.push(`${c.name}: ${o.reason}`);
  }
  return { passed, unsupported, wrong };
}

const targets: Record<keyof typeof passing, Target> = {
  reference: onReference,
  wasm: async (graph, inputs) => {
    optimize(graph);
    return Object.values(await runGraph(graph, inputs));
  },
};

for (const name of ["reference", "wasm"] as const)
  test(`ONNX backend cases on ${name}`, {
    skip: archive ? false : "shared/testdata is not here",
  }, async (t) => {
    const { passed, unsupported, wrong } = await runAll(targets[name]);
    const refused = [...unsupported.values()].reduce((a, b) => a + b, 0);
    t.diagnostic(
      `${passed} passed, ${refused} unsupported for ${unsupported.size} reasons, ${wrong.length} wrong`,
    );
    for (const [reason, n] of [...unsupported].sort((a, b) => b[1] - a[1]).slice(0, 12))
      t.diagnostic(`  ${n} × ${reason}`);
    assert.deepEqual(wrong, []);
    assert.ok(passed >= passing[name], `${passed} of ${passing[name]} cases pass`);
  });
