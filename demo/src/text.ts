// PP-OCRv4: from the detector's probability map to boxes, and from the recogniser's scores to text.

export interface TextBox {
  /** Pixels of the page. */
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly score: number;
}

/**
 * Boxes of connected regions (DB: Liao et al., 2020), axis-aligned, grown by area · ratio / perimeter.
 * @param map [height, width] probabilities
 * @param scale page pixels per map pixel, x and y
 */
export function findBoxes(
  map: ArrayLike<number>,
  width: number,
  height: number,
  scale: { x: number; y: number },
  { threshold = 0.3, least = 0.6, ratio = 1.6 } = {},
): TextBox[] {
  const seen = new Uint8Array(width * height);
  const stack: number[] = [];
  const out: TextBox[] = [];
  for (let start = 0; start < seen.length; start++) {
    if (seen[start] || (map[start] as number) < threshold) continue;
    let [left, top, right, bottom, sum, n] = [width, height, 0, 0, 0, 0];
    seen[start] = 1;
    stack.push(start);
    for (let p = stack.pop(); p !== undefined; p = stack.pop()) {
      const [x, y] = [p % width, Math.floor(p / width)];
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
      sum += map[p] as number;
      n++;
      for (const q of [
        x > 0 ? p - 1 : p,
        x < width - 1 ? p + 1 : p,
        y > 0 ? p - width : p,
        y < height - 1 ? p + width : p,
      ])
        if (!seen[q] && (map[q] as number) >= threshold) {
          seen[q] = 1;
          stack.push(q);
        }
    }
    const [w, h] = [right - left + 1, bottom - top + 1];
    const score = sum / n;
    if (Math.min(w, h) < 3 || score < least) continue;
    const grow = (w * h * ratio) / (2 * (w + h));
    out.push({
      left: Math.max(0, (left - grow) * scale.x),
      top: Math.max(0, (top - grow) * scale.y),
      right: Math.min(width, right + 1 + grow) * scale.x,
      bottom: Math.min(height, bottom + 1 + grow) * scale.y,
      score,
    });
  }
  return out.sort((a, b) => a.top - b.top || a.left - b.left);
}

/**
 * Greedy CTC decoding (Graves et al., 2006): class 0 is blank.
 * @param scores [steps, classes] probabilities
 */
export function readLine(
  scores: ArrayLike<number>,
  steps: number,
  classes: number,
  alphabet: readonly string[],
): { text: string; score: number } {
  let text = "";
  let sum = 0;
  let n = 0;
  let last = 0;
  for (let t = 0; t < steps; t++) {
    let best = 0;
    for (let c = 1; c < classes; c++)
      if ((scores[t * classes + c] as number) > (scores[t * classes + best] as number)) best = c;
    if (best !== 0 && best !== last) {
      text += alphabet[best - 1] ?? " ";
      sum += scores[t * classes + best] as number;
      n++;
    }
    last = best;
  }
  return { text: text.trim(), score: n ? sum / n : 0 };
}
