// Lets windows do the padding that a Pad in front of them did:
//
//   Conv2D(Pad(x, p)) = Conv2D(x) {pads: pads + p}                   padding by real 0
//   AvgPool2D(Pad(x, p)) = AvgPool2D(x) {pads: p, countPads: true}   padding by real 0
//   MaxPool2D(Pad(x, p)) = MaxPool2D(x) {pads: pads + p}             padding by a value ≤ all of x,
//                                                                    and no window of padding alone
//
// for pads of H and W only. Quantised tensors pad with their zero point, which is real 0.
import { dim, type Node, type Tensor } from "../graph/index.js";
import { constantOf, padsOf, uniformOf } from "./constants.js";
import { type Editor, type Pass, sameQuant } from "./pass.js";

export const pads: Pass = {
  name: "pads",
  ops: ["Pad"],
  run(e) {
    let rewrites = 0;
    for (const n of [...e.graph.nodes]) {
      const pad = e.producerOf(n.inputs[0], "Pad");
      if (pad && fold(e, n, pad)) rewrites++;
    }
    return rewrites;
  },
};

function fold(e: Editor, n: Node, pad: Node): boolean {
  const [x, y] = [pad.inputs[0] as Tensor, pad.outputs[0] as Tensor];
  const added = spatial(pad);
  const value = padValue(e, pad);
  if (!added || value === null || !sameQuant(x.quant, y.quant)) return false;
  const own = windowPads(n, y);
  if (!own) return false;
  if (n.op === "Conv2D") {
    if (value !== 0) return false;
  } else if (n.op === "AvgPool2D") {
    if (value !== 0 || n.attrs.ceilMode || (own.some((p) => p !== 0) && !n.attrs.countPads)) return false;
  } else if (n.op === "MaxPool2D") {
    if (n.attrs.ceilMode || value > lowerBound(e, x) || reachesBeyond(n, own, added)) return false;
  } else return false;
  const total = own.map((p, i) => p + (added[i] as number));
  n.attrs = {
    ...n.attrs,
    padding: "explicit",
    pads: total,
    ...(n.op === "AvgPool2D" && { countPads: true }),
  };
  e.setInput(n, 0, x);
  return true;
}

/** [top, left, bottom, right] of a constant Pad of H and W, none negative. */
function spatial(pad: Node): number[] | null {
  if (((pad.attrs.mode as string | undefined) ?? "constant") !== "constant") return null;
  const p = padsOf(pad);
  if (p?.length !== 4 || p.some(([b, a], i) => b < 0 || a < 0 || ((i === 0 || i === 3) && b + a !== 0)))
    return null;
  const [, h, w] = p as [unknown, [number, number], [number, number]];
  return [h[0], w[0], h[1], w[1]];
}

/** The real number that is padded with; null when it is not known. */
function padValue(e: Editor, pad: Node): number | null {
  const x = pad.inputs[0] as Tensor;
  const v = pad.inputs[2];
  if (!v) return (pad.attrs.value as number | undefined) ?? 0;
  const c = constantOf(e, v);
  if (c?.data?.length !== 1) return null;
  if (!x.quant) return uniformOf(e, v) ?? (c.dtype === x.dtype ? Number(c.data[0]) : null);
  const q = c.quant ?? x.quant;
  return (Number(c.data[0]) - (q.zeroPoint[0] ?? 0)) * (q.scale[0] ?? 1);
}

/** Pads of the window itself as numbers. */
function windowPads(n: Node, x: Tensor): number[] | null {
  const padding = (n.attrs.padding as string | undefined) ?? "explicit";
  if (padding === "valid") return [0, 0, 0, 0];
  if (padding === "explicit") return [...((n.attrs.pads as readonly number[] | undefined) ?? [0, 0, 0, 0])];
  const kernel = n.op === "Conv2D" ? n.inputs[1]?.shape.slice(1, 3) : (n.attrs.kernel as readonly number[]);
  const size = x.shape.slice(1, 3);
  if (!kernel || !dim.isConcrete(kernel) || !dim.isConcrete(size)) return null;
  const sides = [0, 1].map((i) => {
    const stride = ((n.attrs.strides as readonly number[] | undefined) ?? [1, 1])[i] as number;
    const dilation = ((n.attrs.dilations as readonly number[] | undefined) ?? [1, 1])[i] as number;
    const reach = ((kernel[i] as number) - 1) * dilation + 1;
    const total = Math.max(
      0,
      (Math.ceil((size[i] as number) / stride) - 1) * stride + reach - (size[i] as number),
    );
    const small = Math.floor(total / 2);
    return padding === "same_upper" ? [small, total - small] : [total - small, small];
  });
  return [0, 1].flatMap((side) => sides.map((s) => s[side] as number));
}

/** Whether some window could lie in padding alone. */
function reachesBeyond(n: Node, own: readonly number[], added: readonly number[]): boolean {
  const kernel = n.attrs.kernel as readonly number[];
  if (((n.attrs.dilations as readonly number[] | undefined) ?? []).some((d) => d !== 1)) return true;
  return own.some((p, i) => p + (added[i] as number) >= (kernel[i % 2] as number));
}

/** A number that no element of `t` is below. */
function lowerBound(e: Editor, t: Tensor): number {
  if (t.quant && t.quant.scale.length === 1) {
    const least = t.dtype === "uint8" ? 0 : t.dtype === "int8" ? -128 : -32768;
    return (least - (t.quant.zeroPoint[0] ?? 0)) * (t.quant.scale[0] ?? 1);
  }
  const n = e.producer(t);
  switch (n?.op) {
    case "Relu":
    case "Sigmoid":
    case "HardSigmoid":
    case "Abs":
    case "Square":
    case "Exp":
    case "Softmax":
      return 0;
    case "Clip":
      return (n.attrs.min as number | undefined) ?? Number.NEGATIVE_INFINITY;
    case "MaxPool2D":
    case "AvgPool2D":
    case "Resize":
      return n.op === "Resize" && n.attrs.mode === "cubic"
        ? Number.NEGATIVE_INFINITY
        : lowerBound(e, n.inputs[0] as Tensor);
    case "Concat":
      return Math.min(...n.inputs.map((i) => (i ? lowerBound(e, i) : Number.NEGATIVE_INFINITY)));
    default:
      return Number.NEGATIVE_INFINITY;
  }
}
