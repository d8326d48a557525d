// Transposed convolution in NHWC, the gradient of convolution with respect to its input:
//   out[n,y,x,o] = b[o] + Σ in[n,i,j,c] · w[c,ky,kx,o]   over i·s + ky·d − pad = y, j·s + kx·d − pad = x
//   size = (in − 1)·s + (k − 1)·d + 1 + outputPadding − pads
// Kernel "conv_transpose2d", params as conv2d's. Loops [N,OH,OW,O] (groups: [N,OH,OW,G,O/G]), reduce
// [kh,kw,C/G]; operands 0 = x, 1 = w, 2 = b if present. With stride 1 x's index is affine and guarded;
// else two int32 tables [OH,kh] and [OW,kw] give the input row and column, and two more are 1 where
// that tap exists (the row is 0 where it does not). The tables stand behind the requantisation's.
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import { type Access, type AxisIndex, at, fromTable } from "../compiler/nest.js";
import * as dim from "../graph/dim.js";
import { type Dim, count } from "../graph/dim.js";
import { checkChannels, differ, productType } from "./conv.js";
import { affine, walk } from "./lowering.js";
import {
  int,
  type InferContext,
  type Inferred,
  ints,
  type LowerContext,
  type LowerTensor,
  need,
  type OpDef,
  reject,
  str,
} from "./op.js";
import { product } from "./requantize.js";
import { pair, windowAttrs, windowParams, type Window } from "./window.js";

type Where = Parameters<typeof pair>[0];

/** Both axes: `out` is the produced size, `before` how much of its start is cut. */
export function transposedWindows(
  c: Where,
  kernel: readonly number[],
  size: readonly Dim[],
): [Window, Window] {
  const strides = pair(c, "strides");
  const dilations = pair(c, "dilations");
  const pads = ints(c.attrs, "pads");
  const extra = ints(c.attrs, "outputPadding");
  const wanted = ints(c.attrs, "outputShape");
  if (pads.length !== 4 || extra.length !== 2 || (wanted.length !== 0 && wanted.length !== 2))
    reject(c, `pads [${pads}], outputPadding [${extra}], outputShape [${wanted}]`, "bad_graph");
  const axis = (i: 0 | 1): Window => {
    const [k, stride, dilation] = [kernel[i] as number, strides[i], dilations[i]];
    const full = dim.add(
      dim.mul(dim.sub(size[i] as Dim, 1), stride),
      (k - 1) * dilation + 1 + (extra[i] as number),
    );
    const [before, after] = cut(
      c,
      full,
      size[i] as Dim,
      stride,
      wanted[i],
      pads[i] as number,
      pads[i + 2] as number,
    );
    const out = wanted[i] ?? dim.sub(full, dim.add(before, after));
    return { size: k, stride, dilation, before, after, out };
  };
  return [axis(0), axis(1)];
}

/** How much of the full result is cut before and after. */
function cut(
  c: Where,
  full: Dim,
  size: Dim,
  stride: number,
  wanted: number | undefined,
  before: number,
  after: number,
): [Dim, Dim] {
  const padding = str(c.attrs, "padding");
  if (padding === "valid" || (padding === "explicit" && wanted === undefined))
    return padding === "valid" ? [0, 0] : [before, after];
  const total = dim.max(dim.sub(full, wanted ?? dim.mul(size, stride)), 0);
  const less = dim.floorDiv(total, 2);
  const more = dim.sub(total, less);
  return padding === "same_upper" ? [less, more] : [more, less];
}

function infer(c: InferContext): Inferred[] {
  const [x, w] = [need(c, 0), need(c, 1)];
  if (x.shape.length !== 4 || w.shape.length !== 4)
    reject(c, `x [${x.shape}] and w [${w.shape}] must have 4 axes`);
  const [n, h, wide, channels] = x.shape as [Dim, Dim, Dim, Dim];
  const [inner, kh, kw, each] = w.shape as [Dim, Dim, Dim, Dim];
  const group = int(c.attrs, "group");
  if (typeof kh !== "number" || typeof kw !== "number") reject(c, `kernel size [${kh}, ${kw}] must be known`);
  if (typeof inner === "number" && !(group > 0 && inner % group === 0))
    reject(c, `${inner} input channels do not divide into ${group} groups`);
  if (differ(channels, inner)) reject(c, `${channels} input channels, weights for ${inner}`);
  const out = dim.mul(each, group);
  checkChannels(c, out);
  const [y, z] = transposedWindows(c, [kh, kw], [h, wide]);
  return [{ dtype: productType(c), shape: [n, y.out, z.out, out] }];
}

/** Which input position feeds output `o` through tap `k`, and whether it does. */
function tapTables(w: Window, extent: number): { position: Int32Array; exists: Int32Array } {
  const n = w.out as number;
  const position = new Int32Array(n * w.size);
  const exists = new Int32Array(n * w.size);
  for (let o = 0; o < n; o++)
    for (let k = 0; k < w.size; k++) {
      const i = o + (w.before as number) - k * w.dilation;
      if (i < 0 || i % w.stride !== 0 || i / w.stride >= extent) continue;
      position[o * w.size + k] = i / w.stride;
      exists[o * w.size + k] = 1;
    }
  return { position, exists };
}

function lower(c: LowerContext): void {
  const [x, w, b] = c.inputs as [LowerTensor, LowerTensor, LowerTensor | undefined];
  const [inner, kh, kw, each] = w.shape as [number, number, number, number];
  const group = int(c.attrs, "group");
  const spans = transposedWindows(c, [kh, kw], x.shape.slice(1, 3));
  const [n, oh, ow, o] = (c.outputs[0] as LowerTensor).shape as [number, number, number, number];
  const grouped = group > 1;
  const ky = grouped ? 5 : 4;
  const channel = grouped
    ? affine([
        [3, each],
        [4, 1],
      ])
    : at(3);
  const inChannel = grouped
    ? affine([
        [3, inner / group],
        [7, 1],
      ])
    : at(6);
  const fill = x.quant?.zeroPoint[0] ?? 0;
  const xIndex: AxisIndex[] = [at(0), at(0), at(0), inChannel];
  const operands: Access[] = [
    { value: c.input(0), index: xIndex, ...(fill !== 0 && { fill }) },
    { value: c.input(1), index: [inChannel, at(ky), at(ky + 1), grouped ? at(4) : at(3)] },
  ];
  if (b) operands.push({ value: c.input(2), index: [channel] });
  const scales = w.quant?.scale.length ?? 1;
  const p = product(c, x, w, b ? 2 : -1, operands.length, scales === o ? channel : at(grouped ? 4 : 3));
  operands.push(...p.operands);
  const conditions: Expr[] = [];
  spans.forEach((span, i) => {
    const [loop, tap] = [1 + i, ky + i];
    if (span.stride === 1) {
      xIndex[1 + i] = affine(
        [
          [loop, 1],
          [tap, -span.dilation],
        ],
        span.before as number,
        true,
      );
      return;
    }
    const { position, exists } = tapTables(span, x.shape[1 + i] as number);
    const shape = [span.out as number, span.size];
    const index = [at(loop), at(tap)];
    operands.push({ value: c.table(position, shape), index }, { value: c.table(exists, shape), index });
    xIndex[1 + i] = fromTable(operands.length - 2);
    conditions.push(e.input(operands.length - 1, "i32"));
  });
  const [first, second] = conditions;
  const condition = first && second ? e.and(first, second) : (first ?? second);
  c.kernel(
    "conv_transpose2d",
    { ...windowParams(spans), group },
    {
      loops: grouped ? [n, oh, ow, group, each] : [n, oh, ow, o],
      reduce: [kh, kw, inner / group],
      operands,
      body: condition ? e.select(condition, p.body, e.num(0, p.body.t)) : p.body,
      combine: "sum",
      result: p.result,
      out: { value: c.output(0), index: [...walk(3), channel] },
    },
  );
}

const convTranspose2d: OpDef = {
  name: "ConvTranspose2D",
  inputs: ["x", "w", "b?"],
  attrs: {
    ...windowAttrs,
    group: { type: "int", default: 1 },
    outputPadding: { type: "ints", default: [0, 0] },
    outputShape: { type: "ints", default: [] },
  },
  infer,
  lower,
  macs: ({ inputs }) => {
    const [x, w] = inputs as [LowerTensor, LowerTensor];
    return count(x.shape) * count(w.shape.slice(1));
  },
};

export const ops = [convTranspose2d];
