// The memory plan: lifetimes of buffers, in-place reuse, offsets. Placement is greedy (Pisarchyk and
// Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020) in several orders; the best
// is kept, beside the bound: the most bytes alive at any step.
import type { Buffer } from "./program.js";

const alignment = 64;
const align = (n: number): number => Math.ceil(n / alignment) * alignment;

/** Most live bytes at any step. */
export function bound(buffers: readonly Buffer[]): number {
  const change = new Map<number, number>();
  for (const b of buffers) {
    if (b.space !== "arena") continue;
    change.set(b.first, (change.get(b.first) ?? 0) + b.bytes);
    change.set(b.last + 1, (change.get(b.last + 1) ?? 0) - b.bytes);
  }
  let live = 0;
  let most = 0;
  for (const [, d] of [...change].sort(([a], [b]) => a - b)) {
    live += d;
    most = Math.max(most, live);
  }
  return most;
}

/** Sets the offsets of arena buffers; returns the arena's size in bytes. */
export function assignOffsets(buffers: readonly Buffer[]): number {
  const arena = buffers.filter((b) => b.space === "arena");
  const orders: ((a: Buffer, b: Buffer) => number)[] = [
    (a, b) => b.bytes - a.bytes || a.first - b.first,
    (a, b) => b.bytes * (b.last - b.first + 1) - a.bytes * (a.last - a.first + 1),
    (a, b) => b.last - b.first - (a.last - a.first) || b.bytes - a.bytes,
    (a, b) => a.first - b.first || b.bytes - a.bytes,
    breadthOrder(arena),
  ];
  const lower = bound(buffers);
  let best: { size: number; offsets: number[] } | null = null;
  for (const order of orders) {
    const tried = greedy([...arena].sort(order));
    if (!best || tried.size < best.size) {
      for (const b of arena) b.offset = tried.offsets.get(b) as number;
      best = { size: tried.size, offsets: [] };
    }
    if (best.size <= align(lower)) break;
  }
  return best?.size ?? 0;
}

/** Buffers of the step with the most live bytes first (TFLite's "greedy by breadth"). */
function breadthOrder(arena: readonly Buffer[]): (a: Buffer, b: Buffer) => number {
  const last = Math.max(0, ...arena.map((b) => b.last));
  const live = new Float64Array(last + 3);
  for (const b of arena)
    for (let s = b.first; s <= b.last; s++) live[s + 1] = (live[s + 1] as number) + b.bytes;
  const rank = new Map(
    arena.map((b) => {
      let most = 0;
      for (let s = b.first; s <= b.last; s++) most = Math.max(most, live[s + 1] as number);
      return [b, most];
    }),
  );
  return (a, b) => (rank.get(b) ?? 0) - (rank.get(a) ?? 0) || b.bytes - a.bytes || a.first - b.first;
}

/** Each buffer in the smallest gap that fits among those alive with it. */
function greedy(sorted: readonly Buffer[]): { size: number; offsets: Map<Buffer, number> } {
  const offsets = new Map<Buffer, number>();
  const placed: Buffer[] = []; // by offset
  let size = 0;
  for (const b of sorted) {
    let at = 0;
    let bestAt = -1;
    let bestGap = Number.POSITIVE_INFINITY;
    for (const p of placed) {
      if (p.last < b.first || p.first > b.last) continue;
      const start = offsets.get(p) as number;
      const gap = start - at;
      if (gap >= b.bytes && gap < bestGap) {
        bestGap = gap;
        bestAt = at;
      }
      at = Math.max(at, align(start + p.bytes));
    }
    const offset = bestAt >= 0 ? bestAt : at;
    offsets.set(b, offset);
    size = Math.max(size, offset + align(b.bytes));
    const i = placed.findIndex((p) => (offsets.get(p) as number) > offset);
    placed.splice(i < 0 ? placed.length : i, 0, b);
  }
  return { size, offsets };
}
