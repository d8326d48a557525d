// Transposed convolution in NHWC, the gradient of convolution with respect to its input:
//   out[n,y,x,o] = b[o] + Σ in[n,i,j,c] · w[c,ky,kx,o]   over i·s + ky·d − pad = y, j·s + kx·d − pad = x
//   size = (in − 1)·s + (k − 1)·d + 1 + outputPadding − pads
// No kernel of its own has to be fast. With constant weights it becomes a "conv2d" (stride 1, ⌈k/s⌉ taps)
// that computes all s·s phases of an output pixel as channels, and copies that interleave them
// (sub-pixel convolution; Shi et al., 2016). Else, each phase is a nest over the taps that reach it:
// kernel "conv_transpose2d", params as conv2d's and {phaseY, phaseX}: loops [N,⌈OH/s⌉,⌈OW/s⌉,O] (groups:
// …,G,O/G]), reduce [taps, taps, C/G]; operands 0 = x (guarded on axes 1, 2), 1 = w, 2 = b if present.
import * as e from "../compiler/expr.js";
import { type Access, at, type AxisIndex, scalarOf } from "../compiler/nest.js";
import * as dim from "../graph/dim.js";
import { count, type Dim } from "../graph/dim.js";
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
import { lowerSubPixel } from "./sub_pixel.js";
import { pair, windowAttrs, windowParams, type Window } from "./window.js";

/** Output phases (stride · stride): a network that enlarges 32-fold at once has 1024. */
const maxPhases = 4096;

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
    const given = [pads[i] as number, pads[i + 2] as number] as const;
    const [before, after] = cut(c, full, size[i] as Dim, stride, wanted[i], given);
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
  pads: readonly [number, number],
): readonly [Dim, Dim] {
  const padding = str(c.attrs, "padding");
  if (padding === "valid") return [0, 0];
  if (padding === "explicit" && wanted === undefined) return pads;
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
  if (!(group > 0)) reject(c, `group ${group}`, "bad_graph");
  if (typeof inner === "number" && inner % group !== 0)
    reject(c, `${inner} input channels do not divide into ${group} groups`);
  if (differ(channels, inner)) reject(c, `${channels} input channels, weights for ${inner}`);
  const out = dim.mul(each, group);
  checkChannels(c, out);
  const [y, z] = transposedWindows(c, [kh, kw], [h, wide]);
  return [{ dtype: productType(c), shape: [n, y.out, z.out, out] }];
}

/** The outputs p, p + s, p + 2s, … of an axis: which taps reach them, and from where. */
interface Phase {
  readonly start: number;
  /** Outputs of this phase. */
  readonly length: number;
  /** Taps first, first + step, …: `taps` of them. */
  readonly first: number;
  readonly step: number;
  readonly taps: number;
  /** Input position of output number 0 through tap number 0, and how far each further tap moves it. */
  readonly origin: number;
  readonly shift: number;
}

/** Output y = start + i·s takes tap k where y + pad − k·d divides by s. */
function phases(w: Window): Phase[] {
  const list: Phase[] = [];
  const { size, stride, dilation } = w;
  for (let start = 0; start < Math.min(stride, w.out as number); start++) {
    const u = start + (w.before as number);
    const reaching = Array.from({ length: size }, (_, k) => k).filter(
      (k) => (u - k * dilation) % stride === 0,
    );
    const first = reaching[0] ?? 0;
    const step = (reaching[1] ?? first + 1) - first;
    list.push({
      start,
      length: Math.ceil(((w.out as number) - start) / stride),
      first,
      step,
      taps: reaching.length,
      origin: reaching.length > 0 ? (u - first * dilation) / stride : 0,
      shift: reaching.length > 1 ? -(step * dilation) / stride : 0,
    });
  }
  return list;
}

function lower(c: LowerContext): void {
  const [x, w] = c.inputs as [LowerTensor, LowerTensor];
  const spans = transposedWindows(c, w.shape.slice(1, 3), x.shape.slice(1, 3));
  const out = c.outputs[0] as LowerTensor;
  const phaseCount = spans.reduce((n, s) => n * Math.min(s.stride, s.out as number), 1);
  if (count(out.shape) === 0) {
    const nothing = e.num(0, scalarOf(out.dtype));
    c.nest({
      loops: out.shape,
      reduce: [],
      operands: [],
      result: nothing,
      out: { value: c.output(0), index: walk(4) },
    });
    return;
  }
  if (phaseCount > maxPhases)
    reject(c, `strides [${spans.map((s) => s.stride)}] are too large`, "unsupported");
  if (lowerSubPixel(c, spans)) return;
  for (const y of phases(spans[0])) for (const z of phases(spans[1])) lowerPhase(c, spans, y, z);
}

function lowerPhase(c: LowerContext, spans: readonly [Window, Window], y: Phase, z: Phase): void {
  const [x, w, b] = c.inputs as [LowerTensor, LowerTensor, LowerTensor | undefined];
  const [inner, , , each] = w.shape as [number, number, number, number];
  const group = int(c.attrs, "group");
  const o = each * group;
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
  const position = (loop: number, p: Phase): AxisIndex =>
    affine(
      [
        [loop, 1],
        [ky + loop - 1, p.shift],
      ],
      p.origin,
      true,
    );
  const tap = (loop: number, p: Phase): AxisIndex => affine([[ky + loop - 1, p.step]], p.first);
  const fill = x.quant?.zeroPoint[0] ?? 0;
  const operands: Access[] = [
    {
      value: c.input(0),
      index: [at(0), position(1, y), position(2, z), inChannel],
      ...(fill !== 0 && { fill }),
    },
    { value: c.input(1), index: [inChannel, tap(1, y), tap(2, z), at(grouped ? 4 : 3)] },
  ];
  if (b) operands.push({ value: c.input(2), index: [channel] });
  const scaleIndex = (w.quant?.scale.length ?? 1) === o ? channel : at(grouped ? 4 : 3);
  const p = product(c, x, w, b ? 2 : -1, operands.length, scaleIndex);
  c.kernel(
    "conv_transpose2d",
    { ...windowParams(spans), group, phaseY: y.start, phaseX: z.start },
    {
      loops: [x.shape[0] as number, y.length, z.length, ...(grouped ? [group, each] : [o])],
      reduce: [y.taps, z.taps, inner / group],
      operands: [...operands, ...p.operands],
      body: p.body,
      combine: "sum",
      result: p.result,
      out: {
        value: c.output(0),
        index: [
          at(0),
          affine([[1, spans[0].stride]], y.start),
          affine([[2, spans[1].stride]], z.start),
          channel,
        ],
      },
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
