// How far two answers to one input agree. Peers are compared with this before anything is timed.

/**
 * @param {ArrayLike<number>} answer
 * @param {ArrayLike<number>} reference
 * @returns {{ error: number, cosine: number, top1: boolean, top5: number }} `error`: largest difference over the
 *   reference's largest magnitude; `top5`: how many of the reference's five largest are among the answer's
 */
export function agreement(answer, reference) {
  if (answer.length !== reference.length)
    throw new Error(`answers of ${answer.length} and ${reference.length} numbers are not of one network`);
  let [difference, peak, dot, aa, bb] = [0, 0, 0, 0, 0];
  for (let i = 0; i < answer.length; i++) {
    const [a, b] = [answer[i], reference[i]];
    difference = Math.max(difference, Math.abs(a - b));
    peak = Math.max(peak, Math.abs(b));
    dot += a * b;
    aa += a * a;
    bb += b * b;
  }
  const [a, b] = [largest(answer, 5), largest(reference, 5)];
  return {
    error: difference / (peak || 1),
    cosine: dot / (Math.sqrt(aa * bb) || 1),
    top1: a[0] === b[0],
    top5: b.filter((i) => a.includes(i)).length,
  };
}

/**
 * The agreement of the worst of several outputs, in their order.
 * @param {ArrayLike<number>[]} answers
 * @param {ArrayLike<number>[]} references
 */
export function worst(answers, references) {
  const each = references.map((r, i) => agreement(answers[i], r));
  return {
    error: Math.max(...each.map((a) => a.error)),
    cosine: Math.min(...each.map((a) => a.cosine)),
    top1: each.every((a) => a.top1),
    top5: Math.min(...each.map((a) => a.top5)),
  };
}

/**
 * What an answer may differ by. float32: sums in another order. int8, against another engine's answer to the
 * same int8 network: roundings, which a softmax behind fifty layers makes large in single numbers.
 */
const limits = {
  float32: (a) => a.error <= 1e-4,
  int8: (a) => a.cosine >= 0.98,
};

/** @throws Error naming `who` where answers differ by more than `type` explains */
export function demand(who, type, answers, references) {
  const a = worst(answers, references);
  if (!limits[type](a))
    throw new Error(
      `${who}: answers differ: ${a.error.toExponential(1)} of the peak, cosine ${a.cosine.toFixed(4)}`,
    );
  return a;
}

function largest(values, n) {
  const best = [];
  for (let i = 0; i < values.length; i++) {
    if (best.length === n && !(values[i] > values[best[n - 1]])) continue;
    let at = best.length;
    while (at > 0 && values[i] > values[best[at - 1]]) at--;
    best.splice(at, 0, i);
    if (best.length > n) best.pop();
  }
  return best;
}
