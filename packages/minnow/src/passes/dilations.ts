// TensorFlow writes a dilated convolution as three operators; this puts it back together:
//
//   BatchToSpace(f(Conv2D(SpaceToBatch(x, [d, d'], p))), [d, d'], c)
//     = f(Conv2D(x) {dilations: [d, d'], pads: p + d · (pads of the convolution) − c})
//
// with f element-wise and constants in it per channel, stride 1, and no pad below zero.
import { dim, type Node, type Shape, type Tensor } from "../graph/index.js";
import { registry } from "../ops/registry.js";
import { intsOf } from "./constants.js";
import type { Editor, Pass } from "./pass.js";

export const dilations: Pass = {
  name: "dilations",
  ops: ["BatchToSpace"],
  run(e) {
    let rewrites = 0;
    for (const n of [...e.graph.nodes]) if (n.op === "BatchToSpace" && fold(e, n)) rewrites++;
    return rewrites;
  },
};

function fold(e: Editor, toSpace: Node): boolean {
  const between: Node[] = [];
  let n = soleProducer(e, toSpace.inputs[0]);
  while (n && n.op !== "Conv2D" && isPerChannel(n)) {
    between.push(n);
    n = soleProducer(e, n.inputs[0]);
  }
  const toBatch = n?.op === "Conv2D" ? soleProducer(e, n.inputs[0]) : undefined;
  if (!n || toBatch?.op !== "SpaceToBatch") return false;
  const blocks = intsOf(toBatch.inputs[1]);
  const pads = intsOf(toBatch.inputs[2]);
  const back = intsOf(toSpace.inputs[1]);
  const crops = intsOf(toSpace.inputs[2]);
  const own = ownPads(n);
  if (blocks?.length !== 2 || pads?.length !== 4 || crops?.length !== 4 || !own) return false;
  if (!back?.every((b, i) => b === blocks[i]) || !isOnes(n.attrs.strides) || !isOnes(n.attrs.dilations))
    return false;
  // pads and crops are [[top, bottom], [left, right]]
  const total = [0, 2, 1, 3].map(
    (i, k) => (pads[i] as number) + (own[k] as number) * (blocks[k % 2] as number) - (crops[i] as number),
  );
  if (total.some((p) => p < 0)) return false;
  const last = (between[0] ?? n).outputs[0] as Tensor;
  const y = toSpace.outputs[0] as Tensor;
  if (last.dtype !== y.dtype || !e.canReplace(y, last)) return false;
  n.attrs = { ...n.attrs, dilations: blocks, padding: "explicit", pads: total };
  e.setInput(n, 0, toBatch.inputs[0] as Tensor);
  for (const t of [n, ...between]) for (const o of t.outputs) o.shape = y.shape;
  e.replace(y, last);
  e.remove(toSpace);
  e.remove(toBatch);
  return true;
}

const soleProducer = (e: Editor, t: Tensor | null | undefined): Node | undefined =>
  t && e.soleReader(t) ? e.producer(t) : undefined;

const isOnes = (v: unknown): boolean => ((v as readonly number[] | undefined) ?? []).every((x) => x === 1);

/** Element-wise on its first input; whatever else it reads does not vary over N, H or W. */
function isPerChannel(n: Node): boolean {
  if (!registry.get(n.op)?.expr || n.outputs.length !== 1) return false;
  return n.inputs
    .slice(1)
    .every(
      (t) => !t || (t.kind === "constant" && t.shape.every((d, i) => d === 1 || i === t.shape.length - 1)),
    );
}

/** Pads [top, left, bottom, right] of a stride-1 convolution. */
function ownPads(n: Node): number[] | null {
  const padding = (n.attrs.padding as string | undefined) ?? "explicit";
  if (padding === "valid") return [0, 0, 0, 0];
  if (padding === "explicit") return [...((n.attrs.pads as readonly number[] | undefined) ?? [0, 0, 0, 0])];
  const kernel: Shape = n.inputs[1]?.shape.slice(1, 3) ?? [];
  if (!dim.isConcrete(kernel) || kernel.length !== 2) return null;
  const sides = kernel.map((k) => {
    const small = Math.floor((k - 1) / 2);
    return padding === "same_upper" ? [small, k - 1 - small] : [k - 1 - small, small];
  });
  return [0, 1].flatMap((side) => sides.map((s) => s[side] as number));
}
