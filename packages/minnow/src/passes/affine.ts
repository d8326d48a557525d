// Folds per-channel arithmetic with constants into the layer next to it (⊛ is Conv2D, ConvTranspose2D
// or Dense):
//
//   (x ⊛ w + b) · s + d  =  x ⊛ (w · s) + (b · s + d)            s, d per output channel
//   (x · s + d) ⊛ w + b  =  x ⊛ (w · s) + (b + Σ w · d)          s, d per input channel; with padding,
//                                                                which adds plain zeros, only for d = 0
//   (x ⊛ w + b) + d      =  x ⊛ w + (b + d)                      holds for training too: pass `biases`
//
// Chains (· + ÷ −) are gathered first, so weights are computed once and rounded once.
import type { Node, Tensor } from "../graph/index.js";
import { append, type Affine, layerOf, noAffine, scaleInputs, scaleOutputs, setLayer } from "./linear.js";
import { type Editor, flag, type Pass } from "./pass.js";

export const biases: Pass = {
  name: "biases",
  ops: ["Add", "Sub"],
  run: (e) => foldFollowing(e, "shift"),
};

export const affine: Pass = {
  name: "affine",
  ops: ["Add", "Sub", "Mul", "Div"],
  inferenceOnly: true,
  run: (e) => foldFollowing(e, "any") + foldPreceding(e),
};

function foldFollowing(e: Editor, only: "shift" | "any"): number {
  let rewrites = 0;
  for (const n of [...e.graph.nodes]) {
    if (!["Conv2D", "ConvTranspose2D", "Dense"].includes(n.op)) continue;
    const first = n.outputs[0] && e.soleReader(n.outputs[0]);
    const layer = first && ["Add", "Sub", "Mul", "Div"].includes(first.op) ? layerOf(e, n) : null;
    if (!layer) continue;
    const a = noAffine(layer.channels);
    const chain: Node[] = [];
    let y = n.outputs[0] as Tensor;
    for (let next = e.soleReader(y); next && append(e, a, next, y, only); next = e.soleReader(y)) {
      chain.push(next);
      y = next.outputs[0] as Tensor;
    }
    if (chain.length === 0) continue;
    const scaled = a.scale.some((s) => s !== 1);
    const bias = a.shift.map((d, i) => (layer.bias?.[i] ?? 0) * (a.scale[i] as number) + d);
    setLayer(
      e,
      layer,
      scaled ? scaleOutputs(layer, a.scale) : null,
      layer.bias || bias.some((d) => d !== 0) ? bias : null,
    );
    for (const c of chain) e.remove(c);
    y.shape = (n.outputs[0] as Tensor).shape;
    e.takeOutput(n, y);
    rewrites += chain.length;
  }
  return rewrites;
}

function foldPreceding(e: Editor): number {
  let rewrites = 0;
  for (const n of [...e.graph.nodes]) {
    if (n.op !== "Conv2D" && n.op !== "Dense") continue;
    const x = n.inputs[0] as Tensor;
    const channels = x.shape[x.shape.length - 1];
    if (
      typeof channels !== "number" ||
      !isAffine(e.producer(x)) ||
      e.soleReader(x) !== n ||
      !flag(n, "keepDims", true)
    )
      continue;
    const layer = layerOf(e, n);
    const found = layer && gather(e, x, channels, pads(n));
    if (!layer || !found || found.chain.length === 0) continue;
    const { weights, added } = scaleInputs(layer, found.affine);
    const bias = added.map((d, i) => d + (layer.bias?.[i] ?? 0));
    setLayer(e, layer, weights, layer.bias || bias.some((d) => d !== 0) ? bias : null);
    e.setInput(n, 0, found.source);
    for (const c of found.chain) e.remove(c);
    rewrites += found.chain.length;
  }
  return rewrites;
}

const isAffine = (n: Node | undefined): boolean => !!n && ["Add", "Sub", "Mul", "Div"].includes(n.op);

/** Whether the window may reach outside the input. */
function pads(n: Node): boolean {
  if (n.op !== "Conv2D") return false;
  const padding = (n.attrs.padding as string | undefined) ?? "explicit";
  if (padding === "explicit")
    return ((n.attrs.pads as readonly number[] | undefined) ?? []).some((p) => p !== 0);
  return padding !== "valid";
}

/** The longest chain of arithmetic in front of `x` that folds, nearest the layer first. */
function gather(
  e: Editor,
  x: Tensor,
  channels: number,
  padded: boolean,
): { source: Tensor; chain: Node[]; affine: Affine } | null {
  const chain: Node[] = [];
  let best: { source: Tensor; chain: Node[]; affine: Affine } | null = null;
  for (let t = x; ; ) {
    const n = e.producer(t);
    if (!n || !isAffine(n) || (t !== x && e.soleReader(t) !== chain[chain.length - 1])) break;
    const source = n.inputs.find((i) => i && i.kind !== "constant" && i.shape.length === t.shape.length);
    if (!source || !sameChannels(source, channels)) break;
    chain.push(n);
    const affine = noAffine(channels);
    let from = source;
    let fits = true;
    for (const c of [...chain].reverse()) {
      fits = append(e, affine, c, from, "any") && sameChannels(c.outputs[0] as Tensor, channels);
      if (!fits) break;
      from = c.outputs[0] as Tensor;
    }
    if (!fits) break;
    if (!padded || affine.shift.every((d) => d === 0)) best = { source, chain: [...chain], affine };
    t = source;
  }
  return best;
}

const sameChannels = (t: Tensor, channels: number): boolean => t.shape[t.shape.length - 1] === channels;
