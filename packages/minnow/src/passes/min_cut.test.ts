import assert from "node:assert/strict";
import { test } from "node:test";
import { MinCut } from "./min_cut.js";

/** Cost of the cheapest labelling, by trying them all. */
function bruteForce(n: number, edges: readonly (readonly [number, number, number])[]): number {
  let best = Number.POSITIVE_INFINITY;
  for (let mask = 0; mask < 1 << n; mask++)
    best = Math.min(
      best,
      costOf(edges, (v) => v === 0 || (v > 1 && ((mask >> (v - 2)) & 1) === 1)),
    );
  return best;
}

const costOf = (
  edges: readonly (readonly [number, number, number])[],
  inside: (v: number) => boolean,
): number => edges.reduce((sum, [a, b, c]) => sum + (inside(a) && !inside(b) ? c : 0), 0);

test("the cut found costs what the cheapest of all labellings costs", () => {
  let seed = 1;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % n;
  };
  for (let round = 0; round < 200; round++) {
    const n = 1 + random(6);
    const cut = new MinCut();
    for (let i = 0; i < n; i++) cut.vertex();
    const edges = Array.from(
      { length: 3 + random(15) },
      () => [random(n + 2), random(n + 2), random(10)] as const,
    );
    for (const [a, b, c] of edges) cut.edge(a, b, c);
    const side = cut.solve();
    assert.ok(side.has(cut.source) && !side.has(cut.sink));
    assert.equal(
      costOf(edges, (v) => side.has(v)),
      bruteForce(n, edges),
    );
  }
});
