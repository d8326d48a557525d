// How a nest reads and writes: what fusion asks of an access.
import type { LoweredKernel, Value } from "./lowered.js";
import type { Access, AxisIndex } from "./nest.js";

/** One output element from elements at the same place: no reduction, out index = loop numbers. */
export function isElementwise(k: LoweredKernel): boolean {
  return k.name === "nest" && !!k.nest && k.nest.reduce.length === 0 && isIdentity(k.nest.out.index);
}

export const isIdentity = (index: readonly AxisIndex[]): boolean =>
  index.every((a, i) => isLoop(a, i) || (a.offset === 0 && a.terms.length === 0 && a.table === undefined));
export const isLoop = (a: AxisIndex, loop: number): boolean =>
  a.offset === 0 &&
  !a.guard &&
  a.table === undefined &&
  a.terms.length === 1 &&
  a.terms[0]?.[0] === loop &&
  a.terms[0]?.[1] === 1;

/** Table-driven or guarded reads stay where they are. */
export const moves = (o: Access): boolean => o.index.some((a) => a.table !== undefined || a.guard);

/** How an epilogue operand lies over the output: one number, one per channel (last axis), or all. */
export function classify(
  o: Access,
  value: Value,
  shape: readonly number[],
): "scalar" | "channel" | "full" | "other" {
  const live = o.index.filter((a) => a.terms.length > 0);
  if (live.length === 0) return "scalar";
  const last = shape.length - 1;
  if (live.length === 1 && isLoop(o.index[o.index.length - 1] as AxisIndex, last)) {
    const size = value.shape.reduce((a, b) => a * b, 1);
    if (size === shape[last]) return "channel";
  }
  const full =
    value.shape.length === shape.length &&
    o.index.every((a, i) => isLoop(a, i) || value.shape[i] === 1) &&
    value.shape.every((d, i) => d === shape[i]);
  return full ? "full" : "other";
}
