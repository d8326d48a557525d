// Winograd's minimal filters by Toom and Cook: m outputs of a filter with r taps from n = m + r − 1
// products, y = Aᵀ((G g) ⊙ (Bᵀ d)), for n − 1 points and infinity. The points decide how exact answers are.
// Root mean square of the error over that of y, 64 channels of uniform numbers (direct sums 3–7e-7):
//   n = 4   0, ±1                          F2×2,3×3 2e-7
//   n = 6   0, ±√½, ±√2                    F4×4,3×3 9e-7 (0, ±1, ±2: 17e-7)   F2×2,5×5 9e-7   F4,3 3e-7
//   n = 8   0, ±½, ±1, ±2                  F2,7 8e-7                          F6×6,3×3 36e-7: not used
//   n = 10  0, ±0.4, ±0.75, ±4/3, ±2.5     F4,7 16e-7 (0, ±½, ±1, ±1.5, ±2: 32e-7)
// Points in pairs ±p, p and 1/p: half the work of a transform is shared, and numbers stay of one size.

export type Matrix = readonly (readonly number[])[];

/** F(m, r) along one axis. */
export interface Toom {
  readonly m: number;
  readonly r: number;
  readonly n: number;
  /** n×n, n×r, m×n. */
  readonly bt: Matrix;
  readonly g: Matrix;
  readonly at: Matrix;
}

const halves: Readonly<Record<number, readonly number[]>> = {
  4: [1],
  6: [Math.SQRT1_2, Math.SQRT2],
  8: [0.5, 1, 2],
  10: [0.4, 0.75, 4 / 3, 2.5],
};

/** Rounding noise removed, so that ones and zeros are found. */
const clean = (x: number): number => {
  const near = Math.round(x * 4) / 4;
  return Math.abs(x - near) < 1e-12 ? near : x;
};

/** Coefficients of Π (x − p), from x⁰ up. */
function product(points: readonly number[]): number[] {
  let q = [1];
  for (const p of points) q = [0, ...q].map((below, i) => below - p * (q[i] ?? 0));
  return q;
}

/** @returns F(m, r); m + r − 1 must be 4, 6, 8 or 10 */
export function toom(m: number, r: number): Toom {
  const n = m + r - 1;
  const half = halves[n];
  if (!half) throw new RangeError(`no points for F(${m},${r})`);
  const points = [0, ...half.flatMap((p) => [p, -p])];
  const bt: number[][] = [];
  const g: number[][] = [];
  const row = (polynomial: readonly number[], taps: (k: number) => number): void => {
    // The scale that makes most coefficients ±1: they cost no multiplication.
    let scale = 1;
    let most = -1;
    for (const c of polynomial) {
      const ones = c && polynomial.filter((x) => Math.abs(Math.abs(x / c) - 1) < 1e-12).length;
      if (ones > most) [scale, most] = [Math.abs(c), ones];
    }
    bt.push(Array.from({ length: n }, (_, i) => clean((polynomial[i] ?? 0) / scale)));
    g.push(Array.from({ length: r }, (_, k) => taps(k) * scale));
  };
  for (const p of points) {
    const others = points.filter((x) => x !== p);
    const norm = others.reduce((a, x) => a * (p - x), 1);
    row(product(others), (k) => p ** k / norm);
  }
  row(product(points), (k) => (k === r - 1 ? 1 : 0));
  const at = Array.from({ length: m }, (_, i) => [...points.map((p) => clean(p ** i)), i === m - 1 ? 1 : 0]);
  return { m, r, n, bt, g, at };
}
