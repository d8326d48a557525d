// Random graphs through all passes: the numbers stay, names of outputs stay, no transpose work is added,
// and a second run finds nothing. MINNOW_RANDOM=20000 tries that many
// from seed MINNOW_RANDOM_FROM.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ModelError } from "../error.js";
import { type Attrs, constant, Graph, type Node, type Tensor, value } from "../graph/graph.js";
import { dim, type Dim, newArray, type Shape } from "../graph/index.js";
import { print } from "../graph/text.js";
import { annotate, inferNode, type Known } from "../ops/infer.js";
import { sameNumbers } from "./check.test.helper.js";
import { optimize } from "./index.js";
import { reshapeAttr, roughCount } from "./pass.js";

const rounds = Number(process.env.MINNOW_RANDOM ?? 250);
const first = Number(process.env.MINNOW_RANDOM_FROM ?? 1);

test(`${rounds} random graphs keep their answers`, () => {
  for (let seed = first; seed < first + rounds; seed++) {
    const source = new Generator(seed).graph();
    const graph = new Generator(seed).graph();
    const before = print(source);
    if (!runs(source)) continue;
    try {
      optimize(graph);
      sameNumbers(source, graph, { tolerance: 1e-4, dims });
      assert.deepEqual(
        graph.outputs.map((t) => t.name),
        source.outputs.map((t) => t.name),
      );
      assert.ok(moved(graph) <= moved(source), `moves ${moved(graph)}, before ${moved(source)}`);
      const rest = optimize(graph);
      assert.deepEqual(rest, {}, "a second run finds nothing");
      const found = print(graph);
      annotate(graph);
      assert.equal(print(graph), found);
    } catch (e) {
      throw new Error(`seed ${seed}\n${before}\n${print(graph)}\n${(e as Error).stack}`);
    }
  }
});

const dims = { N: 2, H: 3, W: 5 };

/** Symbolic sizes may turn out not to fit. */
function runs(g: Graph): boolean {
  try {
    sameNumbers(g, g, { dims });
    return true;
  } catch (e) {
    if (e instanceof ModelError) return false;
    throw e;
  }
}

/** Elements that transposes of real data move; those that only shift axes of size 1 move none. */
function moved(g: Graph): number {
  let sum = 0;
  for (const n of g.nodes) {
    const x = n.inputs[0] as Tensor;
    if (n.op !== "Transpose" || x.kind === "constant" || !dependsOnInput(g, x)) continue;
    const solid = (n.attrs.perm as number[]).filter((a) => x.shape[a] !== 1);
    if (solid.some((a, i) => i > 0 && a < (solid[i - 1] as number))) sum += roughCount(x.shape);
  }
  return sum;
}

function dependsOnInput(g: Graph, t: Tensor): boolean {
  const producers = g.producers();
  const seen = new Set<Tensor>();
  const visit = (x: Tensor): boolean => {
    if (x.kind === "input") return true;
    if (seen.has(x)) return false;
    seen.add(x);
    return (producers.get(x)?.inputs ?? []).some((i) => i !== null && visit(i));
  };
  return visit(t);
}

/** Builds a graph step by step out of what is there; steps that do not fit are skipped. */
class Generator {
  private readonly g = new Graph();
  private readonly known: Known = new Map();
  private readonly values: Tensor[] = [];
  private state: number;
  private count = 0;

  constructor(seed: number) {
    this.state = seed * 7919;
  }

  graph(): Graph {
    for (let i = 0; i < 1 + this.below(2); i++) {
      const t: Tensor = { name: `x${i}`, dtype: "float32", shape: this.shape(), kind: "input" };
      this.g.inputs.push(t);
      this.values.push(t);
    }
    const steps = 3 + this.below(14);
    for (let i = 0; i < steps; i++) this.step();
    const made = this.values.filter((t) => t.kind === "value");
    if (made.length === 0) this.add("Relu", [this.values[0] as Tensor], {});
    const all = this.values.filter((t) => t.kind === "value");
    const outputs = new Set([all[all.length - 1] as Tensor]);
    for (let i = 0; i < this.below(3); i++) outputs.add(this.pick(all));
    this.g.outputs = [...outputs];
    annotate(this.g);
    return this.g;
  }

  private random(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  private below(n: number): number {
    return Math.floor(this.random() * n);
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  private shape(): Dim[] {
    const sizes = [1, 1, 2, 3, 4, 6];
    const rank = this.pick([2, 3, 4, 4, 4, 4]);
    const shape: Dim[] = Array.from({ length: rank }, (_, i) => this.pick(i === 0 ? [1, 2] : sizes));
    // Sizes that are not known; what cannot be built on them is not added.
    const free = this.random();
    if (free < 0.25) shape[0] = "N";
    if (free < 0.12 && rank === 4) [shape[2], shape[3]] = ["H", "W"];
    return shape;
  }

  private perm(rank: number): number[] {
    if (rank === 4 && this.random() < 0.8)
      return this.pick([
        [0, 2, 3, 1],
        [0, 3, 1, 2],
      ]);
    const p = Array.from({ length: rank }, (_, i) => i);
    for (let i = rank - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [p[i], p[j]] = [p[j] as number, p[i] as number];
    }
    return p;
  }

  private data(shape: Shape): Tensor {
    if (!dim.isConcrete(shape)) throw new RangeError("its size is not known");
    const data = newArray(
      "float32",
      shape.reduce((a, b) => a * b, 1),
    );
    const flat = this.random() < 0.1 ? this.pick([0, 1, 2]) : null;
    for (let i = 0; i < data.length; i++)
      data[i] = flat ?? this.random() * 2 - 1 + (this.random() < 0.5 ? 0.25 : 0);
    return constant(`c${this.count++}`, "float32", shape, data);
  }

  private ints(list: readonly number[]): Tensor {
    return constant(`c${this.count++}`, "int64", [list.length], BigInt64Array.from(list, BigInt));
  }

  private add(op: string, inputs: (Tensor | null)[], attrs: Attrs, outputs = 1): Tensor[] {
    const made = Array.from({ length: outputs }, () => value(`t${this.count++}`, "float32"));
    const node: Node = { op, name: (made[0] as Tensor).name, inputs, outputs: made, attrs };
    for (const [i, r] of inferNode(node, this.known).entries()) {
      const t = made[i] as Tensor;
      t.shape = r.shape;
      t.dtype = r.dtype;
      if (r.shape.includes(0) || r.shape.reduce<number>((a, d) => a * (d as number), 1) > 4000)
        throw new RangeError("size");
    }
    this.g.nodes.push(node);
    this.values.push(...made.filter((t) => t.dtype === "float32"));
    return made;
  }

  private step(): void {
    // The last value is taken most often, so that chains grow.
    const x = this.random() < 0.6 ? (this.values[this.values.length - 1] as Tensor) : this.pick(this.values);
    try {
      this.grow(x, x.shape as readonly number[]);
    } catch (e) {
      if (!(e instanceof Error)) throw e; // what does not fit is not added
    }
  }

  private grow(x: Tensor, s: readonly number[]): void {
    const rank = s.length;
    const axis = this.below(rank);
    const channels = s[rank - 1] as number;
    switch (this.below(26)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        return void this.add("Transpose", [x], { perm: this.perm(rank) });
      case 5:
        return void this.add(this.pick(["Relu", "Sigmoid", "Neg", "Abs", "Identity", "Tanh"]), [x], {});
      case 6:
      case 7:
      case 8: {
        const c = this.pick([
          [],
          [1],
          s.map((d) => (typeof d === "number" ? d : 1)),
          s.map((d, i) => (i === axis ? d : 1)),
          s.slice(axis).map((d, i) => (i === 0 ? d : 1)),
        ]);
        const pair = [x, this.data(c)];
        if (this.random() < 0.3) pair.reverse();
        return void this.add(this.pick(["Add", "Sub", "Mul", "Max"]), pair, {});
      }
      case 9:
      case 10:
        return void this.add(this.pick(["Add", "Mul", "Min"]), [x, this.pick(this.values)], {});
      case 11:
        return void this.add("Concat", [x, this.pick(this.values)], { axis });
      case 12: {
        const d = s[axis] as number;
        if (d < 2) return;
        const left = 1 + this.below(d - 1);
        return void this.add("Split", [x, this.ints([left, d - left])], { axis }, 2);
      }
      case 13: {
        const from = this.below(s[axis] as number);
        const one = (v: number): Tensor => this.ints([v]);
        if (this.random() < 0.5)
          return void this.add("Slice", [x], { starts: [from], ends: [99], axes: [axis], steps: [1] });
        return void this.add("Slice", [x, one(-1), one(-99), one(axis), one(-1)], {});
      }
      case 14: {
        const pads = s.map(() => (this.random() < 0.3 ? this.below(3) : 0));
        const spatial = rank === 4 && this.random() < 0.6 ? [0, this.below(3), this.below(3), 0] : pads;
        return void this.add("Pad", [x], { pads: [...spatial, ...spatial.map((p) => Math.min(p, 1))] });
      }
      case 15:
      case 16: {
        const keepDims = this.random() < 0.5;
        const axes =
          rank === 4 && this.random() < 0.5
            ? this.pick([
                [2, 3],
                [1, 2],
              ])
            : [axis];
        return void this.add(this.pick(["ReduceMean", "ReduceMax", "ReduceSum"]), [x], { axes, keepDims });
      }
      case 17:
        return void this.add(this.pick(["Softmax", "LogSoftmax"]), [x], { axis });
      case 18:
        return void this.add("Squeeze", [x], {
          axes: s.flatMap((d, i) => (d === 1 && this.random() < 0.7 ? [i] : [])),
        });
      case 19:
        return void this.add("Unsqueeze", [x], { axes: [this.below(rank + 1)] });
      case 20:
        return void this.add("Reshape", [x], { shape: this.reshaped(s) });
      case 21:
        return void this.add(
          "Gather",
          [
            x,
            this.random() < 0.5
              ? this.ints([0, (s[axis] as number) - 1])
              : constant(`c${this.count++}`, "int64", [], BigInt64Array.of(0n)),
          ],
          { axis },
        );
      case 22:
      case 23:
        this.convolve(x, rank, channels);
        return;
      case 24:
        if (rank !== 4) return void this.add("MatMul", [x, this.data([channels, 3])], {});
        return void this.add(this.pick(["MaxPool2D", "AvgPool2D"]), [x], {
          kernel: [2, 2],
          strides: this.pick([
            [1, 1],
            [2, 2],
          ]),
        });
      default: {
        const c = [
          this.data([s[axis] as number]),
          this.data([s[axis] as number]),
          this.data([s[axis] as number]),
        ];
        const variance = constant(
          `c${this.count++}`,
          "float32",
          [s[axis] as number],
          new Float32Array(s[axis] as number).fill(0.5),
        );
        return void this.add("BatchNorm", [x, ...c, variance], { axis, epsilon: 0.25 });
      }
    }
  }

  private convolve(x: Tensor, rank: number, channels: number): void {
    const bias = this.random() < 0.5;
    if (rank === 2 || (rank === 3 && this.random() < 0.5))
      return void this.add("Dense", [x, this.data([3, channels]), ...(bias ? [this.data([3])] : [])], {});
    if (rank !== 4) return;
    const group = this.random() < 0.3 ? channels : 1;
    const k = this.pick([1, 1, 2, 3]);
    const out = group === 1 ? this.pick([1, 2, 4]) : channels;
    const pads = this.random() < 0.5 ? [0, 0, 0, 0] : [1, 1, 1, 1];
    const strides = this.pick([
      [1, 1],
      [2, 1],
    ]);
    if (this.random() < 0.15 && group === 1)
      return void this.add("ConvTranspose2D", [x, this.data([channels, k, k, out])], { strides });
    const inputs = [x, this.data([out, k, k, channels / group]), ...(bias ? [this.data([out])] : [])];
    this.add("Conv2D", inputs, { group, pads, strides });
  }

  /** Merges two axes, splits one, or shuffles as ShuffleNet does. */
  private reshaped(s: Shape): number[] {
    const i = this.below(s.length);
    const d = s[i] as Dim;
    let out: Dim[];
    if (this.random() < 0.5 && i + 1 < s.length)
      out = [...s.slice(0, i), dim.mul(d, s[i + 1] as Dim), ...s.slice(i + 2)];
    else {
      const f = [2, 3].find((n) => typeof d === "number" && d % n === 0 && d > n) ?? 1;
      out = [...s.slice(0, i), f, dim.floorDiv(d, f), ...s.slice(i + 1)];
    }
    const attr = reshapeAttr(s, out);
    if (!attr) throw new RangeError("no Reshape says it");
    return attr;
  }
}
