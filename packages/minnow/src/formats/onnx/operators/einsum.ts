// Einsum as transposes and one product a pair of operands: MatMul where at most one axis is summed and one
// stays on either side, else a broadcast product and a sum.
import type { Tensor } from "../../../graph/graph.js";
import type { Call, Row } from "../call.js";

/** A tensor whose axes carry labels: letters, or "0", "1", … for axes under an ellipsis, counted from the right. */
interface Labelled {
  readonly t: Tensor;
  readonly labels: readonly string[];
}

function parseTerm(c: Call, text: string, rank: number): string[] {
  const at = text.indexOf("...");
  const letters = [...text.replace("...", "")];
  if (letters.some((l) => !/[A-Za-z]/.test(l))) c.bad(`its equation has the term ${text}`);
  if (at < 0 ? letters.length !== rank : letters.length > rank) c.bad(`term ${text} for rank ${rank}`);
  const hidden = Array.from({ length: rank - letters.length }, (_, i) =>
    String(rank - letters.length - 1 - i),
  );
  return at < 0 ? letters : [...letters.slice(0, at), ...hidden, ...letters.slice(at)];
}

/** Labels of the result: as written, or all that appear once, in order. */
function resultLabels(c: Call, text: string | undefined, terms: readonly (readonly string[])[]): string[] {
  const all = terms.flat();
  const hidden = [...new Set(all.filter((l) => /\d/.test(l)))].sort((a, b) => Number(b) - Number(a));
  if (text === undefined) {
    const once = [...new Set(all)].filter((l) => /\D/.test(l) && all.filter((m) => m === l).length === 1);
    return [...hidden, ...once.sort()];
  }
  const at = text.indexOf("...");
  const letters = [...text.replace("...", "")];
  if (letters.some((l) => !all.includes(l)) || new Set(letters).size < letters.length)
    c.bad(`its equation ends in ${text}`);
  return at < 0 ? letters : [...letters.slice(0, at), ...hidden, ...letters.slice(at)];
}

/** Axes in the given order; labels that the tensor lacks become axes of 1. */
function arrange(c: Call, { t, labels }: Labelled, order: readonly string[]): Tensor {
  const present = order.filter((l) => labels.includes(l));
  const perm = present.map((l) => labels.indexOf(l));
  const moved = perm.some((p, i) => p !== i) ? c.emit("Transpose", [t], { perm }) : t;
  const missing = order.flatMap((l, i) => (labels.includes(l) ? [] : [i]));
  return missing.length > 0 ? c.unsqueeze(moved, missing) : moved;
}

/** Sums the labels that nobody else wants. */
function sumOut(c: Call, { t, labels }: Labelled, wanted: ReadonlySet<string>): Labelled {
  const axes = labels.flatMap((l, i) => (wanted.has(l) ? [] : [i]));
  if (axes.length === 0) return { t, labels };
  return {
    t: c.emit("ReduceSum", [t], { axes, keepDims: false }),
    labels: labels.filter((l) => wanted.has(l)),
  };
}

function product(c: Call, a: Labelled, b: Labelled, wanted: ReadonlySet<string>): Labelled {
  const both = a.labels.filter((l) => b.labels.includes(l));
  const batch = both.filter((l) => wanted.has(l));
  const summed = both.filter((l) => !wanted.has(l));
  const left = a.labels.filter((l) => !both.includes(l));
  const right = b.labels.filter((l) => !both.includes(l));
  const labels = [...batch, ...left, ...right];
  if (summed.length === 1 && left.length <= 1 && right.length <= 1) {
    const rows = left.length === 1 ? left : [" "];
    const columns = right.length === 1 ? right : [" "];
    const y = c.emit("MatMul", [
      arrange(c, a, [...batch, ...rows, ...summed]),
      arrange(c, b, [...batch, ...summed, ...columns]),
    ]);
    const extra = [...(left.length ? [] : [batch.length]), ...(right.length ? [] : [batch.length + 1])];
    return { t: extra.length > 0 ? c.squeeze(y, extra) : y, labels };
  }
  const order = [...labels, ...summed];
  const y = c.emit("Mul", [arrange(c, a, order), arrange(c, b, order)]);
  return sumOut(c, { t: y, labels: order }, wanted);
}

export const einsum: Row = (c) => {
  const equation = c.str("equation", "").replace(/\s/g, "");
  const [inputs = "", output, more] = equation.split("->");
  const xs = c.all();
  const terms = inputs.split(",");
  if (terms.length !== xs.length || more !== undefined || equation.length > 256)
    c.bad(`its equation is ${equation}`);
  let operands = xs.map((t, i): Labelled => ({ t, labels: parseTerm(c, terms[i] as string, c.rank(t)) }));
  if (operands.some((o) => new Set(o.labels).size < o.labels.length))
    c.unsupported("diagonals are not supported");
  const result = resultLabels(
    c,
    output,
    operands.map((o) => o.labels),
  );
  const wantedBy = (rest: readonly Labelled[]): Set<string> =>
    new Set([...result, ...rest.flatMap((o) => o.labels)]);
  operands = operands.map((o) => sumOut(c, o, wantedBy(operands.filter((p) => p !== o))));
  while (operands.length > 1) {
    const [a, b, ...rest] = operands as [Labelled, Labelled, ...Labelled[]];
    operands = [product(c, a, b, wantedBy(rest)), ...rest];
  }
  return arrange(c, operands[0] as Labelled, result);
};
