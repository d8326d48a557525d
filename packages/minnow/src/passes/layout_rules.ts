// How each operator can work on tensors stored in another axis order. A rule says, for a layout of the
// node, which layouts its inputs must have, which its outputs then have, and how attributes change.
import type { Attrs, Dim, Node, Tensor } from "../graph/index.js";
import { registry } from "../ops/registry.js";
import { listOf, padsOf } from "./constants.js";
import { flag, isOpenSqueeze, reshapeAttr } from "./pass.js";
import {
  compose,
  identity,
  insertAfterPredecessor,
  inverse,
  type Perm,
  permute,
  rankOf,
  withAxes,
  withoutAxes,
} from "./perm.js";
import { reshapeGroups } from "./reshape_groups.js";

export interface Plan {
  /** Layout that each input must have; null: taken as it is. */
  readonly inputs: readonly (Perm | null)[];
  readonly outputs: readonly Perm[];
  readonly op?: string;
  readonly attrs?: Attrs;
  /** Inputs that are replaced by a list of integers, or (null) by nothing. */
  readonly lists?: ReadonlyMap<number, readonly number[] | null>;
}

interface Rule {
  /** What the node does on its first input (element-wise: its output) stored as `q`; null: it can't. */
  plan(n: Node, q: Perm): Plan | null;
  /** The node's layout that stores output `j` as `layout`. Default: the same. */
  fromOutput?(n: Node, layout: Perm): Perm | null;
}

const first = (n: Node): Tensor => n.inputs[0] as Tensor;
const out0 = (n: Node): Tensor => n.outputs[0] as Tensor;
const normal = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
const axesOf = (axes: readonly number[], rank: number): number[] => axes.map((a) => normal(a, rank));
const numbers = (v: unknown): readonly number[] => (v as readonly number[] | undefined) ?? [];

/** All inputs of full rank (or raised to it) go along; scalars stay as they are. */
const elementwise: Rule = {
  plan(n, q) {
    const follow = (t: Tensor | null): Perm | null => (t?.shape.some((d) => d !== 1) ? q : null);
    return { inputs: n.inputs.map(follow), outputs: n.outputs.map(() => q) };
  },
};

/** One axis in an attribute, same rank out; further inputs as they are. */
const alongAxis = (fallback: number): Rule => ({
  plan(n, q) {
    const axis = normal((n.attrs.axis as number | undefined) ?? fallback, q.length);
    return {
      inputs: n.inputs.map((_, i) => (i === 0 ? q : null)),
      outputs: n.outputs.map(() => q),
      attrs: { ...n.attrs, axis: q.indexOf(axis) },
    };
  },
});

const concat: Rule = {
  plan: (n, q) => ({
    inputs: n.inputs.map(() => q),
    outputs: [q],
    attrs: { ...n.attrs, axis: q.indexOf(normal(n.attrs.axis as number, q.length)) },
  }),
};

/** Statistics over all axes but 0 and `axis`. */
const instanceNorm: Rule = {
  plan: (n, q) => (q[0] === 0 ? (alongAxis(1).plan(n, q) as Plan) : null),
};

const layerNorm: Rule = {
  plan(n, q) {
    const axis = normal((n.attrs.axis as number | undefined) ?? -1, q.length);
    return q.every((a, i) => i < axis || a === i) ? alongAxis(-1).plan(n, q) : null;
  },
};

const dense: Rule = {
  plan(n, q) {
    if (!flag(n, "keepDims", true) || q[q.length - 1] !== q.length - 1) return null;
    return { inputs: [q, null, null].slice(0, n.inputs.length), outputs: [q] };
  },
};

const pad: Rule = {
  plan(n, q) {
    const pads = padsOf(n);
    if (!pads) return null;
    const moved = [0, 1].flatMap((side) => permute(pads, q).map((p) => p[side] as number));
    return {
      inputs: n.inputs.map((_, i) => (i === 0 ? q : null)),
      outputs: [q],
      attrs: { ...n.attrs, pads: moved },
      lists: new Map([[1, null]]),
    };
  },
};

const slice: Rule = {
  plan(n, q) {
    const given = listOf(n.inputs[3], n.attrs.axes);
    const length = n.inputs[1] ? n.inputs[1].shape[0] : numbers(n.attrs.starts).length;
    if (!given || typeof length !== "number") return null;
    const axes = axesOf(given.length ? given : identity(length), q.length).map((a) => q.indexOf(a));
    const bounds = [
      listOf(n.inputs[1], n.attrs.starts),
      listOf(n.inputs[2], n.attrs.ends),
      listOf(n.inputs[4], n.attrs.steps),
    ];
    const [starts, ends, steps] = bounds;
    const inputs = n.inputs.map((_, i) => (i === 0 ? q : null));
    if (starts && ends && steps)
      return {
        inputs,
        outputs: [q],
        attrs: { ...n.attrs, starts, ends, axes, steps },
        lists: new Map([1, 2, 3, 4].map((i) => [i, null])),
      };
    if (!n.inputs[1] || !n.inputs[2]) return null;
    const padded = Array.from({ length: Math.max(4, inputs.length) }, (_, i) => inputs[i] ?? null);
    return { inputs: padded, outputs: [q], lists: new Map([[3, axes]]) };
  },
};

function reduceAxes(n: Node, rank: number): readonly number[] | null {
  const axes = listOf(n.inputs[1], n.attrs.axes);
  if (!axes || (axes.length === 0 && n.attrs.noopWithEmptyAxes)) return null;
  return axes.length ? axesOf(axes, rank) : identity(rank);
}

const reduce: Rule = {
  plan(n, q) {
    const axes = reduceAxes(n, q.length);
    if (!axes) return null;
    const moved = axes.map((a) => q.indexOf(a)).sort((a, b) => a - b);
    return {
      inputs: n.inputs.map((_, i) => (i === 0 ? q : null)),
      outputs: [!flag(n, "keepDims", true) ? withoutAxes(q, axes) : q],
      attrs: { ...n.attrs, axes: moved },
      lists: new Map([[1, null]]),
    };
  },
  fromOutput(n, layout) {
    const rank = rankOf(first(n));
    const axes = reduceAxes(n, rank);
    return !flag(n, "keepDims", true) ? axes && withAxes(layout, axes, rank) : layout;
  },
};

const arg: Rule = {
  plan(n, q) {
    const axis = normal((n.attrs.axis as number | undefined) ?? 0, q.length);
    const outputs = [!flag(n, "keepDims", true) ? withoutAxes(q, [axis]) : q];
    return { inputs: [q], outputs, attrs: { ...n.attrs, axis: q.indexOf(axis) } };
  },
  fromOutput(n, layout) {
    const rank = rankOf(first(n));
    if (flag(n, "keepDims", true)) return layout;
    return withAxes(layout, [normal((n.attrs.axis as number | undefined) ?? 0, rank)], rank);
  },
};

const reverse: Rule = {
  plan(n, q) {
    const axes = listOf(n.inputs[1], n.attrs.axes);
    if (!axes) return null;
    const moved = axesOf(axes, q.length).map((a) => q.indexOf(a));
    return {
      inputs: [q, null].slice(0, n.inputs.length),
      outputs: [q],
      attrs: { ...n.attrs, axes: moved },
      lists: new Map([[1, null]]),
    };
  },
};

const tile: Rule = {
  plan(n, q) {
    const repeats = listOf(n.inputs[1], n.attrs.repeats);
    if (repeats?.length !== q.length) return null;
    return {
      inputs: [q, null].slice(0, n.inputs.length),
      outputs: [q],
      attrs: { ...n.attrs, repeats: permute(repeats, q) },
      lists: new Map([[1, permute(repeats, q)]]),
    };
  },
};

const expand: Rule = {
  plan(n, q) {
    const shape = out0(n).shape;
    if (rankOf(first(n)) !== q.length || !shape.every((d) => typeof d === "number")) return null;
    return {
      inputs: [q, null].slice(0, n.inputs.length),
      outputs: [q],
      attrs: { ...n.attrs, shape: permute(shape as number[], q) },
      lists: new Map([[1, null]]),
    };
  },
};

/** The gathered axis is replaced by those of the indices. */
const gather: Rule = {
  plan(n, q) {
    if (n.attrs.batchDims) return null;
    const axis = normal((n.attrs.axis as number | undefined) ?? 0, q.length);
    const more = rankOf(n.inputs[1] as Tensor);
    const to = (a: number): number => (a < axis ? a : a + more - 1);
    const out = q.flatMap((a) => (a === axis ? identity(more).map((i) => axis + i) : [to(a)]));
    return { inputs: [q, null], outputs: [out], attrs: { ...n.attrs, axis: q.indexOf(axis) } };
  },
  fromOutput(n, layout) {
    const rank = rankOf(first(n));
    const axis = normal((n.attrs.axis as number | undefined) ?? 0, rank);
    const more = rankOf(n.inputs[1] as Tensor);
    if (more === 0) return withAxes(layout, [axis], rank);
    const inside = (a: number): boolean => a >= axis && a < axis + more;
    return layout.filter((a) => a === axis || !inside(a)).map((a) => (a > axis ? a - more + 1 : a));
  },
};

/** Axes that split move as one; axes that merge must be stored next to each other, in order. */
const reshape: Rule = {
  plan(n, q) {
    const [from, to] = [first(n).shape, out0(n).shape];
    const layout = throughGroups(reshapeGroups(from, to), q, from, to);
    if (!layout) return null;
    const shape = reshapeAttr(permute(from, q), permute(to, layout));
    return shape && { inputs: [q], outputs: [layout], op: "Reshape", attrs: { shape } };
  },
  fromOutput(n, layout) {
    const [from, to] = [first(n).shape, out0(n).shape];
    const swapped = reshapeGroups(from, to)?.map((g) => ({ ins: g.outs, outs: g.ins }));
    return throughGroups(swapped ?? null, layout, to, from);
  },
};

function throughGroups(
  groups: ReturnType<typeof reshapeGroups>,
  q: Perm,
  from: readonly Dim[],
  to: readonly Dim[],
): Perm | null {
  if (!groups) return null;
  const solid = q.filter((a) => from[a] !== 1);
  const out: number[] = [];
  for (let i = 0; i < solid.length; ) {
    const group = groups.find((g) => g.ins[0] === solid[i]);
    if (!group?.ins.every((a, k) => solid[i + k] === a)) return null;
    out.push(...group.outs);
    i += group.ins.length;
  }
  const ones = identity(to.length).filter((a) => to[a] === 1);
  return insertAfterPredecessor(out, ones);
}

const rules: Record<string, Rule> = {
  Concat: concat,
  Split: alongAxis(0),
  Softmax: alongAxis(-1),
  LogSoftmax: alongAxis(-1),
  TopK: alongAxis(-1),
  BatchNorm: alongAxis(1),
  InstanceNorm: instanceNorm,
  LayerNorm: layerNorm,
  Dense: dense,
  Pad: pad,
  Slice: slice,
  ArgMax: arg,
  ArgMin: arg,
  Reverse: reverse,
  Tile: tile,
  Expand: expand,
  Gather: gather,
  Reshape: reshape,
  Flatten: reshape,
  Squeeze: reshape,
  Unsqueeze: reshape,
};

/** Operators whose tensors have a fixed meaning per axis: they pull NHWC towards themselves. */
export const imageOps: ReadonlySet<string> = new Set([
  "Conv2D",
  "ConvTranspose2D",
  "MaxPool2D",
  "AvgPool2D",
  "Resize",
  "SpaceToDepth",
  "DepthToSpace",
  "SpaceToBatch",
  "BatchToSpace",
]);

const elementwiseOps: ReadonlySet<string> = new Set([
  "Quantize",
  "Dequantize",
  "Cast",
  "PRelu",
  "Where",
  "Identity",
]);

function ruleOf(n: Node): Rule | null {
  if (n.graphs?.length || !n.inputs[0] || isOpenSqueeze(n)) return null;
  const rule = rules[n.op] ?? (n.op.startsWith("Reduce") ? reduce : null);
  if (rule) return rule;
  return elementwiseOps.has(n.op) || registry.get(n.op)?.expr ? elementwise : null;
}

/** The node on layout `q`, or null where it must stay as it is. */
export function planOf(n: Node, q: Perm): Plan | null {
  const rule = ruleOf(n);
  if (!rule || n.outputs.some((t) => t.quant && t.quant.scale.length > 1 && rule !== elementwise))
    return null;
  const rank = rule === elementwise ? rankOf(out0(n)) : rankOf(first(n));
  const plan = rank === q.length ? rule.plan(n, q) : null;
  return plan?.inputs.every((layout, i) => !layout || n.inputs[i]?.dtype !== "int4") ? plan : null;
}

/** Node layout for which input `i` is stored as `layout`. */
export function fromInput(n: Node, i: number, layout: Perm): Perm | null {
  const plan = planOf(n, layout);
  return plan?.inputs[i] && plan.inputs[i]?.length === rankOf(n.inputs[i] as Tensor) ? layout : null;
}

/** Node layout for which output `j` is stored as `layout`. */
export function fromOutput(n: Node, j: number, layout: Perm): Perm | null {
  const rule = ruleOf(n);
  if (!rule || j !== 0) return rule && planOf(n, layout) ? layout : null;
  const q = rule.fromOutput ? rule.fromOutput(n, layout) : layout;
  return q && planOf(n, q) ? q : null;
}

/** Layout of what a Transpose reads or makes, given the other side, so that nothing has to move. */
export const acrossTranspose = (perm: Perm, inputLayout: Perm): Perm => compose(inverse(perm), inputLayout);
export const beforeTranspose = (perm: Perm, outputLayout: Perm): Perm => compose(perm, outputLayout);
