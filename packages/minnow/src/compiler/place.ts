// Where values live: reshape, concat, split and slice without copies. A value may be the same storage
// as another (reshape), or a part of it (the input of a concat, the output of a split or slice).
//
// Concats are settled from the last to the first, so that a parent's place is known before its parts';
// slices come after. Tuned kernels walk pixels at one pitch, so a part must have its outer axes
// collapsible ("pitched"); whatever does not fit keeps its copy. Last, what depth-wise convolutions read
// gets a pitch of its own where pixels would meet in the same cache sets.
import { type Lowered, type LoweredKernel, note, readsOf, type Value, writesOf } from "./lowered.js";
import type { Access, LoopNest } from "./nest.js";
import { elementBytes } from "../graph/dtype.js";
import { contiguousStrides } from "./program.js";

interface Place {
  readonly parent: number;
  /** Start in the parent, per parent axis; absent: same elements in the same order. */
  readonly start?: readonly number[];
}

export interface Storage {
  /** The value whose buffer this is. */
  readonly root: number;
  readonly strides: readonly number[];
  readonly offset: number;
}

/** Decides places; removes the kernels that became unnecessary. Returns storage by value id. */
export function place(lowered: Lowered): Storage[] {
  const p = new Placement(lowered);
  p.aliases();
  p.concats();
  p.slices();
  p.spread();
  return lowered.values.map((v) => p.resolve(v.id));
}

class Placement {
  readonly #places = new Map<number, Place>();
  readonly #producers = new Map<number, LoweredKernel>();
  /** Values that must be contiguous: outputs, operands of kernels without a nest. */
  readonly #rigid = new Set<number>();
  /** Elements from pixel to pixel, where it is not the channels. */
  readonly #pitches = new Map<number, number>();

  constructor(private readonly lowered: Lowered) {
    for (const k of lowered.kernels) {
      for (const v of writesOf(k)) if (!this.#producers.has(v)) this.#producers.set(v, k);
      if (!k.nest && !k.alias) for (const v of [...readsOf(k), ...writesOf(k)]) this.#rigid.add(v);
    }
    for (const o of lowered.outputs) this.#rigid.add(o.value);
  }

  #value(id: number): Value {
    return this.lowered.values[id] as Value;
  }

  resolve(id: number): Storage {
    const at = this.#places.get(id);
    const shape = this.#value(id).shape;
    if (!at) {
      const pitch = this.#pitches.get(id);
      const strides = contiguousStrides(pitch ? [...shape.slice(0, -1), pitch] : shape);
      return { root: id, strides, offset: 0 };
    }
    const parent = this.resolve(at.parent);
    if (!at.start) return { ...parent, strides: contiguousStrides(shape) };
    const offset = at.start.reduce((sum, s, i) => sum + s * (parent.strides[i] as number), parent.offset);
    return { root: parent.root, strides: parent.strides, offset };
  }

  /** to = reshape(from): a child in the same storage. */
  aliases(): void {
    const kernels = this.lowered.kernels;
    for (const k of kernels) if (k.alias) this.#places.set(k.alias.to, { parent: k.alias.from });
    note(this.lowered.fusions, "reshape without copy", kernels.filter((k) => k.alias).length);
  }

  /** Every value stored in `id`'s storage as the same elements. */
  #sameElements(id: number): number[] {
    const children = [...this.#places].filter(([, p]) => p.parent === id && !p.start).map(([c]) => c);
    return [id, ...children.flatMap((c) => this.#sameElements(c))];
  }

  concats(): void {
    const pieces = this.lowered.kernels.filter((k) => k.name === "concat" && k.nest && isMove(k.nest));
    for (const k of pieces.reverse()) {
      const nest = k.nest as LoopNest;
      const operand = nest.operands[0] as Access;
      const start = startOf(nest.out, nest.loops.length);
      if (
        start &&
        isWhole(operand, nest, this.#value(operand.value)) &&
        this.#intoParent(operand.value, nest.out.value, start)
      )
        this.#remove(k, "concat without copy");
    }
  }

  /** Places `part` (or the value it reshapes) inside `parent` at `start`. */
  #intoParent(part: number, parent: number, start: readonly number[]): boolean {
    const chain = [part];
    for (let p = this.#places.get(part); p; p = this.#places.get(p.parent)) {
      if (p.start) return false;
      chain.push(p.parent);
    }
    const root = chain[chain.length - 1] as number;
    if (this.#value(root).kind !== "value" || this.#value(root).dtype !== this.#value(parent).dtype)
      return false;
    if (this.resolve(parent).root === root) return false;
    const saved = new Map(this.#places);
    // Turn the reshape chain round: the part is now the owner.
    for (let i = chain.length - 1; i > 0; i--)
      this.#places.set(chain[i] as number, { parent: chain[i - 1] as number });
    this.#places.set(part, { parent, start });
    const storage = this.resolve(part);
    const family = this.#sameElements(part);
    const contiguous = isContiguousStorage(storage.strides, this.#value(part).shape);
    const fits =
      (contiguous || (family.length === 1 && isPitched(storage.strides, this.#value(part).shape))) &&
      (contiguous || family.every((v) => !this.#rigid.has(v))) &&
      !family.some((v) => this.#value(v).output);
    if (fits) return true;
    this.#places.clear();
    for (const [k, v] of saved) this.#places.set(k, v);
    return false;
  }

  slices(): void {
    const kernels = this.lowered.kernels.filter(
      (k) => (k.name === "split" || k.name === "slice") && k.nest && isMove(k.nest),
    );
    for (const k of kernels) {
      const nest = k.nest as LoopNest;
      const operand = nest.operands[0] as Access;
      const out = nest.out.value;
      const start = startOf(operand, nest.loops.length);
      if (!start || !isWhole(nest.out, nest, this.#value(out)) || this.#places.has(out)) continue;
      if (this.#value(out).output || this.#value(operand.value).dtype !== this.#value(out).dtype) continue;
      this.#places.set(out, { parent: operand.value, start });
      const storage = this.resolve(out);
      const family = this.#sameElements(out);
      const shape = this.#value(out).shape;
      const contiguous = isContiguousStorage(storage.strides, shape);
      if (
        contiguous
          ? !family.some((v) => this.#value(v).output)
          : family.length === 1 && isPitched(storage.strides, shape) && !this.#rigid.has(out)
      )
        this.#remove(k, `${k.name} without copy`);
      else this.#places.delete(out);
    }
  }

  /**
   * A depth-wise tile reads some thirty pixels at a time, and pixels a multiple of 1 KiB apart share four
   * sets or fewer of a cache of 8 ways: 512 channels run at 24 GFLOPS, 37 with a line between pixels (1024
   * channels: 16, 38). Only for values that convolutions alone touch: they walk any pitch.
   */
  spread(): void {
    const touched = new Map<number, LoweredKernel[]>();
    for (const k of this.lowered.kernels)
      for (const v of new Set([...readsOf(k), ...writesOf(k)])) {
        const list = touched.get(v);
        if (list) list.push(k);
        else touched.set(v, [k]);
      }
    const parents = new Set([...this.#places.values()].map((p) => p.parent));
    for (const [id, kernels] of touched) {
      const { kind, shape, dtype } = this.#value(id);
      const channels = shape.at(-1) as number;
      const line = 64 / elementBytes(dtype);
      if (kind !== "value" || this.#rigid.has(id) || this.#places.has(id) || parents.has(id)) continue;
      if (channels === 0 || (channels / line) % 16 !== 0 || kernels.some((k) => k.name !== "conv2d"))
        continue;
      if (kernels.some((k) => k.params.group === channels && k.nest?.operands[0]?.value === id))
        this.#pitches.set(id, channels + line);
    }
  }

  #remove(k: LoweredKernel, why: string): void {
    this.lowered.kernels = this.lowered.kernels.filter((x) => x !== k);
    note(this.lowered.fusions, why);
  }
}

/** Moves elements unchanged. */
function isMove(n: LoopNest): boolean {
  return n.reduce.length === 0 && n.operands.length === 1 && n.result.k === "in" && n.result.i === 0;
}

/** Axis i walks loop i from a fixed start: the starts, else null. */
function startOf(a: Access, rank: number): number[] | null {
  if (a.index.length !== rank) return null;
  const starts: number[] = [];
  for (const [i, x] of a.index.entries()) {
    if (x.guard || x.table !== undefined || x.terms.length > 1) return null;
    const term = x.terms[0];
    if (term && (term[0] !== i || term[1] !== 1)) return null;
    starts.push(x.offset);
  }
  return starts;
}

/** Reads or writes all of the value, in order. */
function isWhole(a: Access, nest: LoopNest, v: Value): boolean {
  const start = startOf(a, nest.loops.length);
  return !!start?.every((s) => s === 0) && v.shape.join() === nest.loops.join();
}

export function isContiguousStorage(strides: readonly number[], shape: readonly number[]): boolean {
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && strides[i] !== stride) return false;
    stride *= shape[i] as number;
  }
  return true;
}

/** Last axis dense, all others at one pitch. */
export function isPitched(strides: readonly number[], shape: readonly number[]): boolean {
  const last = shape.length - 1;
  if (last < 0 || (shape[last] !== 1 && strides[last] !== 1)) return false;
  let next = -1;
  for (let i = last - 1; i >= 0; i--) {
    if (shape[i] === 1) continue;
    if (next >= 0 && strides[i] !== next) return false;
    next = (strides[i] as number) * (shape[i] as number);
  }
  return true;
}
