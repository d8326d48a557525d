// Conversions between real and stored numbers that need not happen:
//
//   Quantize(Dequantize(x)) = x                    same type and parameters
//   Quantize(Dequantize(x)) = Quantize(x)          other parameters: one requantisation
//   Clip(x), Relu(x) = x                           bounds outside what x's type can store
import type { Node, Tensor } from "../graph/index.js";
import { type Editor, type Pass, sameQuant, sameShape } from "./pass.js";

export const quantizePairs: Pass = {
  name: "quantize_pairs",
  ops: ["Quantize", "Relu", "Clip"],
  run(e) {
    let rewrites = 0;
    for (const n of [...e.graph.nodes]) {
      if (n.op === "Quantize" && shorten(e, n)) rewrites++;
      else if (
        (n.op === "Clip" || n.op === "Relu") &&
        isImplied(n) &&
        e.replace(n.outputs[0] as Tensor, n.inputs[0] as Tensor)
      ) {
        e.remove(n);
        rewrites++;
      }
    }
    return rewrites;
  },
};

function shorten(e: Editor, n: Node): boolean {
  const back = e.producerOf(n.inputs[0], "Dequantize");
  const x = back?.inputs[0];
  const y = n.outputs[0] as Tensor;
  if (!x?.quant || !y.quant || x.quant.scale.length > 1) return false;
  if (x.dtype === y.dtype && sameQuant(x.quant, y.quant)) {
    if (!e.replace(y, x)) return false;
    e.remove(n);
    return true;
  }
  if (x.kind === "constant") return false;
  e.setInput(n, 0, x);
  return true;
}

const ranges: Record<string, readonly [number, number]> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
};

/** Whether every number that the type can store lies within the bounds, rounded to its steps. */
function isImplied(n: Node): boolean {
  const [x, y] = [n.inputs[0] as Tensor, n.outputs[0] as Tensor];
  const range = ranges[x.dtype];
  if (!range || !x.quant || x.quant.scale.length !== 1 || x.dtype !== y.dtype || !sameQuant(x.quant, y.quant))
    return false;
  if (!sameShape(x.shape, y.shape)) return false;
  const [min, max] =
    n.op === "Relu" ? [0, Number.POSITIVE_INFINITY] : [n.attrs.min ?? -Infinity, n.attrs.max ?? Infinity];
  const step = (v: number): number =>
    Math.round(v / (x.quant?.scale[0] as number)) + (x.quant?.zeroPoint[0] ?? 0);
  return step(min as number) <= range[0] && step(max as number) >= range[1];
}
