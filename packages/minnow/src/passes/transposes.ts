// Moves, merges and cancels transposes:
//
//   transpose(transpose(x, p), q) = transpose(x, p∘q)          f(transpose(x, p)) = transpose(f′(x), p)
//
// for every operator f that has a form f′ for another axis order (layout_rules.ts). Which nodes change
// their order is decided for the whole graph at once (layout_choice.ts), so that no rewrite ever adds
// work; then the node list is rebuilt. A transpose that only moves axes of size 1 becomes a Reshape.
import {
  type Data,
  dataOf,
  type Graph,
  type Node,
  permuteData,
  type Shape,
  type Tensor,
} from "../graph/index.js";
import { constant, type Quantization, value } from "../graph/graph.js";
import { Layouts, transposePerm } from "./layout_choice.js";
import type { Plan } from "./layout_rules.js";
import { type Editor, mergeNames, type Pass, reshapeAttr, sameShape } from "./pass.js";
import {
  compose,
  equal,
  identity,
  inverse,
  isIdentity,
  key,
  movedName,
  type Perm,
  permute,
  rankOf,
} from "./perm.js";

export const transposes: Pass = {
  name: "transposes",
  ops: ["Transpose"],
  run(e) {
    const { graph } = e;
    if (!graph.nodes.some((n) => n.op === "Transpose") || graph.nodes.some((n) => n.graphs?.length)) return 0;
    const layouts = new Layouts(e);
    const rebuilt = new Rebuild(e, layouts, layouts.choose());
    return rebuilt.commit();
  },
};

class Rebuild {
  readonly #nodes: Node[] = [];
  /** Where moved nodes left their outputs. */
  readonly #stored = new Map<Tensor, { tensor: Tensor; layout: Perm }>();
  /** Root + axis order → the tensor that has it. */
  readonly #made = new Map<Tensor, Map<string, Tensor>>();
  readonly #merged: [Tensor, Tensor][] = [];
  private readonly graph: Graph;

  constructor(
    readonly editor: Editor,
    private readonly layouts: Layouts,
    moved: ReadonlyMap<Node, Plan>,
  ) {
    this.graph = editor.graph;
    for (const n of this.graph.nodes) {
      if (transposePerm(n)) continue;
      const plan = moved.get(n);
      this.#nodes.push(plan ? this.#move(n, plan) : this.#stay(n));
    }
    for (const t of new Set(this.graph.outputs)) this.#finish(t);
  }

  /** Puts the new nodes in place, unless nothing but their order changed. */
  commit(): number {
    const before = new Set(this.graph.nodes);
    const kept = this.#nodes.filter((n) => before.has(n)).length;
    if (kept === this.#nodes.length && kept === before.size) return 0;
    this.editor.setNodes(this.#nodes);
    for (const [from, to] of this.#merged) mergeNames(this.graph, from, to);
    return Math.max(1, before.size - kept);
  }

  #stay(n: Node): Node {
    const inputs = n.inputs.map((t) => t && this.#get(t, identity(rankOf(t))));
    return inputs.every((t, i) => t === n.inputs[i]) ? n : { ...n, inputs };
  }

  #move(n: Node, plan: Plan): Node {
    const inputs = plan.inputs.map((layout, i) => {
      const list = plan.lists?.get(i);
      if (list)
        return constant(
          this.editor.fresh(`${n.name}/${i}`),
          "int64",
          [list.length],
          BigInt64Array.from(list, BigInt),
        );
      const t = list === null ? null : (n.inputs[i] ?? null);
      return t && this.#get(t, layout ?? identity(rankOf(t)));
    });
    while (inputs.length && inputs[inputs.length - 1] === null) inputs.pop();
    const outputs = n.outputs.map((t, j) => {
      const layout = plan.outputs[j] as Perm;
      if (isIdentity(layout)) return t;
      const tensor = value(
        this.name(t, layout),
        t.dtype,
        permute(t.shape, layout),
        moveQuant(t.quant, layout),
      );
      this.#stored.set(t, { tensor, layout });
      return tensor;
    });
    return { ...n, op: plan.op ?? n.op, inputs, outputs, attrs: plan.attrs ?? n.attrs };
  }

  private name(t: Tensor, layout: Perm): string {
    return this.editor.fresh(movedName(t.name, layout));
  }

  /** The tensor that holds transpose(t, layout), made where it is first needed. */
  #get(t: Tensor, layout: Perm): Tensor {
    if (layout.length > rankOf(t)) return this.#raise(t, layout);
    const { root, perm } = this.layouts.rootOf(t);
    if (root.kind === "constant" && dataOf(root) && root.dtype !== "int4")
      return this.#getConstant(root, compose(perm, layout));
    const need = compose(perm, layout);
    const own = isIdentity(layout);
    const source = this.#nearest(root, need);
    const order = compose(inverse(source.layout), need);
    if (keepsAll(source.tensor.shape, order)) {
      if (own && t !== source.tensor) this.#note(t, source.tensor);
      return source.tensor;
    }
    const out = own ? t : value(this.name(t, layout), t.dtype, permute(root.shape, need), root.quant);
    this.#cache(root).set(need.join(), out);
    this.#reorder(source.tensor, order, out);
    return out;
  }

  /** What holds the values of `root` already, in the order `need` but for axes of size 1, or as it was made. */
  #nearest(root: Tensor, need: Perm): { tensor: Tensor; layout: Perm } {
    const made = this.#stored.get(root) ?? { tensor: root, layout: identity(rankOf(root)) };
    const wanted = key(root.shape, need);
    const exact = this.#made.get(root)?.get(need.join());
    if (exact) return { tensor: exact, layout: need };
    if (key(root.shape, made.layout) === wanted) return made;
    for (const [order, tensor] of this.#made.get(root) ?? []) {
      const layout = order.split(",").map(Number);
      if (layout.length === need.length && key(root.shape, layout) === wanted) return { tensor, layout };
    }
    return made;
  }

  #cache(root: Tensor): Map<string, Tensor> {
    let m = this.#made.get(root);
    if (!m) {
      m = new Map();
      this.#made.set(root, m);
    }
    return m;
  }

  /** Notes that `from` needs no tensor of its own; graph outputs are settled by `finish`. */
  #note(from: Tensor, to: Tensor): void {
    if (!this.graph.outputs.includes(from) && !this.#merged.some(([f]) => f === from))
      this.#merged.push([from, to]);
  }

  #getConstant(root: Tensor, need: Perm): Tensor {
    if (isIdentity(need)) return root;
    const known = this.#cache(root).get(need.join());
    if (known) return known;
    const shape = root.shape as readonly number[];
    const data = permuteData(dataOf(root) as Data, root.dtype, shape, need);
    const out = constant(
      this.editor.fresh(movedName(root.name, need)),
      root.dtype,
      permute(shape, need),
      data,
    );
    const quant = moveQuant(root.quant, need);
    if (quant) out.quant = quant;
    this.#cache(root).set(need.join(), out);
    return out;
  }

  /** For broadcasting: axes of size 1 in front, then in order. */
  #raise(t: Tensor, layout: Perm): Tensor {
    const more = layout.length - rankOf(t);
    const name = this.editor.fresh(`${t.name}~raised`);
    const shape: Shape = [...identity(more).map(() => 1), ...t.shape];
    const quant = t.quant && { ...t.quant, axis: t.quant.axis + more };
    const data = dataOf(t);
    if (t.kind === "constant" && data && t.dtype !== "int4") {
      const known = this.#cache(t).get(layout.join());
      if (known) return known;
      const turned = permuteData(data, t.dtype, shape as readonly number[], layout);
      const out = constant(name, t.dtype, permute(shape as readonly number[], layout), turned);
      const moved = moveQuant(quant, layout);
      if (moved) out.quant = moved;
      this.#cache(t).set(layout.join(), out);
      return out;
    }
    const known = this.#cache(t).get(`raised ${layout.join()}`);
    if (known) return known;
    const own = layout.filter((a) => a >= more).map((a) => a - more);
    const source = this.#get(t, own);
    const axes = layout.flatMap((a, i) => (a < more ? [i] : []));
    const out = value(name, t.dtype, permute(shape, layout), moveQuant(quant, layout));
    this.#nodes.push({ op: "Unsqueeze", name: out.name, inputs: [source], outputs: [out], attrs: { axes } });
    this.#cache(t).set(`raised ${layout.join()}`, out);
    return out;
  }

  /** Adds out = transpose(from, perm), reusing the source's own node where it is the same. */
  #reorder(from: Tensor, perm: Perm, out: Tensor): void {
    const original = this.editor.producer(out);
    if (key(from.shape, perm) === key(from.shape, identity(perm.length))) {
      const shape = reshapeAttr(from.shape, permute(from.shape, perm));
      if (shape)
        this.#nodes.push({ op: "Reshape", name: out.name, inputs: [from], outputs: [out], attrs: { shape } });
      else this.#moveOnes(from, perm, out);
      return;
    }
    const same = original && transposePerm(original);
    if (original && same && equal(same, perm) && original.inputs[0] === from) this.#nodes.push(original);
    else
      this.#nodes.push({
        op: "Transpose",
        name: out.name,
        inputs: [from],
        outputs: [out],
        attrs: { perm: [...perm] },
      });
  }

  /** Axes of size 1 go out and come in elsewhere: says it where a Reshape cannot, without sizes. */
  #moveOnes(from: Tensor, perm: Perm, out: Tensor): void {
    const ones = (s: Shape): number[] => s.flatMap((d, i) => (d === 1 ? [i] : []));
    const shape = from.shape.filter((d) => d !== 1);
    const solid = value(this.editor.fresh(`${from.name}~solid`), from.dtype, shape, from.quant);
    this.#nodes.push({
      op: "Squeeze",
      name: solid.name,
      inputs: [from],
      outputs: [solid],
      attrs: { axes: ones(from.shape) },
    });
    this.#nodes.push({
      op: "Unsqueeze",
      name: out.name,
      inputs: [solid],
      outputs: [out],
      attrs: { axes: ones(permute(from.shape, perm)) },
    });
  }

  /** A graph output keeps its name: what holds its values takes it, or a copy does. */
  #finish(t: Tensor): void {
    const holder = this.#get(t, identity(rankOf(t)));
    if (holder === t) return;
    const taken = this.#merged.some(([from, to]) => to === holder && this.graph.outputs.includes(from));
    if (holder.kind === "value" && !this.graph.outputs.includes(holder) && !taken)
      this.#merged.push([t, holder]);
    else this.#nodes.push({ op: "Identity", name: t.name, inputs: [holder], outputs: [t], attrs: {} });
  }
}

/** Whether transpose(x, perm) is x: axes of size 1 may change places as long as the shape stays. */
const keepsAll = (shape: Shape, perm: Perm): boolean =>
  isIdentity(perm) ||
  (key(shape, perm) === key(shape, identity(perm.length)) && sameShape(permute(shape, perm), shape));

function moveQuant(q: Quantization | undefined, layout: Perm): Quantization | undefined {
  return q && q.scale.length > 1 ? { ...q, axis: layout.indexOf(q.axis) } : q;
}
