// Sliding windows (convolution, pooling): output size and padding, in one place. Works on symbolic
// dimensions for inference and on numbers for lowering.
//   explicit, valid: out = ⌊(in + before + after − k') / stride⌋ + 1,  k' = (k − 1)·dilation + 1
//   same:            out = ⌈in / stride⌉, the padding split evenly, the odd one after (upper) or before (lower)
// ceilMode rounds up, but a window that would start in the padding behind the input is dropped (PyTorch, ONNX).
import * as dim from "../graph/dim.js";
import type { Dim } from "../graph/dim.js";
import type { Attrs } from "../graph/graph.js";
import { type AttrSpec, bool, ints, reject, str } from "./op.js";

/** One axis of a window. */
export interface Window {
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: Dim;
  readonly after: Dim;
  readonly out: Dim;
}

export const windowAttrs = {
  strides: { type: "ints", default: [1, 1] },
  dilations: { type: "ints", default: [1, 1] },
  padding: { type: "string", default: "explicit" },
  pads: { type: "ints", default: [0, 0, 0, 0] },
} as const satisfies Record<string, AttrSpec>;

/** Positions times taps along one axis: tables of that length are made when it is bound. */
const maxTaps = 2 ** 26;

type Where = { op: string; name: string; attrs: Attrs };

/** Windows of the axes H and W. `kernel`: sizes; `pads` are [top, left, bottom, right]. */
export function windows(c: Where, kernel: readonly number[], size: readonly Dim[]): [Window, Window] {
  const strides = pair(c, "strides");
  const dilations = pair(c, "dilations");
  const pads = ints(c.attrs, "pads");
  if (pads.length !== 4) reject(c, `pads [${pads}] are not [top, left, bottom, right]`, "bad_graph");
  if (kernel.length !== 2 || kernel.some((k) => !(k > 0)))
    reject(c, `kernel [${kernel}] is not two sizes`, "bad_graph");
  const axis = (i: 0 | 1): Window =>
    windowOf(c, {
      size: kernel[i] as number,
      stride: strides[i],
      dilation: dilations[i],
      extent: size[i] as Dim,
      padding: str(c.attrs, "padding"),
      before: pads[i] as number,
      after: pads[i + 2] as number,
      ceil: "ceilMode" in c.attrs && bool(c.attrs, "ceilMode"),
    });
  const both: [Window, Window] = [axis(0), axis(1)];
  for (const w of both)
    if (typeof w.out === "number" && w.out * w.size > maxTaps)
      reject(c, `${w.out} windows of ${w.size} are more than ${maxTaps} taps along one axis`, "unsupported");
  return both;
}

export function pair(c: Where, name: string): [number, number] {
  const v = ints(c.attrs, name);
  if (v.length !== 2 || v.some((n) => !(n > 0)))
    reject(c, `${name} [${v}] are not two positive numbers`, "bad_graph");
  return v as unknown as [number, number];
}

interface AxisSpec {
  size: number;
  stride: number;
  dilation: number;
  extent: Dim;
  padding: string;
  before: number;
  after: number;
  ceil: boolean;
}

function windowOf(c: Where, s: AxisSpec): Window {
  const { size, stride, dilation, extent } = s;
  const reach = (size - 1) * dilation + 1;
  if (s.padding === "same_upper" || s.padding === "same_lower") {
    const out = dim.ceilDiv(extent, stride);
    const total = dim.max(dim.sub(dim.add(dim.mul(dim.sub(out, 1), stride), reach), extent), 0);
    const less = dim.floorDiv(total, 2);
    const more = dim.sub(total, less);
    const upper = s.padding === "same_upper";
    return { size, stride, dilation, out, before: upper ? less : more, after: upper ? more : less };
  }
  if (s.padding !== "explicit" && s.padding !== "valid")
    reject(c, `padding "${s.padding}" is not known`, "bad_graph");
  const [before, after] = s.padding === "valid" ? [0, 0] : [s.before, s.after];
  const slack = dim.sub(dim.add(extent, before + after), reach);
  if (typeof slack === "number" && slack < 0 && !(s.ceil && slack > -stride))
    reject(c, `a window of ${reach} does not fit ${extent} padded by ${before} and ${after}`);
  let last = s.ceil ? dim.ceilDiv(slack, stride) : dim.floorDiv(slack, stride);
  // The last window rounded up to may start behind the input only when it is that narrow.
  if (s.ceil && reach <= after + stride - 1)
    last = dim.min(last, dim.sub(dim.ceilDiv(dim.add(extent, before), stride), 1));
  return { size, stride, dilation, before, after, out: dim.add(last, 1) };
}

/** The window parameters of named kernels; pads resolved for the bound shape. */
export const windowParams = ([y, x]: readonly [Window, Window]) => ({
  kh: y.size,
  kw: x.size,
  strideY: y.stride,
  strideX: x.stride,
  dilationY: y.dilation,
  dilationX: x.dilation,
  padTop: y.before as number,
  padLeft: x.before as number,
});
