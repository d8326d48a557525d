// Random graphs of movement and element-wise operators, from a seed.
import { count } from "../graph/dim.js";
import type { DType } from "../graph/dtype.js";
import { type Attrs, Graph, type Tensor, value } from "../graph/graph.js";
import type { RefTensor } from "../targets/reference/index.js";
import { generator } from "./harness.js";
import { inferNode, type Known } from "./infer.js";

interface Builder {
  readonly graph: Graph;
  readonly known: Known;
  readonly pool: Tensor[];
  readonly int: (n: number) => number;
  readonly dtype: DType;
}

/** Adds a node; its outputs join the pool. */
function add(b: Builder, op: string, inputs: Tensor[], attrs: Attrs = {}, outputs = 1): void {
  const n = b.graph.nodes.length;
  const outs = Array.from({ length: outputs }, (_, i) => value(`t${n}_${i}`, b.dtype));
  const node = { op, name: `n${n}`, inputs, outputs: outs, attrs };
  for (const [i, r] of inferNode(node, b.known).entries()) {
    const out = outs[i] as Tensor;
    out.shape = r.shape;
    out.dtype = r.dtype;
  }
  b.graph.nodes.push(node);
  b.pool.push(...outs);
}

const shapeOf = (t: Tensor): number[] => t.shape as number[];

const moves: ((b: Builder, x: Tensor, s: number[]) => void)[] = [
  (b, x) => add(b, "Neg", [x]),
  (b, x) => add(b, "Relu", [x]),
  (b, x) => {
    const same = b.pool.filter((y) => y.shape.join() === x.shape.join());
    add(b, "Add", [x, same[b.int(same.length)] as Tensor]);
  },
  (b, x, s) => add(b, "Transpose", [x], { perm: s.map((_, i) => i).sort(() => b.int(3) - 1) }),
  (b, x, s) => add(b, "Reverse", [x], { axes: s.length ? [b.int(s.length)] : [] }),
  (b, x, s) =>
    add(b, "Reshape", [x], { shape: b.int(2) ? [-1] : [...s.slice(1), s[0] ?? 1], allowZero: true }),
  (b, x, s) => s.length < 5 && add(b, "Unsqueeze", [x], { axes: [b.int(s.length + 1)] }),
  (b, x) => add(b, "Squeeze", [x]),
  (b, x, s) => {
    if (!s.length) return;
    const axis = b.int(s.length);
    const near = b.pool.filter((y) => {
      const t = shapeOf(y);
      return t.length === s.length && t.every((d, i) => i === axis || d === s[i]);
    });
    add(b, "Concat", [x, near[b.int(near.length)] as Tensor, ...(b.int(2) ? [x] : [])], { axis });
  },
  (b, x, s) => {
    const axis = b.int(Math.max(1, s.length));
    const d = s[axis] ?? 0;
    if (d > 1) add(b, "Split", [x], { axis, sizes: [1, d - 1] }, 2);
  },
  (b, x, s) => {
    if (!s.length) return;
    const axis = b.int(s.length);
    const d = s[axis] as number;
    const step = [1, 1, 2, 3, -1, -2][b.int(6)] as number;
    const [from, to] = [b.int(d), d - b.int(2)];
    const back = step < 0;
    add(b, "Slice", [x], {
      starts: [back ? d - 1 : from],
      ends: [back ? -1000 : to],
      axes: [axis],
      steps: [step],
    });
  },
  (b, x, s) => {
    const mode = ["constant", "constant", "edge", "reflect"][b.int(4)] as string;
    if (s.includes(0)) return;
    add(b, "Pad", [x], { pads: [...s, ...s].map(() => Math.max(0, b.int(4) - 2)), value: 2, mode });
  },
  (b, x, s) => count(s) < 300 && add(b, "Tile", [x], { repeats: s.map(() => 1 + b.int(2)) }),
  (b, x, s) => count(s) < 300 && s.length < 5 && add(b, "Expand", [x], { shape: [2, ...s] }),
  (b, x, s) => {
    const axis = b.int(Math.max(1, s.length));
    const d = s[axis] ?? 0;
    if (!d) return;
    const name = `i${b.graph.nodes.length}`;
    const data = Int32Array.from({ length: 1 + b.int(3) }, () => b.int(2 * d) - d);
    const indices: Tensor = { name, dtype: "int32", shape: [data.length], kind: "constant", data };
    add(b, "Gather", [x, indices], { axis });
  },
];

export function randomGraph(seed: number): { graph: Graph; inputs: Record<string, RefTensor> } {
  const random = generator(seed);
  const int = (n: number): number => Math.floor(random() * n);
  const dtype = (["float32", "float32", "int32", "int8", "float16"] as const)[int(5)] as DType;
  const graph = new Graph();
  const b: Builder = { graph, known: new Map(), pool: [], int, dtype };
  const inputs: Record<string, RefTensor> = {};
  for (let i = 0; i <= int(2); i++) {
    const last = [1, 2, 3, 4, 5, 8, 9, 16, 17, 33][int(10)] as number;
    const shape = [...Array.from({ length: int(4) }, () => 1 + int(5)), last];
    const t: Tensor = { name: `x${i}`, dtype, shape, kind: "input" };
    graph.inputs.push(t);
    b.pool.push(t);
    inputs[t.name] = { dtype, shape, data: Array.from({ length: count(shape) }, () => int(15) - 7) };
  }
  const size = 2 + int(9);
  for (let i = 0; i < size; i++) {
    const recent = int(2) ? b.pool[b.pool.length - 1] : b.pool[int(b.pool.length)];
    const x = recent as Tensor;
    if (count(shapeOf(x)) < 2000) moves[int(moves.length)]?.(b, x, shapeOf(x));
  }
  const made = graph.nodes.flatMap((n) => n.outputs);
  const used = new Set(graph.nodes.flatMap((n) => n.inputs));
  graph.outputs = made.filter((t) => !used.has(t) || int(6) === 0);
  return { graph, inputs };
}

export const print = (g: Graph): string =>
  [
    ...g.inputs.map((t) => `${t.name}: ${t.dtype}[${t.shape}]`),
    ...g.nodes.map((n) => {
      const outputs = n.outputs.map((t) => `${t.name}[${t.shape}]${g.outputs.includes(t) ? "*" : ""}`);
      return `${outputs} = ${n.op}(${n.inputs.map((t) => t?.name)}) ${JSON.stringify(n.attrs)}`;
    }),
  ].join("\n");
