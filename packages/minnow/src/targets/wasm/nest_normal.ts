// Normal form of a loop nest over views: every tensor position, guard coordinate and table index is one
// affine function of the loops ("cursor"), in bytes or elements. Loops of extent 1 are dropped and
// neighbours whose strides multiply through in every cursor become one loop.
import { max, min, mul, add, num, type Expr, operandsOf, substitute } from "../../compiler/expr.js";
import type { Access, Combine, LoopNest } from "../../compiler/nest.js";
import type { Step } from "../../compiler/program.js";
import { ModelError } from "../../error.js";
import { type DType, elementBytes } from "../../graph/dtype.js";

/** base + Σ coef[l]·loop[l]; loops first, then reduction loops. */
export interface Affine {
  base: number;
  coef: number[];
}

export interface Guard {
  readonly at: Affine;
  /** Inside means 0 ≤ at < extent. */
  readonly extent: number;
}

export interface Lookup {
  /** Number of the operand whose value is the position. */
  readonly operand: number;
  /** Bytes per position. */
  readonly stride: number;
  readonly extent: number;
  readonly wrap: boolean;
}

/** Where one access goes, in bytes from element 0 of its view. */
export interface Place {
  readonly value: number;
  readonly dtype: DType;
  readonly at: Affine;
  readonly guards: readonly Guard[];
  readonly lookups: readonly Lookup[];
  readonly fill: number;
}

export interface Normal {
  loops: number[];
  reduce: number[];
  /** By operand number; undefined where nothing uses it. */
  readonly operands: readonly (Place | undefined)[];
  readonly out: Place;
  readonly body: Expr | undefined;
  readonly combine: Combine | undefined;
  readonly result: Expr;
}

/** The identity of a combination in its accumulator's type. */
export function identity(combine: Combine, t: Expr["t"]): number {
  if (combine === "sum") return 0;
  if (combine === "prod") return 1;
  const least = combine === "max" || combine.startsWith("argmax");
  if (t === "f32") return least ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (t === "i32") return least ? -(2 ** 31) : 2 ** 31 - 1;
  return least ? -(2 ** 63) : 2 ** 63; // emitted with saturation
}

/** combine(a, b) as an expression; not for arg… */
export function combined(combine: Combine, a: Expr, b: Expr): Expr {
  if (combine === "sum") return add(a, b);
  if (combine === "prod") return mul(a, b);
  return combine === "max" ? max(a, b) : min(a, b);
}

export const isArg = (c: Combine | undefined): boolean => c?.startsWith("arg") ?? false;

/** All cursors of a nest, for transformations of its loops. */
function cursors(n: Pick<Normal, "operands" | "out">): Affine[] {
  const places = [...n.operands, n.out].filter((p) => p !== undefined);
  return places.flatMap((p) => [p.at, ...p.guards.map((g) => g.at)]);
}

export function normalize(step: Step): Normal {
  const nest = step.nest as LoopNest;
  let { body, combine, result } = nest;
  let reduce = [...nest.reduce];
  const depth = nest.loops.length + reduce.length;
  if (body && combine && !isArg(combine)) {
    // nothing to fold: the accumulator is the one element, or the identity
    const acc = reduce.some((n) => n === 0)
      ? num(identity(combine, body.t), body.t)
      : reduce.every((n) => n === 1)
        ? body
        : undefined;
    if (acc) {
      result = substitute(result, (i, t) => (i < 0 ? acc : { k: "in", i, t }));
      body = undefined;
      combine = undefined;
      reduce = reduce.map(() => 1);
    }
  }
  const used = new Set<number>();
  const use = (i: number): void => {
    if (i < 0 || used.has(i)) return;
    used.add(i);
    for (const axis of (nest.operands[i] as Access).index) if (axis.table !== undefined) use(axis.table);
  };
  for (const e of body ? [body, result] : [result]) for (const i of operandsOf(e)) use(i);
  for (const axis of nest.out.index) if (axis.table !== undefined) use(axis.table);
  const normal: Normal = {
    loops: [...nest.loops],
    reduce,
    operands: nest.operands.map((a, i) => (used.has(i) ? place(step, a, depth) : undefined)),
    out: place(step, nest.out, depth),
    body,
    combine,
    result,
  };
  simplify(normal);
  return normal;
}

function place(step: Step, access: Access, depth: number): Place {
  const view = step.values[access.value];
  if (!view) throw new ModelError("internal", `step ${step.node} has no value ${access.value}`);
  const { dtype } = view;
  if (dtype === "string" || dtype === "int4")
    throw new ModelError("unsupported", `${step.op} ${JSON.stringify(step.node)}: elements of ${dtype}`, {
      op: step.op,
    });
  const bytes = elementBytes(dtype);
  const at: Affine = { base: 0, coef: new Array<number>(depth).fill(0) };
  const guards: Guard[] = [];
  const lookups: Lookup[] = [];
  access.index.forEach((axis, d) => {
    const stride = (view.strides[d] as number) * bytes;
    const extent = view.shape[d] as number;
    if (axis.table !== undefined) {
      lookups.push({ operand: axis.table, stride, extent, wrap: axis.wrap ?? false });
      return;
    }
    const position: Affine = { base: axis.offset, coef: new Array<number>(depth).fill(0) };
    at.base += axis.offset * stride;
    for (const [loop, k] of axis.terms) {
      (position.coef[loop] as number) += k;
      (at.coef[loop] as number) += k * stride;
    }
    if (axis.guard) guards.push({ at: position, extent });
  });
  return { value: access.value, dtype, at, guards, lookups, fill: access.fill ?? 0 };
}

/** Drops guards that always hold and loops of extent 1, and joins loops. */
function simplify(n: Normal): void {
  const keepReduce = isArg(n.combine); // its loop number is the answer
  const extents = [...n.loops, ...n.reduce];
  for (const p of [...n.operands, n.out]) {
    if (!p) continue;
    const needed = p.guards.filter((g) => !holds(g, extents));
    (p.guards as Guard[]).splice(0, p.guards.length, ...needed);
  }
  const all = cursors(n);
  for (let l = extents.length - 1; l >= 0; l--) {
    const group = l < n.loops.length ? n.loops : n.reduce;
    const at = l < n.loops.length ? l : l - n.loops.length;
    if (group === n.reduce && keepReduce) continue;
    if (group[at] === 1) remove(all, group, l, at);
  }
  for (const group of keepReduce ? [n.loops] : [n.loops, n.reduce]) {
    for (let at = group.length - 2; at >= 0; at--) {
      const l = group === n.loops ? at : n.loops.length + at;
      const inner = group[at + 1] as number;
      if (!all.every((c) => c.coef[l] === (c.coef[l + 1] as number) * inner)) continue;
      group[at + 1] = inner * (group[at] as number);
      remove(all, group, l, at);
    }
  }
}

function holds(g: Guard, extents: readonly number[]): boolean {
  let lo = g.at.base;
  let hi = g.at.base;
  g.at.coef.forEach((k, l) => {
    const reach = k * ((extents[l] as number) - 1);
    if (reach < 0) lo += reach;
    else hi += reach;
  });
  return lo >= 0 && hi < g.extent;
}

function remove(all: readonly Affine[], group: number[], l: number, at: number): void {
  for (const c of all) c.coef.splice(l, 1);
  group.splice(at, 1);
}
