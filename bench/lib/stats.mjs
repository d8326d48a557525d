// Order statistics of a list of numbers.
export function median(list) {
  const s = [...list].sort((a, b) => a - b);
  const half = s.length >> 1;
  return s.length % 2 ? s[half] : (s[half - 1] + s[half]) / 2;
}

/** @returns {{ median: number, min: number, max: number, n: number } | null} null of nothing */
export function spread(list) {
  if (!list.length) return null;
  let [min, max] = [Number.POSITIVE_INFINITY, 0];
  for (const v of list) [min, max] = [Math.min(min, v), Math.max(max, v)];
  return { median: median(list), min, max, n: list.length };
}

export const geometricMean = (list) => Math.exp(list.reduce((s, v) => s + Math.log(v), 0) / list.length);

/** Three significant digits, never fewer than the whole number has. */
export const digits = (v) =>
  v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v >= 1 ? v.toFixed(2) : v.toPrecision(2);
