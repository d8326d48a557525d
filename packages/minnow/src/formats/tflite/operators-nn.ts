// TFLite's convolutions, matrix products, pools, normalisations and resizes.
import type { Attrs, Tensor } from "../../graph/graph.js";
import { windows } from "../../ops/window.js";
import { convolveVolume, type Deep } from "../volume.js";
import type { Op, Row } from "./op.js";

const padding = (code: number): string => (code === 0 ? "same_upper" : "valid");

function positive(c: Op, ...values: number[]): number[] {
  if (values.some((v) => v < 1)) c.fail(`a stride, dilation or size of ${Math.min(...values)}`);
  return values;
}

/** Padding, strides and (from slot `dilation`) dilations of the options. */
function window(c: Op, dilation?: number): Attrs {
  return {
    padding: padding(c.num(0, "i8")),
    strides: positive(c, c.num(2), c.num(1)),
    ...(dilation !== undefined && {
      dilations: positive(c, c.num(dilation + 1, "i32", 1), c.num(dilation, "i32", 1)),
    }),
  };
}

/** Options: 0 padding, 1 stride w, 2 stride h, 3 activation, 4 dilation w, 5 dilation h. */
function conv(c: Op): void {
  const x = c.input(0);
  const w = c.weights(x, c.input(1));
  const group = c.dim(x, 3) / c.dim(w, 3);
  if (!Number.isInteger(group)) c.fail(`${c.dim(x, 3)} channels in, weights for ${c.dim(w, 3)}`);
  const inputs = [x, w, ...c.bias(2, c.dim(w, 0), x, w)];
  c.fused("Conv2D", inputs, { ...window(c, 4), group }, 3);
}

/** As conv, with the multiplier (told by the shapes anyway) at 3; weights are [1, kh, kw, O]. */
function depthwise(c: Op): void {
  const x = c.input(0);
  if (c.dim(c.input(1), 0) !== 1) c.fail("its weights do not begin with 1");
  const w = c.weights(x, c.input(1), [3, 1, 2, 0]);
  const inputs = [x, w, ...c.bias(2, c.dim(w, 0), x, w)];
  c.fused("Conv2D", inputs, { ...window(c, 5), group: c.dim(x, 3) }, 4);
}

/** Options: 0 padding, 1 stride d, 2 stride w, 3 stride h, 4 activation, 5 … 7 dilations d, w, h; weights [D,kh,kw,I,O]. */
function volume(c: Op): void {
  const x = c.input(0);
  if (x.dtype !== "float32") c.reject(`${x.dtype} volumes are not supported`);
  const w = c.transpose(c.weights(x, c.input(1)), [0, 4, 1, 2, 3]);
  const sizes = [1, 2, 3, 4].map((i) => c.dim(x, i));
  const [size, channels, ...kernel] = [0, 1, 2, 3].map((i) => c.dim(w, i)) as [
    number,
    number,
    number,
    number,
  ];
  const [stride, ...strides] = positive(c, c.num(1), c.num(3), c.num(2)) as [number, number, number];
  const [dilation, ...dilations] = positive(c, ...[5, 7, 6].map((i) => c.num(i, "i32", 1)));
  const attrs = { padding: padding(c.num(0, "i8")), strides, dilations, pads: [0, 0, 0, 0] };
  const where = { op: c.name, name: c.output.name };
  const deep = { ...attrs, strides: [stride, 1], dilations: [dilation as number, 1] };
  const [span] = windows({ ...where, attrs: deep }, [size, 1], [sizes[0] as number, 1]);
  const plane = windows({ ...where, attrs }, kernel, sizes.slice(1, 3));
  const bias = c.bias(2, channels, x, w);
  const weights = (k: number, first: boolean): Tensor[] => {
    const one = c.value("Slice", [w], { starts: [k], ends: [k + 1], axes: [0] });
    return [c.value("Squeeze", [one], { axes: [0] }), ...(first ? bias : [])];
  };
  const layer = { op: "Conv2D", attrs, weights } as const;
  const y = convolveVolume((...node) => c.value(...node), x, sizes, span as Deep, layer);
  c.fused("Reshape", [y], { shape: [-1, ...[span, ...plane].map((s) => s.out as number), channels] }, 4);
}

/** Pads that give `out` from `size`: TFLite puts the odd one at the end; a negative one is outputPadding. */
function transposedPads(size: number, out: number, stride: number, kernel: number, total: number): number[] {
  const begin = total >> 1;
  const end = stride * (size - 1) + kernel - begin - out;
  return [begin, Math.max(0, end), Math.max(0, -end)];
}

/** ConvTranspose2D with [O, kh, kw, I] weights, as TFLite and MediaPipe both have them. */
function transposed(
  c: Op,
  x: Tensor,
  w: Tensor,
  bias: Tensor[],
  strides: number[],
  pads: Attrs,
  slot: number,
): void {
  const inputs = [x, c.weights(x, w, [3, 1, 2, 0]), ...bias];
  if (c.dim(x, 3) !== c.dim(w, 3)) c.fail(`${c.dim(x, 3)} channels in, weights for ${c.dim(w, 3)}`);
  c.fused("ConvTranspose2D", inputs, { strides, ...pads }, slot);
}

/** Inputs: output shape, weights, x, bias. The output shape decides the padding. */
function transposeConv(c: Op): void {
  const [w, x] = [c.input(1), c.input(2)];
  const strides = positive(c, c.num(2), c.num(1));
  const same = c.num(0, "i8") === 0;
  const declared = c.known(0) ?? c.output.shape;
  const pads: number[][] = [];
  for (const i of [0, 1]) {
    const [size, kernel, stride] = [c.dim(x, i + 1), c.dim(w, i + 1), strides[i] as number];
    const out = declared[i + 1];
    if (typeof out !== "number" || out < 1) continue;
    const steps = same ? Math.ceil(out / stride) : Math.floor((out + stride - kernel) / stride);
    if (steps !== size) c.fail(`its output of ${out} needs ${steps} input rows, not ${size}`);
    pads.push(transposedPads(size, out, stride, kernel, Math.max(0, (steps - 1) * stride + kernel - out)));
  }
  const [h, v] = pads;
  const attrs: Attrs =
    h && v
      ? {
          padding: "explicit",
          pads: [h[0], v[0], h[1], v[1]] as number[],
          outputPadding: [h[2], v[2]] as number[],
        }
      : { padding: padding(same ? 0 : 1) };
  transposed(c, x, w, c.bias(3, c.dim(w, 0), x, w), strides, attrs, 3);
}

/** MediaPipe's Convolution2DTransposeBias. Options are int32: padding (1 same, 2 valid), stride w, stride h. */
export function transposeConvBias(c: Op): void {
  const [x, w] = [c.input(0), c.input(1)];
  if (c.custom.length < 12) c.fail("its options are cut short");
  const view = new DataView(c.custom.buffer, c.custom.byteOffset);
  const same = view.getInt32(0, true) === 1;
  const strides = positive(c, view.getInt32(8, true), view.getInt32(4, true));
  const pads = [0, 1].map((i) => {
    const kernel = c.dim(w, i + 1);
    const total = same ? Math.max(0, kernel - ((c.dim(x, i + 1) - 1) % (strides[i] as number)) - 1) : 0;
    return [total >> 1, total - (total >> 1)];
  });
  const attrs = { padding: "explicit", pads: [0, 1].flatMap((end) => pads.map((p) => p[end] as number)) };
  transposed(c, x, w, c.bias(2, c.dim(w, 0), x, w), strides, attrs, 0);
}

/** Options: 0 activation, 1 weights format, 2 keep dims. */
function fullyConnected(c: Op): void {
  const x = c.input(0);
  const w = c.weights(x, c.input(1));
  if (c.num(1, "i8") !== 0)
    c.reject("shuffled weights", "this old form was made for ARM only; convert again");
  if (w.shape.length !== 2) c.fail(`weights of shape [${w.shape}]`);
  const inputs = [x, w, ...c.bias(2, c.dim(w, 0), x, w)];
  c.fused("Dense", inputs, { keepDims: c.flag(2) }, 0);
}

function batchMatMul(c: Op): void {
  const a = c.input(0);
  const b = c.weights(a, c.input(1));
  c.emit("MatMul", [a, b], [c.output], { transposeA: c.flag(0), transposeB: c.flag(1) });
}

/** Options: 0 padding, 1 stride w, 2 stride h, 3 filter w, 4 filter h, 5 activation. */
const poolAttrs = (c: Op): Attrs => ({ ...window(c), kernel: positive(c, c.num(4), c.num(3)) });

const pool =
  (op: string): Row =>
  (c) =>
    c.fused(op, [c.input(0)], poolAttrs(c), 5);

function l2Pool(c: Op): void {
  if (c.input(0).dtype !== "float32") c.reject(`${c.input(0).dtype} activations are not supported`);
  const squares = c.value("Square", [c.input(0)]);
  c.fused("Sqrt", [c.value("AvgPool2D", [squares], poolAttrs(c))], {}, 5);
}

/** x / max(√Σx², 10⁻⁶) over the last axis. */
function l2Normalization(c: Op): void {
  if (c.num(0, "i8") !== 0) c.reject("its fused activation is not supported");
  const x = c.asFloat(c.input(0));
  const norm = c.value("ReduceL2", [x], { axes: [-1], keepDims: true }, x);
  c.finishFloat("Div", [x, c.value("Max", [norm, c.floats("epsilon", 1e-6)], {}, x)]);
}

/**
 * x · (bias + alpha · Σx²)^−beta; the sum runs over 2·radius + 1 channels, here an average pool of
 * [N·H·W, C, 1, 1].
 */
function localResponse(c: Op): void {
  const x = c.input(0);
  const [radius, bias, alpha, beta] = [c.num(0), c.num(1, "f32"), c.num(2, "f32"), c.num(3, "f32")];
  if (x.dtype !== "float32") c.reject(`${x.dtype} activations are not supported`);
  if (radius < 0 || radius > 1024) c.fail(`a radius of ${radius}`);
  const size = 2 * radius + 1;
  const flat = c.value("Reshape", [c.value("Square", [x])], { shape: [-1, c.dim(x, -1), 1, 1] });
  const window = { kernel: [size, 1], padding: "explicit", pads: [radius, 0, radius, 0], countPads: true };
  const mean = c.value("AvgPool2D", [flat], window);
  const scaled = c.value("Mul", [mean, c.floats("alpha", alpha * size)]);
  const power = c.value("Pow", [c.value("Add", [scaled, c.floats("bias", bias)]), c.floats("beta", -beta)]);
  const shape = c.value("Shape", [x], { to: "int32" }, x, "int32");
  c.emit("Mul", [x, c.value("Reshape", [power, shape])], [c.output]);
}

/** `align` and `halfPixel` are slots of the options. */
const resize =
  (mode: "linear" | "nearest", align: number, halfPixel: number): Row =>
  (c) => {
    const coordinates = c.flag(align) ? "align_corners" : c.flag(halfPixel) ? "half_pixel" : "asymmetric";
    // TFLite takes ⌊(i + ½)·scale⌋ for half pixels, and rounds half away from zero for aligned corners.
    const nearest = {
      align_corners: "round_half_away",
      half_pixel: "round_prefer_ceil",
      asymmetric: "floor",
    }[coordinates];
    const attrs = { mode, coordinates, inverseScale: true, ...(mode === "nearest" && { nearest }) };
    c.emit("Resize", [c.input(0), c.input(1)], [c.output], attrs);
  };

export const networks: Record<string, Row> = {
  CONV_2D: conv,
  DEPTHWISE_CONV_2D: depthwise,
  TRANSPOSE_CONV: transposeConv,
  CONV_3D: volume,
  FULLY_CONNECTED: fullyConnected,
  BATCH_MATMUL: batchMatMul,
  AVERAGE_POOL_2D: pool("AvgPool2D"),
  MAX_POOL_2D: pool("MaxPool2D"),
  L2_POOL_2D: l2Pool,
  L2_NORMALIZATION: l2Normalization,
  LOCAL_RESPONSE_NORMALIZATION: localResponse,
  SOFTMAX: (c) => c.emit("Softmax", [c.input(0)], [c.output], { axis: -1, beta: c.num(0, "f32") }),
  LOG_SOFTMAX: (c) => c.emit("LogSoftmax", [c.input(0)], [c.output], { axis: -1 }),
  RESIZE_BILINEAR: resize("linear", 2, 3),
  RESIZE_NEAREST_NEIGHBOR: resize("nearest", 0, 1),
};
