// Computes equal things once:   y = f(a), z = f(a)  ⇒  y = f(a), z read as y.
// Constants count as equal by content, and equal constants become one.
import { bytesOf, type Node, type Tensor } from "../graph/index.js";
import { Editor, type Pass, sameQuant } from "./pass.js";

export const commonSubexpressions: Pass = {
  name: "common_subexpressions",
  run(graph) {
    const e = new Editor(graph);
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
    for (const n of [...graph.nodes]) {
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
    if (t.kind !== "constant" || !t.data) continue;
    const key = `${t.dtype} ${t.shape} ${sample(t)}`;
    const list = classes.get(key);
    const same = list?.find((o) => sameQuant(o.quant, t.quant) && sameBytes(o, t));
    if (!list) classes.set(key, [t]);
    else if (!same) list.push(t);
    else if (e.replace(t, same)) merged++;
  }
  return merged;
}

/** A few bytes spread over the data: what differs here needs no full comparison. */
function sample(t: Tensor): string {
  const bytes = bytesOf(t.data as NonNullable<Tensor["data"]>);
  const step = Math.max(1, Math.floor(bytes.length / 16));
  let text = `${bytes.length}`;
  for (let i = 0; i < bytes.length; i += step) text += ` ${bytes[i]}`;
  return text;
}

function sameBytes(a: Tensor, b: Tensor): boolean {
  if (a.data === b.data) return true;
  const [x, y] = [
    bytesOf(a.data as NonNullable<Tensor["data"]>),
    bytesOf(b.data as NonNullable<Tensor["data"]>),
  ];
  return x.length === y.length && x.every((v, i) => v === y[i]);
}
