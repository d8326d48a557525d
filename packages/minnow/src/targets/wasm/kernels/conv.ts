// Plain and grouped convolution in float32 as matrix products over row tables (see rows.ts).
//   1×1, stride 1, joined pixels        f32_gemm    one tap, rows at a fixed pitch
//   dense pixels, dilation 1 along x    f32_igemm   one tap a kernel row: kw·C contiguous inputs
//   anything else, groups               f32_igemm   one tap a kernel element
import type { LoopNest } from "../../../compiler/nest.js";
import type { Step } from "../../../compiler/program.js";
import type { Engine } from "../engine.js";
import type { PlannedKernel, Planning, TunedKernel } from "../kernel.js";
import { epilogueOf } from "./epilogue.js";
import { type GemmPlan, planGemm, type Window } from "./gemm.js";
import { planGemv } from "./gemv.js";
import { joined, type Walk, walkOf } from "./operands.js";
import { packPanels } from "./pack.js";
import { isFloatProduct, weightMatrix } from "./products.js";
import type { RowKind } from "./rows.js";

export const conv2d: TunedKernel = { kernels: ["conv2d"], plan: planConv };

function planConv(step: Step, engine: Engine, program: Planning): PlannedKernel | null {
  const g = convGeometry(step);
  const nest = step.nest;
  if (!g || !nest || !isFloatProduct(step, nest)) return null;
  const rows = convRows(g, nest);
  const epilogue = epilogueOf(step, nest, program, { channelLoop: 3 });
  const weights = weightMatrix(program, g.w, rows.channels, rows.taps * rows.k);
  if (!weights || !epilogue) return null;
  // Small groups have a kernel of their own (depthwise.ts); what it leaves out does not pay here either.
  if (g.group > 1 && rows.inner < 4 && rows.channels < 12 * g.group) return null;
  if (rows.rows === 1 && rows.rowKind === "plain" && !program.dynamic)
    return planGemv(nest.out.value, weights, rows.x, epilogue, engine);
  return planGemm(
    step,
    {
      ...rows,
      dynamic: program.dynamic,
      epilogue,
      outValue: nest.out.value,
      weights: packPanels(weights, g.group),
    },
    engine,
  );
}

export type ConvRows = Omit<GemmPlan, "epilogue" | "outValue" | "weights"> & { readonly inner: number };

/** A convolution as rows times a matrix. */
export function convRows(g: ConvGeometry, nest: LoopNest): ConvRows {
  const { x, w, window, kernel, group } = g;
  const inner = w.view.shape[3] as number;
  const rowKind = rowKindOf(g);
  const [sy, sx] = window.stride;
  return {
    name: rowKind === "plain" ? "gemm" : "igemm",
    rows: (nest.loops[0] as number) * window.oh * window.ow,
    channels: nest.loops.slice(3).reduce((a, b) => a * b, 1),
    groups: group,
    x: { kind: "view", value: x.value },
    pitchBytes: (rowKind === "plain" ? (pixelPitch(g) as number) : g.pitch) * x.bytes,
    groupBytes: inner * x.bytes,
    rowKind,
    ...(rowKind !== "plain" && { window }),
    taps: { plain: 1, line: kernel[0], window: kernel[0] * kernel[1] }[rowKind],
    k: rowKind === "line" ? kernel[1] * inner : inner,
    inner,
    rowInput: inner * x.bytes * Math.min(sy, kernel[0]) * Math.min(sx, kernel[1]),
  };
}

export interface ConvGeometry {
  readonly x: Walk;
  readonly w: Walk;
  readonly window: Window;
  readonly kernel: readonly [number, number];
  readonly group: number;
  readonly channels: number;
  /** Elements from one input pixel to the next. */
  readonly pitch: number;
}

/** Geometry of a conv2d step. */
export function convGeometry(step: Step): ConvGeometry | null {
  const w = step.nest && walkOf(step, step.nest, 1);
  const g = windowGeometry(step, step.params.group as number);
  return g && w && w.view.shape.length === 4 ? { ...g, w } : null;
}

/** A window that slides over the first operand, in bytes of x's type. */
export function windowGeometry(step: Step, group: number): Omit<ConvGeometry, "w"> | null {
  const nest = step.nest;
  if (!nest || nest.loops.some((n) => n === 0)) return null;
  const x = walkOf(step, nest, 0);
  const p = step.params as Record<string, number>;
  if (x?.view.shape.length !== 4) return null;
  const [, h, wide, channels] = x.view.shape as [number, number, number, number];
  const [imageStride, rowStride, pitch, dense] = x.view.strides as [number, number, number, number];
  if (channels > 1 && dense !== 1) return null;
  const kernel = [p.kh as number, p.kw as number] as const;
  const window: Window = {
    h,
    w: wide,
    oh: nest.loops[1] as number,
    ow: nest.loops[2] as number,
    stride: [p.strideY as number, p.strideX as number],
    dilation: [p.dilationY as number, p.dilationX as number],
    pad: [p.padTop as number, p.padLeft as number],
    kernel,
    rowBytes: rowStride * x.bytes,
    imageBytes: imageStride * x.bytes,
  };
  return { x, window, kernel, group, channels, pitch: wide === 1 ? channels : pitch };
}

/** Elements between all pixels of all images; null: not one distance. */
const pixelPitch = ({ x }: ConvGeometry): number | null => joined(x.view.strides, x.view.shape, 0, 3);

function rowKindOf(g: ConvGeometry): RowKind {
  const { window, kernel, group, channels } = g;
  const [sy, sx] = window.stride;
  const unpadded =
    window.pad[0] === 0 && window.pad[1] === 0 && window.oh === window.h && window.ow === window.w;
  const joins = pixelPitch(g) !== null;
  if (kernel[0] * kernel[1] === 1 && sy === 1 && sx === 1 && unpadded && joins && group === 1) return "plain";
  if (group === 1 && g.pitch === channels && window.dilation[1] === 1 && kernel[1] > 1) return "line";
  return "window";
}
