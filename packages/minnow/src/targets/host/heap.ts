// A binary heap of indices in an array, its root the one that comes last in a strict order: the worst of
// the best k (top_k.ts), or, with the order turned round, the next best (detection.ts).

/** Whether index `a` comes before index `b`. Strict and total. */
export type Before = (a: number, b: number) => boolean;

/** Restores the heap of the first `n` entries below place `i`. */
export function sink(heap: Uint32Array, i: number, n: number, before: Before): void {
  const moving = heap[i] as number;
  let at = i;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= n) break;
    if (child + 1 < n && before(heap[child] as number, heap[child + 1] as number)) child++;
    if (!before(moving, heap[child] as number)) break;
    heap[at] = heap[child] as number;
    at = child;
  }
  heap[at] = moving;
}
