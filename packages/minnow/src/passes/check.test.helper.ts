// How a pass is tested: two blocks of Graph text, before and after, and equal numbers from both by the
// reference target. Types of values may be left out of either block.
import assert from "node:assert/strict";
import { type Graph, newArray, type Tensor } from "../graph/index.js";
import { parse, print } from "../graph/text.js";
import { annotate } from "../ops/infer.js";
import { evaluate, type ReferenceInput, type RefTensor } from "../targets/reference/index.js";
import { Editor, type Pass } from "./pass.js";

export interface CheckOptions {
  /** Sizes for symbolic dimensions; default 3. */
  dims?: Record<string, number>;
  /** Largest difference, relative to the largest value. */
  tolerance?: number;
  /** Skip the numbers (operators whose result differs by design). */
  textOnly?: boolean;
}

export function read(text: string): Graph {
  const g = parse(text);
  annotate(g);
  return g;
}

/** Runs `pass` on `before`: the result must print as `after` and compute the same outputs. */
export function checkPass(pass: Pass, before: string, after: string, options: CheckOptions = {}): void {
  const graph = read(before);
  const source = read(before);
  const rewrites = pass.run(new Editor(graph));
  const given = print(graph);
  annotate(graph);
  assert.equal(given, print(graph), "it gives every tensor the shape that inference finds");
  assert.equal(show(graph), show(read(after)));
  assert.ok(rewrites > 0, "it says that it did something");
  assert.equal(pass.run(new Editor(graph)), 0, "a second run finds nothing to do");
  if (!options.textOnly) sameNumbers(source, graph, options);
}

/** `pass` must leave `text` alone. */
export function checkUnchanged(pass: Pass, text: string): void {
  const graph = read(text);
  const before = show(graph);
  assert.equal(pass.run(new Editor(graph)), 0);
  assert.equal(show(graph), before);
}

/** Names that passes made up do not matter; those of inputs and outputs do. */
function show(graph: Graph): string {
  return print(graph, { names: false, data: true })
    .replace(/ aka \([^)]*\)/g, "")
    .replace(/(?<=%)("[^"]*"|[\w./-]+)/g, rename(graph));
}

function rename(graph: Graph): (name: string) => string {
  const kept = new Set([...graph.inputs, ...graph.outputs].map((t) => t.name));
  const names = new Map<string, string>();
  return (quoted) => {
    const name = quoted.startsWith('"') ? (JSON.parse(quoted) as string) : quoted;
    if (kept.has(name)) return name;
    let short = names.get(name);
    if (!short) {
      short = `t${names.size}`;
      names.set(name, short);
    }
    return short;
  };
}

export function sameNumbers(a: Graph, b: Graph, { dims = {}, tolerance = 1e-5 }: CheckOptions = {}): void {
  const inputs: Record<string, ReferenceInput> = {};
  for (const [i, t] of a.inputs.entries()) inputs[t.name] = sample(t, dims, i + 1);
  const [x, y] = [evaluate(a, inputs), evaluate(b, inputs)];
  a.outputs.forEach((t, i) => {
    const u = b.outputs[i] as Tensor;
    assert.equal(u.name, t.name);
    near(x.get(t) as RefTensor, y.get(u) as RefTensor, tolerance, t.name);
  });
}

function near(a: RefTensor, b: RefTensor, tolerance: number, name: string): void {
  assert.deepEqual(b.shape, a.shape, name);
  assert.equal(b.dtype, a.dtype, name);
  let scale = 0;
  for (const v of a.data) if (Number.isFinite(v)) scale = Math.max(scale, Math.abs(v));
  for (let i = 0; i < a.data.length; i++) {
    const [p, q] = [a.data[i] as number, b.data[i] as number];
    if (!Object.is(p, q) && !(Math.abs(p - q) <= tolerance * scale))
      assert.fail(`${name}[${i}]: ${q}, not ${p}`);
  }
}

/** Uniform numbers in [−1, 1), or small integers. */
function sample(t: Tensor, dims: Record<string, number>, seed: number): ReferenceInput {
  const shape = t.shape.map((d) => (typeof d === "number" ? d : (dims[d] ?? 3)));
  const n = shape.reduce((x, y) => x * y, 1);
  let s = seed * 2654435761;
  const next = (): number => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return s / 2 ** 32;
  };
  const data = newArray(t.dtype === "float16" ? "float32" : t.dtype, n);
  for (let i = 0; i < n; i++) {
    const v =
      t.dtype === "float32"
        ? next() * 2 - 1
        : t.dtype === "bool"
          ? Math.round(next())
          : Math.floor(next() * 200) - (t.dtype === "uint8" ? 0 : 100);
    data[i] = (data instanceof BigInt64Array ? BigInt(v) : v) as never;
  }
  return { data: data as Int32Array, shape };
}
