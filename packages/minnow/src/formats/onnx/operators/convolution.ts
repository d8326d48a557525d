// Convolution and pooling: NCHW with weights [O,I,kh,kw] in the file, NHWC with [O,kh,kw,I] here. Constant
// weights are permuted once, at read time; one spatial dimension is read as two with a height of 1.
import { dataOf } from "../../../graph/deferred.js";
import type { Attrs, Tensor } from "../../../graph/graph.js";
import { permuteData } from "../../../graph/permute.js";
import type { Call, Row, Table } from "../call.js";
import { convolve3, pool3, transpose3 } from "./volume.js";

/** A list over the spatial dimensions, as two: height first. */
function pair(
  c: Call,
  list: readonly number[] | undefined,
  spatial: number,
  otherwise: number,
): [number, number] {
  if (!list || list.length === 0) return [otherwise, otherwise];
  if (list.length !== spatial) c.bad(`a list of ${list.length} for ${spatial} spatial dimensions`);
  const two = spatial === 1 ? [otherwise, list[0] as number] : list;
  return [two[0] as number, two[1] as number];
}

const paddings: Record<string, string> = {
  NOTSET: "explicit",
  SAME_UPPER: "same_upper",
  SAME_LOWER: "same_lower",
  VALID: "valid",
};

interface Window {
  readonly strides: [number, number];
  readonly dilations: [number, number];
  readonly padding: string;
  /** top, left, bottom, right */
  readonly pads: [number, number, number, number];
}

const paddingOf = (c: Call): string =>
  paddings[c.str("auto_pad", "NOTSET")] ?? c.bad(`auto_pad is ${c.str("auto_pad", "")}`);

function window(c: Call, spatial: number): Window {
  const padding = paddingOf(c);
  const list = c.ints("pads") ?? [];
  if (list.length !== 0 && list.length !== 2 * spatial)
    c.bad(`${list.length} pads for ${spatial} spatial dimensions`);
  const [top, left] = pair(c, list.slice(0, spatial), spatial, 0);
  const [bottom, right] = pair(c, list.slice(spatial), spatial, 0);
  return {
    strides: pair(c, c.ints("strides"), spatial, 1),
    dilations: pair(c, c.ints("dilations"), spatial, 1),
    padding,
    pads: padding === "explicit" ? [top, left, bottom, right] : [0, 0, 0, 0],
  };
}

/** Weights of rank 3 or 4 as [O,kh,kw,I], in their compute type. */
function weights(c: Call, raw: Tensor): Tensor {
  const source = c.builder.dequantized.get(raw) ?? raw;
  const shape = c.shape(source);
  const data = source.kind === "constant" && dataOf(source);
  if (!data) {
    const x = c.builder.compute(raw);
    const four = shape.length === 3 ? c.unsqueeze(x, [2]) : x;
    return c.emit("Transpose", [four], { perm: [0, 2, 3, 1] });
  }
  const permuted = c.builder.permuted(source, () => {
    const [o, n, h, w] = (shape.length === 3 ? [shape[0], shape[1], 1, shape[2]] : shape) as [
      number,
      number,
      number,
      number,
    ];
    return { shape: [o, h, w, n], data: permuteData(data, source.dtype, [o, n, h, w], [0, 2, 3, 1]) };
  });
  return source === raw
    ? c.builder.compute(permuted)
    : c.emit("Dequantize", [permuted], { to: "float32" }, { dtype: "float32" });
}

function spatialOf(c: Call): number {
  const spatial = c.rank(c.raw(0)) - 2;
  if (spatial !== 1 && spatial !== 2)
    c.unsupported(`its input has ${spatial} spatial dimensions`, "one and two are supported");
  return spatial;
}

/** kernel_shape only repeats what the weights say. */
function checkKernel(c: Call, w: Tensor, spatial: number): void {
  const shape = c.shape(w);
  if (shape.length !== spatial + 2) c.bad(`its weights have rank ${shape.length}, not ${spatial + 2}`);
  const kernel = c.ints("kernel_shape");
  if (
    kernel &&
    (kernel.length !== spatial ||
      kernel.some((k, i) => typeof shape[i + 2] === "number" && shape[i + 2] !== k))
  )
    c.bad(`kernel_shape is [${kernel}], its weights are [${shape}]`);
}

/**
 * Convolution of x by weights [O,I,…] with the node's attributes.
 * @param emit makes it of x[N,H,W,C] and the other inputs
 */
export function convolve(
  c: Call,
  x: Tensor,
  w: Tensor,
  bias: Tensor | null,
  emit = (t: Tensor, inputs: Tensor[], attrs: Attrs & Window): Tensor =>
    c.emit("Conv2D", [t, ...inputs], attrs),
): Tensor {
  const spatial = spatialOf(c);
  checkKernel(c, w, spatial);
  const attrs = { ...window(c, spatial), group: c.int("group", 1) };
  const inputs = [weights(c, w), ...(bias ? [bias] : [])];
  return c.image(x, (t) => emit(t, inputs, attrs));
}

const conv: Row = (c) =>
  c.rank(c.raw(0)) === 5
    ? convolve3(c, c.x(0), c.raw(1), c.opt(2), paddingOf(c))
    : convolve(c, c.x(0), c.raw(1), c.opt(2));

const convTranspose: Row = (c) => {
  if (c.rank(c.raw(0)) === 5) return transpose3(c, c.x(0), c.raw(1), c.opt(2), paddingOf(c));
  const spatial = spatialOf(c);
  checkKernel(c, c.raw(1), spatial);
  const { padding, ...rest } = window(c, spatial);
  const outputPadding = pair(c, c.ints("output_padding"), spatial, 0);
  const wanted = c.ints("output_shape");
  const attrs: Attrs = {
    ...rest,
    padding: padding === "valid" ? "valid" : "explicit",
    outputPadding,
    group: c.int("group", 1),
  };
  const w = weights(c, c.raw(1));
  const inputs = [w, ...(c.has(2) ? [c.x(2)] : [])];
  return c.image(c.x(0), (x) => {
    const same = padding === "same_upper" || padding === "same_lower";
    if (wanted || same) Object.assign(attrs, fittedPads(c, x, w, attrs, wanted, spatial, padding));
    return c.emit("ConvTranspose2D", [x, ...inputs], attrs);
  });
};

/**
 * ONNX derives pads from the wanted output: total = stride·(in − 1) + outputPadding + extent − out, the
 * smaller half at the beginning for SAME_UPPER, else at the end. SAME wants out = in·stride.
 */
function fittedPads(
  c: Call,
  x: Tensor,
  w: Tensor,
  attrs: Attrs,
  wanted: readonly number[] | undefined,
  spatial: number,
  padding: string,
): Attrs {
  const [strides, dilations, extra] = [attrs.strides, attrs.dilations, attrs.outputPadding] as [
    number[],
    number[],
    number[],
  ];
  const target = wanted ? pair(c, wanted.slice(-spatial), spatial, 1) : undefined;
  const pads = [0, 0, 0, 0];
  const outputPadding = [...extra];
  for (const d of [0, 1]) {
    const [size, kernel] = [c.shape(x)[1 + d], c.shape(w)[1 + d]];
    const stride = strides[d] as number;
    if (typeof kernel !== "number") c.unsupported("output_shape with computed weights is not supported");
    if (target && typeof size !== "number")
      c.unsupported("output_shape with a dynamic input size is not supported");
    const grown = target ? stride * ((size as number) - 1) - (target[d] as number) : -stride;
    const total = grown + (outputPadding[d] as number) + (kernel - 1) * (dilations[d] as number) + 1;
    if (total < 0) outputPadding[d] = (outputPadding[d] as number) - total;
    const small = Math.floor(Math.max(0, total) / 2);
    const large = Math.max(0, total) - small;
    pads[d] = padding === "same_upper" ? small : large;
    pads[2 + d] = padding === "same_upper" ? large : small;
  }
  return { pads, outputPadding };
}

function pooling(c: Call, op: string, x: Tensor, { ...more }: Attrs): Tensor {
  more.ceilMode = c.int("ceil_mode", 0) !== 0;
  if (c.rank(x) === 5) return pool3(c, op, x, more, paddingOf(c));
  const spatial = spatialOf(c);
  const kernel = pair(c, c.ints("kernel_shape") ?? c.bad("attribute kernel_shape is missing"), spatial, 1);
  const attrs = { kernel, ...window(c, spatial), ...more };
  return c.image(x, (t) => c.emit(op, [t], attrs));
}

const maxPool: Row = (c) => {
  c.ignore("storage_order"); // of the indices
  c.onlyOutputs(1, "the indices of MaxPool are not supported");
  return pooling(c, "MaxPool2D", c.x(0), {});
};

export const averagePool = (c: Call, x: Tensor): Tensor =>
  pooling(c, "AvgPool2D", x, { countPads: c.int("count_include_pad", 0) !== 0 });

/** (Σ |x|^p)^(1/p) over windows: the average, pads counted, times the window's size. */
const lpPool: Row = (c) => {
  const p = c.int("p", 2);
  if (p < 1) c.bad(`p is ${p}`);
  const spatial = spatialOf(c);
  const kernel = pair(c, c.ints("kernel_shape") ?? c.bad("attribute kernel_shape is missing"), spatial, 1);
  const attrs = { kernel, ...window(c, spatial), ceilMode: c.int("ceil_mode", 0) !== 0, countPads: true };
  if (attrs.ceilMode) c.unsupported("ceil_mode is not supported");
  return c.image(c.x(0), (x) => {
    const size = c.emit("Abs", [x]);
    const power = p === 1 ? size : p === 2 ? c.emit("Square", [x]) : c.emit("Pow", [size, c.scalar(p)]);
    const sum = c.scale(c.emit("AvgPool2D", [power], attrs), kernel[0] * kernel[1]);
    return p === 1 ? sum : p === 2 ? c.emit("Sqrt", [sum]) : c.emit("Pow", [sum, c.scalar(1 / p)]);
  });
};

/** Over all spatial axes; images channels-last, like what comes before them. */
export function globalPool(c: Call, op: string, x: Tensor): Tensor {
  const rank = c.rank(x);
  if (rank === 4) return c.image(x, (t) => c.emit(op, [t], { axes: [1, 2], keepDims: true }));
  if (rank < 3) c.bad(`its input has rank ${rank}`);
  return c.emit(op, [x], { axes: Array.from({ length: rank - 2 }, (_, i) => i + 2), keepDims: true });
}

const norm = (c: Call): string => {
  const p = c.int("p", 2);
  return p === 1 ? "ReduceL1" : p === 2 ? "ReduceL2" : c.unsupported(`norms of order ${p} are not supported`);
};

export const convolution: Table = {
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: maxPool,
  AveragePool: (c) => averagePool(c, c.x(0)),
  LpPool: lpPool,
  GlobalAveragePool: (c) => globalPool(c, "ReduceMean", c.x(0)),
  GlobalMaxPool: (c) => globalPool(c, "ReduceMax", c.x(0)),
  GlobalLpPool: (c) => globalPool(c, norm(c), c.x(0)),
};
