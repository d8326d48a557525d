// Which nodes should work on another axis order so that the least data is transposed. Each movable node
// gets one candidate layout, found by walking from image operators (which want NHWC) or from transposes;
// a minimum cut then decides exactly which nodes take it. A tensor pays its size once for every axis
// order that someone needs and its producer does not give.
import type { Node, Tensor } from "../graph/index.js";
import { acrossTranspose, fromInput, fromOutput, imageOps, type Plan, planOf } from "./layout_rules.js";
import { MinCut } from "./min_cut.js";
import { type Editor, roughCount } from "./pass.js";
import { compose, identity, isIdentity, key, type Perm, permOf, rankOf } from "./perm.js";

/** t = transpose(root, perm), through any number of Transpose nodes. */
export interface Root {
  readonly root: Tensor;
  readonly perm: Perm;
}

/** A Transpose that only moves elements (same type and quantisation on both sides). */
export function transposePerm(n: Node): Perm | null {
  const [x, y] = [n.inputs[0], n.outputs[0]];
  if (n.op !== "Transpose" || !x || !y) return null;
  const perChannel = (t: Tensor): boolean => (t.quant?.scale.length ?? 1) > 1;
  if (perChannel(x) || perChannel(y)) return null;
  return permOf(n.attrs.perm, rankOf(x));
}

export class Layouts {
  readonly roots = new Map<Tensor, Root>();
  /** Tensors that show a root in any axis order, the root first. */
  readonly #shows = new Map<Tensor, Tensor[]>();
  /** Candidate layouts; image: found from an image operator. */
  readonly #candidates = new Map<Node, { layout: Perm; plan: Plan; image: boolean }>();

  constructor(private readonly editor: Editor) {
    for (const n of editor.graph.nodes) {
      const perm = transposePerm(n);
      if (!perm) continue;
      const { root, perm: before } = this.rootOf(n.inputs[0] as Tensor);
      const y = n.outputs[0] as Tensor;
      this.roots.set(y, { root, perm: compose(before, perm) });
      const list = this.#shows.get(root);
      if (list) list.push(y);
      else this.#shows.set(root, [root, y]);
    }
  }

  rootOf(t: Tensor): Root {
    return this.roots.get(t) ?? { root: t, perm: identity(rankOf(t)) };
  }

  /** The layout of every node that should leave its own. */
  choose(): Map<Node, Plan> {
    if (this.roots.size === 0) return new Map();
    this.#walkFromImageOps();
    this.#walkFromTransposes();
    return this.#cut();
  }

  /**
   * Forwards first: what an operator is given decides best, because some orders of what it makes
   * leave a choice of what it reads (Gather of one index).
   */
  #walkFromImageOps(): void {
    const images = this.editor.graph.nodes.filter((n) => imageOps.has(n.op));
    const queue: Node[] = [];
    for (const n of images) for (const t of n.outputs) this.#pushReaders(t, identity(rankOf(t)), true, queue);
    for (const n of queue) this.#pushOutputs(n, true, queue);
    for (const n of images)
      for (const t of n.inputs) if (t) this.#pullProducer(t, identity(rankOf(t)), true, queue);
    this.#walk(queue, true);
  }

  #walkFromTransposes(): void {
    for (const [y, { root, perm }] of this.roots) {
      const queue: Node[] = [];
      for (const c of this.editor.readers(y))
        this.#offerInputs(c, y, acrossTranspose(perm, identity(perm.length)), false, queue);
      const p = this.editor.producer(root);
      if (p) this.#offer(p, fromOutput(p, p.outputs.indexOf(root), perm), false, queue);
      this.#walk(queue, false);
    }
  }

  #walk(queue: Node[], image: boolean): void {
    for (const n of queue) {
      const plan = this.#candidates.get(n)?.plan as Plan;
      plan.inputs.forEach((layout, i) => {
        const t = n.inputs[i];
        if (t && layout?.length === rankOf(t)) this.#pullProducer(t, layout, image, queue);
      });
      this.#pushOutputs(n, image, queue);
    }
  }

  #pushOutputs(n: Node, image: boolean, queue: Node[]): void {
    const plan = this.#candidates.get(n)?.plan as Plan;
    for (const [j, t] of n.outputs.entries()) this.#pushReaders(t, plan.outputs[j] as Perm, image, queue);
  }

  /** Somebody wants `t` stored as `layout`: offer its producer the layout that gives this for nothing. */
  #pullProducer(t: Tensor, layout: Perm, image: boolean, queue: Node[]): void {
    const { root, perm } = this.rootOf(t);
    const p = this.editor.producer(root);
    if (p) this.#offer(p, fromOutput(p, p.outputs.indexOf(root), compose(perm, layout)), image, queue);
  }

  #pushReaders(root: Tensor, layout: Perm, image: boolean, queue: Node[]): void {
    for (const t of this.#shows.get(root) ?? [root])
      for (const c of this.editor.readers(t))
        this.#offerInputs(c, t, acrossTranspose(this.rootOf(t).perm, layout), image, queue);
  }

  #offerInputs(c: Node, t: Tensor, layout: Perm, image: boolean, queue: Node[]): void {
    if (!this.#candidates.has(c)) this.#offer(c, fromInput(c, c.inputs.indexOf(t), layout), image, queue);
  }

  #offer(n: Node, layout: Perm | null, image: boolean, queue: Node[]): void {
    if (!layout || this.#candidates.has(n) || imageOps.has(n.op) || transposePerm(n)) return;
    const plan = planOf(n, layout);
    if (!plan) return;
    this.#candidates.set(n, { layout, plan, image });
    queue.push(n);
  }

  #cut(): Map<Node, Plan> {
    const cut = new MinCut();
    const vertex = new Map<Node, number>();
    for (const [n, { layout, image }] of this.#candidates) {
      if (isIdentity(layout) || (renames.has(n.op) && keepsOrder(n.inputs[0] as Tensor, layout))) continue;
      const v = cut.vertex();
      vertex.set(n, v);
      // A tie goes towards image operators, and otherwise to what is there.
      if (image) cut.edge(cut.source, v, 1);
      else cut.edge(v, cut.sink, 1);
    }
    if (vertex.size === 0) return new Map();
    for (const t of this.editor.graph.tensors())
      if (!this.roots.has(t) && t.kind !== "constant") this.#payFor(t, cut, vertex);
    const moved = cut.solve();
    const out = new Map<Node, Plan>();
    for (const [n, v] of vertex) if (moved.has(v)) out.set(n, this.#candidates.get(n)?.plan as Plan);
    return out;
  }

  /** Adds what it costs when the orders that readers need are not the one that is stored. */
  #payFor(root: Tensor, cut: MinCut, vertex: ReadonlyMap<Node, number>): void {
    const cost = roughCount(root.shape) * 1024;
    const producer = this.editor.producer(root);
    const p = producer && vertex.get(producer);
    const stored0 = key(root.shape, identity(rankOf(root)));
    const plan = p === undefined ? undefined : this.#candidates.get(producer as Node)?.plan;
    const stored1 = plan
      ? key(root.shape, plan.outputs[(producer as Node).outputs.indexOf(root)] as Perm)
      : stored0;
    for (const [need, { always, stay, move }] of this.#needs(root, vertex)) {
      const [fits0, fits1] = [need === stored0, need === stored1];
      if (fits0 && fits1) continue;
      if (p !== undefined && always) {
        if (fits0) cut.edge(p, cut.sink, cost);
        if (fits1) cut.edge(cut.source, p, cost);
        continue;
      }
      if (always || (p === undefined && fits0)) continue;
      if (move.length) {
        const any = cut.vertex(); // on the source's side as soon as one reader is
        for (const v of move) cut.edge(v, any, Number.MAX_VALUE);
        cut.edge(any, p !== undefined && fits1 ? p : cut.sink, cost);
      }
      if (stay.length) {
        const any = cut.vertex();
        for (const v of stay) cut.edge(any, v, Number.MAX_VALUE);
        cut.edge(p !== undefined && fits0 ? p : cut.source, any, cost);
      }
    }
  }

  /** Axis orders of `root` that readers need: always, if they stay, or if they move. */
  #needs(root: Tensor, vertex: ReadonlyMap<Node, number>) {
    const needs = new Map<string, { always: boolean; stay: number[]; move: number[] }>();
    const need = (k: string) => {
      let n = needs.get(k);
      if (!n) {
        n = { always: false, stay: [], move: [] };
        needs.set(k, n);
      }
      return n;
    };
    for (const t of this.#shows.get(root) ?? [root]) {
      const { perm } = this.rootOf(t);
      const own = key(root.shape, perm);
      if (this.editor.graph.outputs.includes(t)) need(own).always = true;
      for (const c of this.editor.readers(t)) {
        if (transposePerm(c)) continue;
        const v = vertex.get(c);
        const layout = v === undefined ? null : this.#candidates.get(c)?.plan.inputs[c.inputs.indexOf(t)];
        const moved = layout ? key(root.shape, raised(perm, layout)) : own;
        if (v === undefined || moved === own) need(own).always = true;
        else {
          need(own).stay.push(v);
          need(moved).move.push(v);
        }
      }
    }
    return needs;
  }
}

/** Operators that store what they read: nothing is gained when only axes of size 1 would change places. */
const renames: ReadonlySet<string> = new Set(["Reshape", "Flatten", "Squeeze", "Unsqueeze"]);

const keepsOrder = (t: Tensor, layout: Perm): boolean =>
  key(t.shape, layout) === key(t.shape, identity(rankOf(t)));

/** Composition where the layout has axes in front that the tensor lacks (broadcasting). */
function raised(perm: Perm, layout: Perm): number[] {
  const more = layout.length - perm.length;
  return layout.flatMap((a) => (a < more ? [] : [perm[a - more] as number]));
}
