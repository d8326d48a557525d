// Chooses the loop that runs across vector lanes, by a small cost model: what one step of four lanes
// loads, stores and computes, the single elements at the end, and the overhead of entering the loop.
import { children, type Expr, operandsOf } from "../../compiler/expr.js";
import { scalarOf } from "../../compiler/nest.js";
import { elementBytes } from "../../graph/dtype.js";
import { isVectorizable } from "./expr.js";
import { type Affine, isArg, type Normal, type Place } from "./nest_normal.js";
import type { LaneKind } from "./nest_structure.js";

export interface Schedule {
  readonly mode: "vector" | "scalar";
  /** Loop number (reduction loops count on from the output loops). */
  readonly lane: number;
  readonly laneReduce: boolean;
  /** Rough nanoseconds of the whole nest, for chunk sizes. */
  readonly cost: number;
}

/** Whether a place's position depends on a loop, through its guards and tables too. */
export function depends(n: Normal, p: Place, loop: number): boolean {
  const on = (a: Affine): boolean => (a.coef[loop] ?? 0) !== 0;
  return (
    on(p.at) ||
    p.guards.some((g) => on(g.at)) ||
    p.lookups.some((l) => depends(n, n.operands[l.operand] as Place, loop))
  );
}

export function laneKind(
  n: Normal,
  p: Place,
  loop: number,
  clipped: (g: Place["guards"][number]) => boolean,
): LaneKind {
  const crooked =
    p.guards.some((g) => (g.at.coef[loop] ?? 0) !== 0 && !clipped(g)) ||
    p.lookups.some((l) => depends(n, n.operands[l.operand] as Place, loop));
  if (crooked) return "indexed";
  const k = p.at.coef[loop] ?? 0;
  if (k === 0) return "row";
  return k === elementBytes(p.dtype) ? "unit" : "strided";
}

/**
 * The operand (at most one, else −1) that is padded along the lane loop and nothing worse: its lanes are
 * cut into before, inside and after, instead of being tested one by one.
 */
export function windowOperand(n: Normal, lane: number): number {
  if (lane >= n.loops.length) return -1;
  return n.operands.findIndex(
    (p) =>
      p !== undefined &&
      p.at.coef[lane] !== 0 &&
      p.lookups.length === 0 &&
      p.guards.some((g) => g.at.coef[lane] !== 0) &&
      p.guards.every(
        (g) => (g.at.coef[lane] as number) >= 0 && g.at.coef.slice(n.loops.length).every((k) => k === 0),
      ),
  );
}

/** Cost of one vector of an access, in vector instructions. */
const accessCost: Record<LaneKind, number> = { row: 0.2, unit: 1, strided: 6, indexed: 24 };

/** Instructions of an expression, roughly. */
export function weight(e: Expr): number {
  const seen = new Set<Expr>();
  let total = 0;
  const visit = (x: Expr): void => {
    if (seen.has(x)) return;
    seen.add(x);
    if (x.k === "un" && !["neg", "abs", "floor", "ceil", "trunc", "nearest", "sqrt"].includes(x.op))
      total += 25;
    else if (x.k === "bin" && x.op === "pow") total += 60;
    else if (x.k !== "in" && x.k !== "const")
      total += x.k === "bin" && (x.op === "div" || x.op === "rem") ? 5 : 1;
    for (const c of children(x)) visit(c);
  };
  visit(e);
  return total;
}

/** Guards that shorten loops instead of being tested, given the lane loop. */
export type ClipRule = (p: number, g: Place["guards"][number], lane: number) => boolean;

export function schedule(n: Normal, clips: ClipRule): Schedule {
  const places = n.operands
    .map((p, i) => ({ p, i }))
    .filter((x): x is { p: Place; i: number } => x.p !== undefined);
  const exprs = n.body ? [n.body, n.result] : [n.result];
  const used = new Set(exprs.flatMap(operandsOf));
  const vector =
    exprs.every(isVectorizable) &&
    places.every(({ p, i }) => p.dtype !== "int64" || !used.has(i)) &&
    scalarOf(n.out.dtype) !== "i64" &&
    n.out.guards.length === 0 &&
    n.out.lookups.length === 0;
  const width = vector ? 4 : 1;
  const size = n.loops.reduce((a, b) => a * b, 1);
  const steps = n.reduce.reduce((a, b) => a * b, 1);
  const body = n.body ? operandsOf(n.body) : [];
  const result = operandsOf(n.result);

  const cost = (lane: number): number => {
    const extent = (lane < n.loops.length ? n.loops[lane] : n.reduce[lane - n.loops.length]) as number;
    const window = windowOperand(n, lane);
    const cheap = (i: number): number => {
      const p = n.operands[i];
      if (!p) return 0;
      const kind = laneKind(n, p, lane, (g) => i === window || clips(i, g, lane));
      const narrow = vector && kind === "strided" && elementBytes(p.dtype) < 4 ? 2 : 0;
      return accessCost[kind] + narrow;
    };
    const sum = (list: readonly number[]): number => list.reduce((a, i) => a + (i < 0 ? 0 : cheap(i)), 0);
    // The mean tail, not this extent's: shapes that differ a little should share their code.
    const tail = extent < 8 ? extent % 4 : 1.5;
    const passes = vector ? Math.floor(extent / 4) + tail : extent;
    const waste = (passes * width) / Math.max(1, extent);
    const entry = 8 + 2 * places.length + (window < 0 ? 0 : 20);
    const perStep = n.body ? sum(body) + weight(n.body) + 1 : 0;
    const perResult = sum(result) + weight(n.result) + accessCost[laneKind(n, n.out, lane, () => false)];
    if (lane < n.loops.length)
      return (
        (size / width) * waste * (perStep * steps + perResult + 3 * n.reduce.length) +
        (size / Math.max(1, extent)) * entry
      );
    return (
      size *
      ((perStep * steps * waste) / width + (entry * steps) / Math.max(1, extent) + 12 + weight(n.result))
    );
  };

  let best: { lane: number; cost: number } | undefined;
  const consider = (lane: number, bias: number): void => {
    const c = cost(lane) * bias;
    if (!best || c < best.cost) best = { lane, cost: c };
  };
  // innermost first: on a tie it has the better locality
  const inner = n.loops.length - 1;
  const plain = (l: number): boolean =>
    [n.out, ...places.map((x) => x.p)].every((p) => ["unit", "row"].includes(laneKind(n, p, l, () => false)));
  // A contiguous innermost loop is kept unless another is far better: the choice should not turn on sizes.
  const settled = inner >= 0 && (n.loops[inner] as number) >= 4 && plain(inner);
  for (let l = inner; l >= 0; l--) consider(l, settled && l !== inner ? 4 : 1);
  if (n.body && vector && !isArg(n.combine)) {
    for (let r = n.reduce.length - 1; r >= 0; r--) {
      const lane = n.loops.length + r;
      const straight = body.every((i) => {
        const p = n.operands[i];
        return !p || laneKind(n, p, lane, (g) => clips(i, g, lane)) !== "indexed";
      });
      if (straight) consider(lane, 1);
    }
  }
  const chosen = best as { lane: number; cost: number };
  return {
    mode: vector ? "vector" : "scalar",
    lane: chosen.lane,
    laneReduce: chosen.lane >= n.loops.length,
    cost: chosen.cost * 0.3,
  };
}
