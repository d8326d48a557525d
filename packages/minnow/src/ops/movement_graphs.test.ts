// Random graphs of movement and element-wise operators. Fused, placed in each other's memory and run on
// WebAssembly, with and without passes, they give what the plain reference gives; and their symbolic
// shapes, bound, are the shapes that inference finds with numbers. Seeded; MINNOW_SEEDS=n tries more.
import assert from "node:assert/strict";
import test from "node:test";
import type { Dim } from "../graph/dim.js";
import type { Tensor } from "../graph/graph.js";
import { optimize } from "../passes/index.js";
import { runGraph } from "../runtime/run_graph.js";
import { evaluate, fromArray, type RefTensor, toArray } from "../targets/reference/index.js";
import { inferGraph } from "./infer.js";
import { print, randomGraph } from "./movement_graphs.test.kit.js";

const seeds = Number(process.env.MINNOW_SEEDS ?? 150);

test("random graphs of movement operators", async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const { graph, inputs } = randomGraph(seed);
    if (graph.outputs.length === 0) continue;
    const wanted = evaluate(graph, inputs);
    const given = Object.fromEntries(
      Object.entries(inputs).map(([k, v]) => [k, { data: toArray(v), shape: v.shape }]),
    );
    const listing = `seed ${seed}\n${print(graph)}`;
    const compare = async (how: string, outputs: readonly Tensor[]): Promise<void> => {
      const got = await runGraph(graph, given).catch((e: Error) =>
        assert.fail(`${how}, ${listing}\n${e.stack}`),
      );
      for (const t of outputs) {
        const w = wanted.get(t) as RefTensor;
        const message = `${how}: ${t.name} of ${listing}`;
        assert.deepEqual([...(got[t.name]?.shape ?? [])], [...w.shape], message);
        const plain = (data: ArrayLike<number>): number[] => Array.from(data, (v) => v + 0); // −0 is 0: relu may give either
        assert.deepEqual(
          plain(fromArray(got[t.name]?.data ?? [], w.dtype, w.shape).data),
          plain(w.data),
          message,
        );
      }
    };
    const outputs = [...graph.outputs];
    await compare("as it is", outputs);
    optimize(graph);
    await compare("after all passes", outputs);
  }
});

/** The number that a symbolic dim stands for; null where it names what only data decides. */
function bound(d: Dim, env: Record<string, number>): number | null {
  if (typeof d === "number") return d;
  let sum = 0;
  for (const term of split(d, " + ")) {
    const [, factor, atom = ""] = /^(?:(-?\d+)\*)?(.*)$/.exec(term) ?? [];
    const v = /^-?\d+$/.test(atom) ? Number(atom) : atomValue(atom, env);
    if (v === null) return null;
    sum += Number(factor ?? 1) * v;
  }
  return sum;
}

function atomValue(atom: string, env: Record<string, number>): number | null {
  const [, name, args] = /^(\w+)\((.*)\)$/.exec(atom) ?? [];
  if (!name || args === undefined) return env[atom] ?? null;
  const [a, b] = split(args, ", ").map((x) => bound(x, env));
  if (a === null || b === null || a === undefined || b === undefined) return null;
  if (name === "floordiv") return Math.floor(a / b);
  if (name === "mul") return a * b;
  return name === "max" ? Math.max(a, b) : Math.min(a, b);
}

/** Splits outside parentheses. */
function split(text: string, by: string): string[] {
  const parts = [""];
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "(") depth++;
    if (text[i] === ")") depth--;
    if (depth === 0 && text.startsWith(by, i)) {
      parts.push("");
      i += by.length - 1;
    } else parts[parts.length - 1] += text[i];
  }
  return parts;
}

test("symbolic shapes, bound, are the shapes with numbers", () => {
  let checked = 0;
  for (let seed = 1; seed <= 10 * seeds; seed++) {
    const { graph } = randomGraph(seed);
    if (graph.nodes.some((n) => n.op === "Squeeze")) continue; // without axes, a symbol is taken for more than 1
    const known = inferGraph(graph);
    const env: Record<string, number> = {};
    for (const t of graph.inputs)
      t.shape = t.shape.map((d, i) => {
        const name = `${t.name}_${i}`;
        env[name] = d as number;
        return d === 1 ? 1 : name; // a 1 may broadcast or be squeezed: the model says so
      });
    const symbolic = inferGraph(graph);
    for (const t of graph.nodes.flatMap((n) => n.outputs)) {
      const message = `${t.name}, seed ${seed}\n${print(graph)}`;
      const [got, wanted] = [symbolic.get(t)?.shape ?? [], known.get(t)?.shape ?? []];
      assert.equal(got.length, wanted.length, message);
      got.forEach((d, i) => {
        const v = bound(d, env);
        if (v === null) return;
        checked++;
        assert.equal(v, wanted[i], `axis ${i} is ${d} of ${message}`);
      });
    }
  }
  assert.ok(checked > 10 * seeds);
});
