// How a reshape maps axes: the smallest runs of input and output axes with equal products, such as
// [N, 116, H, W] → [N, 2, 58, H, W]: N→N, 116→(2, 58), H→H, W→W. Axes of size 1 belong to no group.
import { dim, type Dim, type Shape } from "../graph/index.js";

export interface Group {
  /** Input axes and output axes, ascending. */
  readonly ins: readonly number[];
  readonly outs: readonly number[];
}

/** Null where a symbolic size keeps the map from being known. */
export function reshapeGroups(from: Shape, to: Shape): Group[] | null {
  if (from.includes(0) || to.includes(0)) return null;
  const a = axes(from);
  const b = axes(to);
  const front = match(from, to, a, b);
  const restA = a.slice(front.usedA);
  const restB = b.slice(front.usedB);
  if (restA.length === 0 && restB.length === 0) return front.groups;
  const back = match(from, to, restA.reverse(), restB.reverse());
  const ins = restA.slice(back.usedA).reverse();
  const outs = restB.slice(back.usedB).reverse();
  const ordered = back.groups
    .map((g) => ({ ins: [...g.ins].reverse(), outs: [...g.outs].reverse() }))
    .reverse();
  if (ins.length === 0 && outs.length === 0) return [...front.groups, ...ordered];
  if (ins.length === 0 || outs.length === 0) return null;
  return [...front.groups, { ins, outs }, ...ordered];
}

const axes = (s: Shape): number[] => s.flatMap((d, i) => (d === 1 ? [] : [i]));

interface Match {
  groups: Group[];
  usedA: number;
  usedB: number;
}

/** Matches runs from the front until sizes can no longer be compared. */
function match(from: Shape, to: Shape, a: readonly number[], b: readonly number[]): Match {
  const m: Match = { groups: [], usedA: 0, usedB: 0 };
  while (m.usedA < a.length && m.usedB < b.length) {
    const run = firstRun(from, to, a.slice(m.usedA), b.slice(m.usedB));
    if (!run) break;
    m.groups.push(run);
    m.usedA += run.ins.length;
    m.usedB += run.outs.length;
  }
  return m;
}

function firstRun(from: Shape, to: Shape, a: readonly number[], b: readonly number[]): Group | null {
  for (let total = 2; total <= 8; total++)
    for (let i = 1; i < total; i++) {
      const j = total - i;
      if (i > a.length || j > b.length) continue;
      const left = size(from, a.slice(0, i));
      if (left === size(to, b.slice(0, j))) return { ins: a.slice(0, i), outs: b.slice(0, j) };
    }
  return null;
}

const size = (s: Shape, list: readonly number[]): Dim =>
  dim.product([...list].sort((x, y) => x - y).map((i) => s[i] as Dim));
