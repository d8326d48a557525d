// Convolution in NHWC: one definition for plain, grouped and depth-wise, float and quantised.
//   out[n,y,x,o] = b[o] + Σ in[n, y·s + ky·d − pad, x·s + kx·d − pad, g·I + i] · w[o,ky,kx,i]
// Kernel "conv2d", params {kh, kw, strideY, strideX, dilationY, dilationX, padTop, padLeft, group} (numbers):
//   group = 1             loops [N,OH,OW,O]       reduce [kh,kw,I]
//   one input a group     loops [N,OH,OW,O] (depth-wise) or [N,OH,OW,G,m]     reduce [kh,kw]
//   other groups          loops [N,OH,OW,G,O/G]   reduce [kh,kw,I]     out axis 3 = g·(O/G) + o
// Operands: 0 = x, guarded on axes 1 and 2 (fill: x's zero point), 1 = w, 2 = b if present, then
// per-channel tables of the requantisation (see requantize.ts).
import type { Access, AxisIndex } from "../compiler/nest.js";
import { at, fixed, scalarOf } from "../compiler/nest.js";
import * as dim from "../graph/dim.js";
import { count, type Dim } from "../graph/dim.js";
import { affine, keptType, walk } from "./lowering.js";
import {
  int,
  type InferContext,
  type Inferred,
  type LowerContext,
  type LowerTensor,
  need,
  type OpDef,
  reject,
} from "./op.js";
import { product } from "./requantize.js";
import { windowAttrs, windowParams, windows } from "./window.js";

/** Whether two sizes are known to be different. */
export const differ = (a: Dim, b: Dim): boolean => typeof a === "number" && typeof b === "number" && a !== b;

/** Bias and weight quantisation must have one entry an output channel. */
export function checkChannels(c: InferContext, out: Dim): void {
  const b = c.inputs[2];
  if (b && (b.shape.length !== 1 || differ(b.shape[0] as Dim, out)))
    reject(c, `bias [${b.shape}] for ${out} output channels`);
  for (const t of [c.inputs[0], c.outputs[0]])
    if ((t?.quant?.scale.length ?? 1) !== 1)
      reject(c, "takes no activations quantised per channel", "unsupported");
  const scales = c.inputs[1]?.quant?.scale.length ?? 1;
  if (scales !== 1 && differ(scales, out)) reject(c, `${scales} weight scales for ${out} output channels`);
}

function inferConv(c: InferContext): Inferred[] {
  const [x, w] = [need(c, 0), need(c, 1)];
  if (x.shape.length !== 4 || w.shape.length !== 4)
    reject(c, `x [${x.shape}] and w [${w.shape}] must have 4 axes`);
  const [n, h, wide, channels] = x.shape as [Dim, Dim, Dim, Dim];
  const [o, kh, kw, inner] = w.shape as [Dim, Dim, Dim, Dim];
  const group = int(c.attrs, "group");
  if (!(group > 0)) reject(c, `group ${group}`, "bad_graph");
  if (typeof kh !== "number" || typeof kw !== "number") reject(c, `kernel size [${kh}, ${kw}] must be known`);
  if (differ(channels, dim.mul(inner, group)))
    reject(c, `${channels} input channels do not fit ${group} groups of ${inner}`);
  if (typeof o === "number" && o % group !== 0)
    reject(c, `${o} output channels do not divide into ${group} groups`);
  checkChannels(c, o);
  const [y, z] = windows(c, [kh, kw], [h, wide]);
  return [{ dtype: productType(c), shape: [n, y.out, z.out, o] }];
}

/** Output type of products: declared where something is quantised, else x's. */
export function productType(c: InferContext): Inferred["dtype"] {
  const [x, w] = [need(c, 0), need(c, 1)];
  const out = c.outputs[0];
  if (!x.quant && !w.quant && scalarOf(x.dtype) !== scalarOf(w.dtype))
    reject(c, `inputs are ${x.dtype} and ${w.dtype}`, "unsupported");
  if (x.quant && w.quant && out && !out.quant)
    return out.dtype === "int64" ? "int64" : out.dtype === "int32" ? "int32" : "float32";
  return keptType(c, x);
}

/** Loops, and the indices by which operands walk them. */
interface Layout {
  loops: number[];
  reduce: number[];
  /** Channel axis of x, of w (axis 3) and of out; out's is also w's axis 0, the bias's and the tables'. */
  x: AxisIndex;
  wInner: AxisIndex;
  out: AxisIndex;
  /** Number of the loop over kh. */
  ky: number;
}

function layout(group: number, out: readonly number[], kh: number, kw: number, inner: number): Layout {
  const [n, oh, ow, o] = out as [number, number, number, number];
  const rows = [n, oh, ow];
  if (group === 1)
    return { loops: [...rows, o], reduce: [kh, kw, inner], x: at(6), wInner: at(6), out: at(3), ky: 4 };
  if (inner === 1 && o === group)
    return { loops: [...rows, o], reduce: [kh, kw], x: at(3), wInner: fixed(0), out: at(3), ky: 4 };
  const each = o / group;
  const loops = [...rows, group, each];
  const channel = affine([
    [3, each],
    [4, 1],
  ]);
  if (inner === 1) return { loops, reduce: [kh, kw], x: at(3), wInner: fixed(0), out: channel, ky: 5 };
  return {
    loops,
    reduce: [kh, kw, inner],
    x: affine([
      [3, inner],
      [7, 1],
    ]),
    wInner: at(7),
    out: channel,
    ky: 5,
  };
}

function lowerConv(c: LowerContext): void {
  const [x, w, b] = c.inputs as [LowerTensor, LowerTensor, LowerTensor | undefined];
  const [, kh, kw, inner] = w.shape as [number, number, number, number];
  const group = int(c.attrs, "group");
  const [y, z] = windows(c, [kh, kw], x.shape.slice(1, 3));
  const l = layout(group, (c.outputs[0] as LowerTensor).shape, kh, kw, inner);
  const window = (loop: number, tap: number, v: typeof y): AxisIndex =>
    affine(
      [
        [loop, v.stride],
        [tap, v.dilation],
      ],
      -(v.before as number),
      true,
    );
  const operands: Access[] = [
    {
      value: c.input(0),
      index: [at(0), window(1, l.ky, y), window(2, l.ky + 1, z), l.x],
      ...(x.quant && { fill: x.quant.zeroPoint[0] ?? 0 }),
    },
    { value: c.input(1), index: [l.out, at(l.ky), at(l.ky + 1), l.wInner] },
  ];
  if (b) operands.push({ value: c.input(2), index: [l.out] });
  const p = product(c, x, w, b ? 2 : -1, operands.length, l.out);
  c.kernel(
    "conv2d",
    { ...windowParams([y, z]), group },
    {
      loops: l.loops,
      reduce: l.reduce,
      operands: [...operands, ...p.operands],
      body: p.body,
      combine: "sum",
      result: p.result,
      out: { value: c.output(0), index: [...walk(3), l.out] },
    },
  );
}

const conv2d: OpDef = {
  name: "Conv2D",
  inputs: ["x", "w", "b?"],
  attrs: { ...windowAttrs, group: { type: "int", default: 1 } },
  infer: inferConv,
  lower: lowerConv,
  macs: ({ inputs, outputs }) => {
    const [, kh, kw, inner] = (inputs[1] as LowerTensor).shape as [number, number, number, number];
    return count((outputs[0] as LowerTensor).shape) * kh * kw * inner;
  },
};

export const ops = [conv2d];
