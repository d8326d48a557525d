// The best few of many scores, with their labels.

export interface Ranked {
  readonly index: number;
  readonly score: number;
  readonly label?: string;
}

/** The `k` largest, best first; equal scores in order of index; NaN never. */
export function topK(scores: ArrayLike<number>, k = 5, labels?: readonly string[]): Ranked[] {
  const best: number[] = []; // indices, best first
  const at = (i: number): number => scores[i] as number;
  for (let i = 0; i < scores.length && k > 0; i++) {
    const s = at(i);
    if (Number.isNaN(s) || (best.length >= k && s <= at(best[best.length - 1] as number))) continue;
    let place = best.length;
    while (place > 0 && at(best[place - 1] as number) < s) place--;
    best.splice(place, 0, i);
    if (best.length > k) best.pop();
  }
  return best.map((index) => {
    const label = labels?.[index];
    return { index, score: at(index), ...(label !== undefined && { label }) };
  });
}
