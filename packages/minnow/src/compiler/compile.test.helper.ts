// For tests of the compiler: graphs in the text form, the steps that they become, and their answers.
import assert from "node:assert/strict";
import { type DType, newArray } from "../graph/dtype.js";
import type { Tensor } from "../graph/graph.js";
import { parse } from "../graph/text.js";
import { runGraph } from "../runtime/run_graph.js";
import { evaluate } from "../targets/reference/index.js";
import { compile } from "./compile.js";

function inputFor(t: Tensor): { data: ReturnType<typeof newArray>; shape: number[] } {
  const shape = t.shape as number[];
  const data = newArray(
    t.dtype as DType,
    shape.reduce((a, b) => a * b, 1),
  ) as Float32Array;
  for (let i = 0; i < data.length; i++)
    data[i] = t.dtype === "float32" ? Math.sin(i * 1.7) * 2 : Math.round(Math.sin(i * 1.7) * 90);
  return { data, shape };
}

/** The steps after compiling, having checked the answer against the reference. */
export async function check(
  text: string,
  steps: readonly string[],
  fusions: Record<string, number>,
): Promise<void> {
  const graph = parse(text);
  const program = compile(graph);
  const shown = program.steps.map((s) => [s.kernel === "nest" ? s.op : s.kernel, ...s.fused].join("+"));
  assert.deepEqual(shown, steps);
  for (const [what, n] of Object.entries(fusions)) assert.equal(program.fusions[what], n, what);
  assert.ok(program.arenaBytes >= program.boundBytes);
  const inputs = Object.fromEntries(graph.inputs.map((t) => [t.name, inputFor(t)]));
  const got = await runGraph(graph, inputs);
  const want = evaluate(graph, inputs);
  for (const o of graph.outputs) {
    const a = got[o.name]?.data as Float32Array;
    const b = want.get(o)?.data as Float64Array;
    const limit = o.dtype === "float32" ? 1e-5 : 1;
    for (let i = 0; i < b.length; i++)
      assert.ok(
        Math.abs((a[i] as number) - (b[i] as number)) <= limit,
        `${o.name}[${i}]: ${a[i]}, want ${b[i]}`,
      );
  }
}

export const weights = (name: string, shape: number[]): string => {
  const n = shape.reduce((a, b) => a * b, 1);
  const data = Array.from({ length: n }, (_, i) => (((i * 37) % 11) - 5) / 16);
  return `const %${name}: float32[${shape}] = [${data.join(", ")}]`;
};
