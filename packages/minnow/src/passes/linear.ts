// What the folding passes know of layers with stored weights (Conv2D, ConvTranspose2D, Dense): where
// their output and input channels lie in the weights, and how a chain of per-channel arithmetic that
// follows or precedes becomes one scale and one shift a channel.
import {
  borrow,
  copyInto,
  type Data,
  dataOf,
  derive,
  dim,
  type DType,
  floatToHalf,
  halfToFloat,
  type Node,
  sampleOf,
  type Tensor,
  materialize,
} from "../graph/index.js";
import { constantOf, floatsOf } from "./constants.js";
import type { Editor } from "./pass.js";

/** Per-channel y = x · scale + shift. */
export interface Affine {
  scale: Float64Array;
  shift: Float64Array;
}

export interface Layer {
  readonly node: Node;
  /** Weights as float32, canonical order, and their shape. */
  readonly weights: Data;
  readonly shape: readonly number[];
  /** Storage type of the weights. */
  readonly storage: DType;
  readonly bias: Float32Array | null;
  readonly channels: number;
}

/** The layer behind a node, where its arithmetic is float and its weights are constants. */
export function layerOf(e: Editor, node: Node): Layer | null {
  if (node.op !== "Conv2D" && node.op !== "ConvTranspose2D" && node.op !== "Dense") return null;
  const [x, w, b] = node.inputs;
  const y = node.outputs[0];
  if (!x || !w || !y || x.quant || y.quant || y.dtype !== "float32") return null;
  const stored = constantOf(e, w);
  const weights = stored?.dtype === "float32" && !stored.quant ? dataOf(stored) : floatsOf(e, w);
  const bias = floatsOf(e, b);
  if (!stored || !weights || !dim.isConcrete(stored.shape) || (b && !bias)) return null;
  const channels = y.shape[y.shape.length - 1];
  if (typeof channels !== "number") return null;
  return { node, weights, shape: stored.shape, storage: stored.dtype, bias, channels };
}

/** Weights times factors: computed where they are written. `key` says which loop multiplies. */
const scaled = (l: Layer, key: string, factors: Float64Array, multiply: (w: Float32Array) => void): Data =>
  derive(
    "float32",
    l.weights.length,
    l.weights,
    `${key} ${l.shape} ${sampleOf(new Uint8Array(factors.buffer))}`,
    (out) => {
      copyInto(l.weights, out);
      multiply(out as Float32Array);
    },
  );

/** Weights times one factor an output channel. */
export function scaleOutputs(l: Layer, scale: Float64Array): Data {
  const transposed = l.node.op === "ConvTranspose2D";
  return scaled(l, transposed ? "outputs of transposed" : "outputs", scale, (w) =>
    transposed ? timesTransposed(l, scale, w) : timesRows(scale, w),
  );
}

function timesRows(scale: Float64Array, w: Float32Array): void {
  const run = w.length / scale.length;
  for (let o = 0; o < scale.length; o++) {
    const s = scale[o] as number;
    for (let i = o * run; i < (o + 1) * run; i++) w[i] = (w[i] as number) * s;
  }
}

function timesTransposed({ shape, channels }: Layer, scale: Float64Array, w: Float32Array): void {
  const [inputs, kh, kw, each] = shape as [number, number, number, number];
  const perGroup = inputs / (channels / each);
  for (let c = 0, i = 0; c < inputs; c++) {
    const first = Math.floor(c / perGroup) * each;
    for (let k = 0; k < kh * kw; k++)
      for (let o = 0; o < each; o++, i++) w[i] = (w[i] as number) * (scale[first + o] as number);
  }
}

/** Weights for an input that was x · scale + shift, and what the shift adds to each output channel. */
export function scaleInputs(l: Layer, { scale, shift }: Affine): { weights: Data; added: Float64Array } {
  const inner = l.shape[l.shape.length - 1] as number;
  const rows: InputRows = {
    channels: l.channels,
    taps: l.weights.length / l.channels / inner,
    inner,
    perGroup: l.channels / (scale.length / inner),
  };
  const added = new Float64Array(l.channels);
  if (shift.some((d) => d !== 0)) borrow(l.weights, (w) => addShifts(rows, shift, w as Float32Array, added));
  return { weights: scaled(l, "inputs", scale, (w) => timesInputs(rows, scale, w)), added };
}

/** How weights [out channels, taps, inner] meet input channels: `perGroup` outputs share each `inner`. */
interface InputRows {
  readonly channels: number;
  readonly taps: number;
  readonly inner: number;
  readonly perGroup: number;
}

function addShifts(r: InputRows, shift: Float64Array, w: Float32Array, added: Float64Array): void {
  const { channels, taps, inner, perGroup } = r;
  for (let o = 0, i = 0; o < channels; o++) {
    const first = Math.floor(o / perGroup) * inner;
    let sum = 0;
    for (let k = 0; k < taps; k++)
      for (let c = first; c < first + inner; c++, i++) sum += (w[i] as number) * (shift[c] as number);
    added[o] = sum;
  }
}

function timesInputs(r: InputRows, scale: Float64Array, w: Float32Array): void {
  const { channels, taps, inner, perGroup } = r;
  for (let o = 0, i = 0; o < channels; o++) {
    const first = Math.floor(o / perGroup) * inner;
    for (let k = 0; k < taps; k++)
      for (let c = first; c < first + inner; c++, i++) w[i] = (w[i] as number) * (scale[c] as number);
  }
}

/** Replaces weights and bias; null leaves them. */
export function setLayer(e: Editor, l: Layer, weights: Data | null, bias: Float64Array | null): void {
  const [x, w] = l.node.inputs as [Tensor, Tensor];
  const newWeights = weights ? storeWeights(e, l, w, weights) : w;
  const old = l.node.inputs[2];
  const newBias = bias
    ? e.constant(
        old ? `${old.name}/folded` : `${l.node.name}/bias`,
        "float32",
        [l.channels],
        new Float32Array(bias),
      )
    : (old ?? null);
  e.setInputs(l.node, newBias ? [x, newWeights, newBias] : [x, newWeights]);
}

/**
 * Folded weights are float32. Those that were stored as float16 stay so only where every product is
 * exact (scales that are powers of two): rounding them again would cost accuracy.
 */
function storeWeights(e: Editor, l: Layer, w: Tensor, weights: Data): Tensor {
  if (l.storage === "float16") {
    const floats = materialize(weights) as Float32Array;
    const half = Uint16Array.from(floats, floatToHalf);
    if (half.every((h, i) => halfToFloat(h) === floats[i])) {
      const stored = e.constant(`${w.name}/folded16`, "float16", l.shape, half);
      const like = { name: `${w.name}/folded`, dtype: w.dtype, shape: l.shape };
      return e.insertBefore(l.node, { op: "Cast", inputs: [stored], attrs: { to: w.dtype } }, like);
    }
  }
  return e.constant(`${w.name}/folded`, "float32", l.shape, weights);
}

/** A constant operand as one value per channel of the last axis of `like`; null where it varies otherwise. */
function perChannel(e: Editor, t: Tensor, like: Tensor, channels: number): Float32Array | null {
  const rank = t.shape.length;
  if (rank > like.shape.length || t.shape.some((d, i) => d !== 1 && i !== rank - 1)) return null;
  const v = floatsOf(e, t);
  if (!v || (v.length !== 1 && v.length !== channels)) return null;
  return v.length === channels ? v : new Float32Array(channels).fill(v[0] as number);
}

export const noAffine = (channels: number): Affine => ({
  scale: new Float64Array(channels).fill(1),
  shift: new Float64Array(channels),
});

/**
 * Appends what `n` does to its input `x` to the affine map; false, and nothing done, where it is
 * something else. `only` limits it to additions.
 */
export function append(e: Editor, a: Affine, n: Node, x: Tensor, only: "shift" | "any"): boolean {
  const [left, right] = n.inputs;
  const y = n.outputs[0];
  if (
    !left ||
    !right ||
    left === right ||
    !y ||
    y.quant ||
    y.dtype !== "float32" ||
    y.shape.length !== x.shape.length
  )
    return false;
  const swapped = right === x;
  const c = perChannel(e, swapped ? left : right, x, a.scale.length);
  if (!c || (!["Add", "Sub"].includes(n.op) && only === "shift")) return false;
  switch (n.op) {
    case "Add":
      plus(a.shift, c, 1);
      return true;
    case "Sub":
      if (swapped && only === "shift") return false;
      if (swapped) for (const list of [a.scale, a.shift]) negate(list);
      plus(a.shift, c, swapped ? 1 : -1);
      return true;
    case "Mul":
      if (!allFinite(c, false)) return false;
      for (const list of [a.scale, a.shift]) times(list, c);
      return true;
    case "Div":
      if (swapped || !allFinite(c, true)) return false;
      for (const list of [a.scale, a.shift]) over(list, c);
      return true;
    default:
      return false;
  }
}

// Plain loops: one that calls a function an element makes garbage of every number.

function plus(list: Float64Array, c: Float32Array, sign: number): void {
  for (let i = 0; i < list.length; i++) list[i] = (list[i] as number) + sign * (c[i] as number);
}

function times(list: Float64Array, c: Float32Array): void {
  for (let i = 0; i < list.length; i++) list[i] = (list[i] as number) * (c[i] as number);
}

function over(list: Float64Array, c: Float32Array): void {
  for (let i = 0; i < list.length; i++) list[i] = (list[i] as number) / (c[i] as number);
}

function negate(list: Float64Array): void {
  for (let i = 0; i < list.length; i++) list[i] = -(list[i] as number);
}

/** Every value, or what divides by it, is a finite number. */
function allFinite(c: Float32Array, inverted: boolean): boolean {
  for (let i = 0; i < c.length; i++)
    if (!Number.isFinite(inverted ? 1 / (c[i] as number) : c[i])) return false;
  return true;
}
