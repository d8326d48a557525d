// Axis orders. A layout L of a tensor t means that it is stored as transpose(t, L): stored axis i is
// axis L[i] of t. Axes of size 1 may stand anywhere without moving an element.
import type { Shape, Tensor } from "../graph/index.js";

export type Perm = readonly number[];

const identities = Array.from({ length: 9 }, (_, rank) => Array.from({ length: rank }, (_, i) => i));
export const identity = (rank: number): Perm => identities[rank] ?? Array.from({ length: rank }, (_, i) => i);
export const isIdentity = (p: Perm): boolean => p.every((a, i) => a === i);
/** transpose(transpose(x, a), b) = transpose(x, compose(a, b)) */
export const compose = (a: Perm, b: Perm): number[] => b.map((i) => a[i] as number);
export const inverse = (p: Perm): number[] => {
  const out = new Array<number>(p.length);
  p.forEach((a, i) => {
    out[a] = i;
  });
  return out;
};
export const equal = (a: Perm, b: Perm): boolean => a.length === b.length && a.every((v, i) => v === b[i]);
export const permute = <T>(list: readonly T[], p: Perm): T[] => p.map((i) => list[i] as T);

/** Order of the axes that are not 1: equal keys store the same bytes. */
export function key(shape: Shape, p: Perm): string {
  let text = "";
  for (const a of p) if (shape[a] !== 1) text += String.fromCharCode(97 + a);
  return text;
}

/** The perm attribute of a Transpose node, or null where it is not one. */
export function permOf(perm: unknown, rank: number): Perm | null {
  const p = (perm as readonly number[] | undefined) ?? [];
  if (p.length === 0) return [...identity(rank)].reverse();
  if (p.length !== rank) return null;
  const positive = p.map((a) => (a < 0 ? a + rank : a));
  for (let axis = 0; axis < rank; axis++) if (!positive.includes(axis)) return null;
  return positive;
}

/** A layout of fewer axes: those in `axes` are gone. */
export const withoutAxes = (p: Perm, axes: readonly number[]): number[] =>
  p.filter((a) => !axes.includes(a)).map((a) => a - axes.filter((x) => x < a).length);

/** The other way: `axes` come in, each right after the axis that precedes it. */
export function withAxes(p: Perm, axes: readonly number[], rank: number): number[] {
  const kept = identity(rank).filter((a) => !axes.includes(a));
  return insertAfterPredecessor(
    p.map((i) => kept[i] as number),
    axes,
  );
}

/** Puts axes that store nothing into an order: each after the axis before it, else in front. */
export function insertAfterPredecessor(order: readonly number[], axes: readonly number[]): number[] {
  const out = [...order];
  for (const a of [...axes].sort((x, y) => x - y)) out.splice(out.indexOf(a - 1) + 1, 0, a);
  return out;
}

export const rankOf = (t: Tensor): number => t.shape.length;

/**
 * Name of a tensor that holds transpose(t, layout): "t~0231". Passes never write other names of this
 * form, so a tensor that only lives on in another order can still be asked for by its own name.
 */
export function movedName(name: string, layout: Perm): string {
  const source = sourceOfMoved(name, layout.length);
  const order = source ? compose(source.layout, layout) : layout;
  const base = source ? source.name : name;
  return isIdentity(order) ? base : `${base}~${order.join("")}`;
}

/** What a moved tensor's name says: "t~0231" is transpose(t, [0, 2, 3, 1]). */
export function sourceOfMoved(name: string, rank: number): { name: string; layout: Perm } | null {
  const m = /^(.*)~(\d+)(?:\.\d+)?$/s.exec(name);
  const layout = permOf([...(m?.[2] ?? "")].map(Number), rank);
  return m && layout && m[2]?.length === rank ? { name: m[1] as string, layout } : null;
}
