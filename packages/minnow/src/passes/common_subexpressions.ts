// Computes equal things once:   y = f(a), z = f(a)  ⇒  y = f(a), z read as y.
// Constants count as equal by content, and equal constants become one.
import { type Data, dataOf, type Node, sameData, sampleOf, type Tensor } from "../graph/index.js";
import { type Editor, type Pass, sameQuant } from "./pass.js";

export const commonSubexpressions: Pass = {
  name: "common_subexpressions",
  run(e) {
    let rewrites = mergeConstants(e);
    const ids = new Map<Tensor, number>();
    const id = (t: Tensor | null): number => {
      if (!t) return -1;
      let n = ids.get(t);
      if (n === undefined) {
        n = ids.size;
        ids.set(t, n);
      }
      return n;
    };
    const seen = new Map<string, Node>();
    for (const n of [...e.graph.nodes]) {
      if (
        n.graphs?.length ||
        n.outputs.length === 0 ||
        [...n.inputs, ...n.outputs].some((t) => t?.kind === "variable")
      )
        continue;
      const key = signature(n, id);
      const first = seen.get(key);
      if (!first) seen.set(key, n);
      else if (n.outputs.every((t, i) => e.canReplace(t, first.outputs[i] as Tensor))) {
        // Two outputs that would take one tensor's name cannot both move.
        if (!n.outputs.every((t, i) => e.replace(t, first.outputs[i] as Tensor))) continue;
        e.remove(n);
        rewrites++;
      }
    }
    return rewrites;
  },
};

function signature(n: Node, id: (t: Tensor | null) => number): string {
  const attrs = Object.keys(n.attrs)
    .sort()
    .map((k) => [k, printable(n.attrs[k])]);
  const outputs = n.outputs.map((t) => [t.dtype, t.quant ?? null]);
  return JSON.stringify([n.op, n.inputs.map(id), attrs, outputs]);
}

/** JSON knows neither −0 nor infinities. */
const printable = (v: unknown): unknown =>
  Array.isArray(v) ? v.map(printable) : typeof v === "number" ? (Object.is(v, -0) ? "-0" : String(v)) : v;

function mergeConstants(e: Editor): number {
  const classes = new Map<string, Tensor[]>();
  let merged = 0;
  for (const t of e.graph.tensors()) {
    const data = t.kind === "constant" && dataOf(t);
    if (!data) continue;
    const key = `${t.dtype} ${t.shape} ${sampleOf(data)}`;
    const list = classes.get(key);
    const same = list?.find((o) => sameQuant(o.quant, t.quant) && sameData(dataOf(o) as Data, data));
    if (!list) classes.set(key, [t]);
    else if (!same) list.push(t);
    else if (e.replace(t, same)) merged++;
  }
  return merged;
}
