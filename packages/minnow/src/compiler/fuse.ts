// Fusion of element-wise nests: into each other (a chain becomes one nest), and into the kernel that
// makes their input (activation, residual add, requantisation become a kernel's epilogue).
//
//   v = f(a);  y = g(v, b)            →  y = g(f(a), b)                      "chain"
//   v = conv(x, w) + bias;  y = g(v, b)  →  y = conv(x, w) with result g(…)  "epilogue"
//
// v must have no other reader and not be an output. Types narrower than the compute type are only
// fused over when rounding to them would change nothing (quantised values are already clamped).
import { classify, isElementwise, isIdentity, moves } from "./accesses.js";
import { type Expr, nodesOf, operandsOf, substitute } from "./expr.js";
import { argumentOf, lookups } from "./lookup.js";
import { type Lowered, type LoweredKernel, note, readsOf, type Value } from "./lowered.js";
import type { Access, AxisIndex, LoopNest } from "./nest.js";
import { moveBeforeReshapes } from "./reshaped.js";

/** Bounds that keep generated functions small. */
const maxExprNodes = 96;
const maxOperands = 8;
/** Full tensors (besides x and w) that a named kernel's epilogue reads. */
const maxResiduals = 2;
/** Kernels whose epilogue may take more work. Others write their result as it is. */
const withEpilogue = new Set([
  "conv2d",
  "conv_transpose2d",
  "dense",
  "matmul",
  "avg_pool2d",
  "max_pool2d",
  "reduce",
  "resize",
]);

const takesEpilogue = (k: LoweredKernel): boolean =>
  withEpilogue.has(k.name) || (k.name === "nest" && (k.nest?.reduce.length ?? 0) > 0);

export function fuse(lowered: Lowered): void {
  // Functions of one byte first: what they would be merged with takes more.
  const unary = (n: LoopNest): boolean => argumentOf(n, lowered.values) >= 0;
  while (fuseOnce(lowered, isElementwise, "chain", unary) > 0);
  lookups(lowered);
  for (let round = 0; round < 8; round++) {
    const chains = fuseOnce(lowered, isElementwise, "chain");
    const epilogues = fuseOnce(lowered, takesEpilogue, "epilogue");
    if (chains + epilogues > 0) continue;
    if (moveBeforeReshapes(lowered, (p, k, v) => merge(p, k, v, lowered.values) !== null) === 0) break;
  }
}

/** The nest of both, where they are one kernel. */
function merge(
  p: LoweredKernel,
  consumer: LoweredKernel,
  v: Value,
  values: readonly Value[],
): LoopNest | null {
  if (!exactType(v)) return null;
  if (isElementwise(p)) return chain(p, consumer, v);
  return takesEpilogue(p) ? epilogue(p, consumer, v, values) : null;
}

function fuseOnce(
  lowered: Lowered,
  producerFits: (k: LoweredKernel) => boolean,
  what: string,
  fits: (merged: LoopNest) => boolean = () => true,
): number {
  const readers = new Map<number, Set<LoweredKernel>>();
  const producer = new Map<number, LoweredKernel>();
  const order = new Map<LoweredKernel, number>();
  lowered.kernels.forEach((k, i) => {
    order.set(k, i);
    if (k.nest) producer.set(k.nest.out.value, k);
  });
  for (const k of lowered.kernels)
    for (const v of readsOf(k)) {
      const set = readers.get(v) ?? new Set();
      readers.set(v, set.add(k));
    }
  const gone = new Set<LoweredKernel>();
  let fused = 0;
  for (const consumer of lowered.kernels) {
    if (gone.has(consumer) || !isElementwise(consumer)) continue;
    const candidates = readsOf(consumer)
      .map((v) => ({ v, p: producer.get(v) }))
      .filter((c): c is { v: number; p: LoweredKernel } => !!c.p && !gone.has(c.p) && producerFits(c.p))
      .sort((a, b) => (order.get(b.p) ?? 0) - (order.get(a.p) ?? 0));
    for (const { v, p } of candidates) {
      const value = lowered.values[v] as Value;
      if (value.output || readers.get(v)?.size !== 1) continue;
      const merged = merge(p, consumer, value, lowered.values);
      if (!merged || !fits(merged)) continue;
      replace(consumer, p, merged);
      gone.add(p);
      for (const r of readsOf(consumer))
        readers.set(r, new Set([...(readers.get(r) ?? [])].filter((k) => k !== p)).add(consumer));
      fused++;
      note(lowered.fusions, what);
      if (!isElementwise(consumer)) break;
    }
  }
  if (fused) lowered.kernels = lowered.kernels.filter((k) => !gone.has(k));
  return fused;
}

/** The consumer becomes the merged kernel, at its own place in the order. */
function replace(consumer: LoweredKernel, p: LoweredKernel, nest: LoopNest): void {
  const main = p.name === "nest" && consumer.name !== "nest" ? consumer : p;
  const fused = [...p.fused, ...(main === p ? [consumer.op] : [p.op]), ...consumer.fused];
  Object.assign(consumer, {
    name: main.name,
    params: main.params,
    nest,
    op: main.op,
    node: main.node,
    fused,
    macs: p.macs + consumer.macs,
  } satisfies Partial<LoweredKernel>);
}

/** Storing to this type loses nothing that the compute type held. */
function exactType(v: Value): boolean {
  return (
    v.quant !== undefined ||
    v.dtype === "float32" ||
    v.dtype === "int32" ||
    v.dtype === "int64" ||
    v.dtype === "bool"
  );
}

/** Index of the producer's operand, seen from the consumer's loops. */
function compose(index: readonly AxisIndex[], outer: readonly AxisIndex[]): AxisIndex[] | null {
  const out: AxisIndex[] = [];
  for (const a of index) {
    let offset = a.offset;
    const terms = new Map<number, number>();
    for (const [loop, k] of a.terms) {
      const o = outer[loop];
      if (!o) return null;
      offset += k * o.offset;
      for (const [l, m] of o.terms) terms.set(l, (terms.get(l) ?? 0) + k * m);
    }
    out.push({ ...a, offset, terms: [...terms].filter(([, k]) => k !== 0) });
  }
  return out;
}

const size = (loops: readonly number[]): number => loops.reduce((a, b) => a * b, 1);

/** Inlines element-wise producer `p` into element-wise `consumer`. */
function chain(p: LoweredKernel, consumer: LoweredKernel, v: Value): LoopNest | null {
  const [a, b] = [p.nest, consumer.nest];
  if (!a || !b || a.reduce.length || !isIdentity(a.out.index) || a.operands.some(moves)) return null;
  if (size(a.loops) !== size(v.shape)) return null; // one of several kernels that write v (padding)
  if (size(b.loops) > size(a.loops)) return null; // would compute f once per broadcast copy
  const build = new OperandList();
  const inner = (outer: readonly AxisIndex[]): Expr | null => {
    const map = new Map<number, number>();
    for (const [i, o] of a.operands.entries()) {
      const index = compose(o.index, outer);
      if (!index) return null;
      map.set(i, build.add({ ...o, index }));
    }
    return substitute(a.result, (i, t) => ({ k: "in", i: map.get(i) as number, t }));
  };
  const made = new Map<string, Expr>();
  let failed = false;
  /** An operand of the consumer, and the tables that its index reads. */
  const keep = (o: Access): number => {
    if (o.value === v.id) failed = true; // the inlined value would be a table
    const index = o.index.map((x) =>
      x.table === undefined ? x : { ...x, table: keep(b.operands[x.table] as Access) },
    );
    return build.add({ ...o, index });
  };
  const result = substitute(b.result, (i, t) => {
    const o = b.operands[i] as Access;
    if (o.value !== v.id) return { k: "in", i: keep(o), t };
    if (moves(o)) failed = true;
    const key = JSON.stringify(o.index);
    const e = made.get(key) ?? inner(o.index);
    if (!e || e.t !== t) {
      failed = true;
      return { k: "in", i, t };
    }
    made.set(key, e);
    return e;
  });
  if (failed || build.list.length > maxOperands || nodesOf(result) > maxExprNodes) return null;
  return { ...b, operands: build.list, result };
}

/** Makes `consumer` the tail of kernel `p`'s result. */
function epilogue(
  p: LoweredKernel,
  consumer: LoweredKernel,
  v: Value,
  values: readonly Value[],
): LoopNest | null {
  const [a, b] = [p.nest, consumer.nest];
  if (!a || !b || !bijective(a, v)) return null;
  const outShape = values[b.out.value]?.shape;
  if (outShape?.join() !== v.shape.join()) return null;
  const build = new OperandList(a.operands);
  let residuals = 0;
  let failed = false;
  const result = substitute(b.result, (i, t) => {
    const o = b.operands[i] as Access;
    if (o.value === v.id) {
      if (!isIdentity(o.index) || a.result.t !== t) failed = true;
      return a.result.t === t ? a.result : { k: "in", i, t };
    }
    const index = compose(o.index, a.out.index);
    const kind = classify(o, values[o.value] as Value, v.shape);
    if (!index || kind === "other" || moves(o)) {
      failed = true;
      return { k: "in", i, t };
    }
    const before = build.list.length;
    const at = build.add({ ...o, index });
    if (kind === "full" && build.list.length > before) residuals++;
    return { k: "in", i: at, t };
  });
  const total = residuals + fullOperands(a, values, v.shape);
  if (failed || total > maxResiduals || build.list.length > maxOperands + 2 || nodesOf(result) > maxExprNodes)
    return null;
  return { ...a, operands: build.list, result, out: { ...b.out, index: a.out.index } };
}

/** Every element of v is written once, at sums of distinct loops. */
function bijective(n: LoopNest, v: Value): boolean {
  if (size(n.loops) !== size(v.shape)) return false;
  const used = new Set<number>();
  for (const a of n.out.index)
    for (const [loop] of a.terms) {
      if (used.has(loop) || a.table !== undefined || a.guard) return false;
      used.add(loop);
    }
  return n.loops.every((d, l) => d === 1 || used.has(l));
}

/** Residuals already in the epilogue of `a`. */
function fullOperands(a: LoopNest, values: readonly Value[], shape: readonly number[]): number {
  const body = a.body ? new Set(operandsOf(a.body)) : new Set<number>();
  return a.operands.filter(
    (o, i) => !body.has(i) && values[o.value]?.shape.join() === shape.join() && shape.length > 1,
  ).length;
}

/** Operands, each value and index once. */
class OperandList {
  readonly list: Access[];
  readonly #at = new Map<string, number>();
  constructor(start: readonly Access[] = []) {
    this.list = [...start];
    start.forEach((o, i) => this.#at.set(this.#key(o), i));
  }
  #key(o: Access): string {
    return JSON.stringify([o.value, o.fill ?? 0, o.index]);
  }
  add(o: Access): number {
    const key = this.#key(o);
    const known = this.#at.get(key);
    if (known !== undefined) return known;
    this.#at.set(key, this.list.length);
    return this.list.push(o) - 1;
  }
}
