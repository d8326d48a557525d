// Makes quantised operators of real ones that stand between conversions (ONNX "QDQ" models):
//
//   Quantize(f(Dequantize(a), Dequantize(b) …)) = f(a, b …)         f on stored numbers
//   Quantize(relu(f(…))) = relu(f(…)), both stored with the output's parameters
//
// A bias must be int32 with the scale of x times that of w, as every exporter writes it; a real one is
// rounded to that. Results differ from the real computation by the rounding of one step at most.
import { dim, type Node, type Quantization, type Tensor } from "../graph/index.js";
import { floatsOf } from "./constants.js";
import { type Editor, type Pass, sameQuant } from "./pass.js";

/** Operators with a quantised form; these take parameters of their own on every input. */
const free: ReadonlySet<string> = new Set([
  "Add",
  "Sub",
  "Mul",
  "Div",
  "Min",
  "Max",
  "Relu",
  "Clip",
  "LeakyRelu",
  "HardSwish",
  "HardSigmoid",
  "Sigmoid",
  "Tanh",
  "Elu",
  "Gelu",
  "PRelu",
  "Softmax",
  "AvgPool2D",
  "MaxPool2D",
  "ReduceMean",
  "ReduceMax",
  "Concat",
  "MatMul",
  "Resize",
]);
const layers: ReadonlySet<string> = new Set(["Conv2D", "ConvTranspose2D", "Dense"]);
/** Moves stored numbers: parameters in and out must be the same. */
const movements: ReadonlySet<string> = new Set([
  "Reshape",
  "Flatten",
  "Squeeze",
  "Unsqueeze",
  "Transpose",
  "Slice",
  "Gather",
  "Expand",
  "Tile",
  "Reverse",
  "DepthToSpace",
  "SpaceToDepth",
]);
const activations: ReadonlySet<string> = new Set(["Relu", "Clip"]);

export const quantizeOperators: Pass = {
  name: "quantize_operators",
  ops: ["Quantize"],
  run(e) {
    let rewrites = 0;
    for (const q of [...e.graph.nodes]) if (q.op === "Quantize" && fold(e, q)) rewrites++;
    return rewrites;
  },
};

function fold(e: Editor, q: Node): boolean {
  const y = q.outputs[0] as Tensor;
  if (y.quant?.scale.length !== 1) return false;
  const chain: Node[] = [];
  let n = producedOnlyFor(e, q.inputs[0], q);
  while (n && activations.has(n.op) && !isQuantised(e, n.inputs[0])) {
    chain.unshift(n);
    n = producedOnlyFor(e, n.inputs[0], n);
  }
  if (!n) return false;
  const inputs = quantisedInputs(e, n, y);
  if (!inputs) return false;
  e.setInputs(n, inputs);
  const real = [n, ...chain];
  real.forEach((node, i) => {
    if (i === real.length - 1) return;
    const t = node.outputs[0] as Tensor;
    t.dtype = y.dtype;
    t.quant = y.quant as Quantization;
  });
  const last = real[real.length - 1] as Node;
  e.remove(q);
  e.takeOutput(last, y);
  return true;
}

function producedOnlyFor(e: Editor, t: Tensor | null | undefined, reader: Node): Node | undefined {
  const n = t && e.soleReader(t) === reader ? e.producer(t) : undefined;
  return n?.outputs.length === 1 && n.outputs[0]?.dtype === "float32" ? n : undefined;
}

const isQuantised = (e: Editor, t: Tensor | null | undefined): boolean =>
  !!e.producerOf(t, "Dequantize")?.inputs[0]?.quant;

/** The stored tensors that the node would read; null where it has no quantised form. */
function quantisedInputs(e: Editor, n: Node, y: Tensor): (Tensor | null)[] | null {
  const stored = (t: Tensor | null | undefined): Tensor | null =>
    t && isQuantised(e, t) ? (e.producer(t)?.inputs[0] ?? null) : null;
  const perTensor = (t: Tensor | null): Tensor | null =>
    t?.quant?.scale.length === 1 && t.dtype !== "int32" ? t : null;
  if (layers.has(n.op)) {
    const [x, w] = [perTensor(stored(n.inputs[0])), stored(n.inputs[1])];
    if (!x || !w?.quant || w.kind !== "constant" || (w.dtype !== "int8" && w.dtype !== "uint8")) return null;
    if (w.quant.scale.length > 1 && (w.quant.axis !== 0 || n.op === "ConvTranspose2D")) return null;
    if (!n.inputs[2]) return [x, w];
    const b = bias(e, n, x, w, n.inputs[2], stored(n.inputs[2]));
    return b && [x, w, b];
  }
  if (movements.has(n.op)) {
    const x = perTensor(stored(n.inputs[0]));
    return x && x.dtype === y.dtype && sameQuant(x.quant, y.quant) ? [x, ...n.inputs.slice(1)] : null;
  }
  if (!free.has(n.op)) return null;
  const out: (Tensor | null)[] = [];
  for (const t of n.inputs) {
    if (t && t.dtype !== "float32")
      out.push(t); // axes, sizes
    else if (t) {
      const s = perTensor(stored(t));
      if (!s || s.dtype !== y.dtype) return null;
      out.push(s);
    } else out.push(null);
  }
  return out;
}

/** The bias as int32 in steps of (scale of x) · (scale of w). */
function bias(e: Editor, _n: Node, x: Tensor, w: Tensor, real: Tensor, stored: Tensor | null): Tensor | null {
  const [sx, sw] = [x.quant?.scale[0] as number, w.quant?.scale ?? []];
  const step = (i: number): number => sx * (sw[sw.length === 1 ? 0 : i] as number);
  if (stored?.dtype === "int32" && stored.quant?.zeroPoint.every((z) => z === 0)) {
    const { scale } = stored.quant;
    const n = Math.max(scale.length, sw.length);
    const equal = Array.from({ length: n }, (_, i) =>
      Math.abs((scale[scale.length === 1 ? 0 : i] as number) / step(i) - 1),
    );
    if (equal.every((d) => d < 1e-5)) return stored;
  }
  const values = stored ? null : floatsOf(e, real);
  if (!values || !dim.isConcrete(real.shape)) return null;
  const data = Int32Array.from(values, (v, i) => Math.round(v / step(i)));
  const scale = Array.from({ length: sw.length }, (_, i) => step(i));
  const quant = { scale, zeroPoint: scale.map(() => 0), axis: 0 };
  return e.constant(`${real.name}/int32`, "int32", real.shape, data, quant);
}
