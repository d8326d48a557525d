// fromPixels(): a picture to a model's input in one pass: crop, fit, resize, channel order,
// normalisation, layout, quantisation. Tells how to map results back to the picture.
import { ModelError } from "../error.js";
import { type ChannelMap, type Filter, makeTaps, type Rect, RowResampler } from "./resample.js";
import { pixelsOf, type PixelSource, sizeOf } from "./source.js";

/** stretch: to the size. contain: whole picture, bars around it. cover: no bars, edges cut off. */
export type Fit = "stretch" | "contain" | "cover";
type Out = Float32Array | Uint8Array | Int8Array;

export interface PixelOptions {
  /** Size of the result; default: the picture's (or the crop's). */
  width?: number;
  height?: number;
  fit?: Fit;
  /** contain: where the picture lies; default "center". */
  align?: "center" | "start";
  /** contain: pixel value of the bars, 0…255; default 0. */
  fill?: number | readonly number[];
  filter?: Filter;
  /** The part of the picture to take, in its pixels. */
  crop?: Rect;
  order?: "rgb" | "bgr" | "gray";
  layout?: "NHWC" | "NCHW";
  /** value = (pixel − mean) / std with pixels 0…255; one number, or one a channel in `order`. */
  mean?: number | readonly number[];
  std?: number | readonly number[];
  /** Instead of mean and std: what 0 and 255 become, e.g. [0, 1] or [-1, 1]. */
  range?: readonly [number, number];
  dtype?: "float32" | "uint8" | "int8";
  /** uint8, int8: stored = round(value / scale) + zeroPoint. Without it: the pixel, int8 minus 128. */
  quantization?: {
    readonly scale: number | readonly number[];
    readonly zeroPoint: number | readonly number[];
  };
  /** Filled and returned as `data`, instead of a new array. */
  into?: Out;
}

/** A value for run(), and pixel of the picture = (pixel of the input − offset) / scale. */
export interface Fitted<T extends Out = Out> {
  readonly data: T;
  /** [1, height, width, channels] or [1, channels, height, width] */
  readonly shape: number[];
  readonly scaleX: number;
  readonly scaleY: number;
  readonly offsetX: number;
  readonly offsetY: number;
}

/**
 * @throws ModelError bad_option (sizes, crop outside the picture, wrong `into`), bad_input (pixels)
 */
export function fromPixels(
  source: PixelSource,
  options: PixelOptions & { dtype: "uint8" },
): Fitted<Uint8Array>;
export function fromPixels(source: PixelSource, options: PixelOptions & { dtype: "int8" }): Fitted<Int8Array>;
export function fromPixels(
  source: PixelSource,
  options?: PixelOptions & { dtype?: "float32" },
): Fitted<Float32Array>;
export function fromPixels(source: PixelSource, options: PixelOptions): Fitted;
export function fromPixels(source: PixelSource, options: PixelOptions = {}): Fitted {
  const size = sizeOf(source);
  const crop = cropOf(options.crop ?? { x: 0, y: 0, ...size }, size);
  const width = sizeOption("width", options.width ?? Math.round(crop.width));
  const height = sizeOption("height", options.height ?? Math.round(crop.height));
  const place = placement(crop, width, height, options);
  const order = options.order ?? "rgb";
  const depth = order === "gray" ? 1 : 3;
  const data = outputFor(options, width * height * depth);
  const pixels = pixelsOf(source, place.from);

  const { filter = "bilinear" } = options;
  const { from, to } = place;
  const rows = new RowResampler(
    pixels.data,
    pixels.width * pixels.channels,
    pixels.channels,
    channelMap(order, pixels.channels),
    makeTaps(filter, from.x - pixels.x, from.width, pixels.width, to.width),
    makeTaps(filter, from.y - pixels.y, from.height, pixels.height, to.height),
  );
  const channels = Array.from({ length: depth }, (_, c) => affine(options, c));
  const planar = options.layout === "NCHW";
  if (to.width !== width || to.height !== height) fillBars(data, options.fill ?? 0, channels, planar);
  for (let y = 0; y < to.height; y++) {
    const row = rows.row(y);
    const pixel = (to.y + y) * width + to.x;
    for (let c = 0; c < depth; c++) {
      const { a, b } = channels[c] as Affine;
      const at = planar ? c * width * height + pixel : pixel * depth + c;
      writeRow(data, at, planar ? 1 : depth, row, c, depth, a, b);
    }
  }
  const shape = planar ? [1, depth, height, width] : [1, height, width, depth];
  const scaleX = to.width / from.width;
  const scaleY = to.height / from.height;
  return { data, shape, scaleX, scaleY, offsetX: to.x - from.x * scaleX, offsetY: to.y - from.y * scaleY };
}

function sizeOption(name: string, value: number): number {
  if (!Number.isInteger(value) || value < 1 || value > 65536)
    throw new ModelError("bad_option", `${name} is ${value}, not a size in pixels`);
  return value;
}

function cropOf(r: Rect, size: { width: number; height: number }): Rect {
  const inside =
    r.x >= 0 && r.y >= 0 && r.x + r.width <= size.width + 1e-6 && r.y + r.height <= size.height + 1e-6;
  if (!(inside && r.width > 0 && r.height > 0))
    throw new ModelError(
      "bad_option",
      `crop ${r.width}×${r.height} at ${r.x}, ${r.y} is not inside the picture of ${size.width}×${size.height}`,
    );
  return r;
}

/** Source rectangle and the whole-pixel rectangle of the result that it fills. */
function placement(crop: Rect, width: number, height: number, o: PixelOptions): { from: Rect; to: Rect } {
  const whole = { x: 0, y: 0, width, height };
  const fit = o.fit ?? "stretch";
  if (fit === "stretch") return { from: crop, to: whole };
  const sx = width / crop.width;
  const sy = height / crop.height;
  if (fit === "cover") {
    const s = Math.max(sx, sy);
    const [w, h] = [width / s, height / s];
    return {
      from: { x: crop.x + (crop.width - w) / 2, y: crop.y + (crop.height - h) / 2, width: w, height: h },
      to: whole,
    };
  }
  const s = Math.min(sx, sy);
  const w = Math.min(width, Math.max(1, Math.round(crop.width * s)));
  const h = Math.min(height, Math.max(1, Math.round(crop.height * s)));
  const half = o.align === "start" ? 0 : 0.5;
  return {
    from: crop,
    to: { x: Math.floor((width - w) * half), y: Math.floor((height - h) * half), width: w, height: h },
  };
}

function channelMap(order: "rgb" | "bgr" | "gray", channels: number): ChannelMap {
  if (order === "gray") return channels === 1 ? [0] : [-1];
  if (channels === 1) return [0, 0, 0];
  return order === "bgr" ? [2, 1, 0] : [0, 1, 2];
}

/** stored = a · pixel + b */
interface Affine {
  readonly a: number;
  readonly b: number;
}

const pick = (v: number | readonly number[], c: number): number =>
  typeof v === "number" ? v : ((v.length === 1 ? v[0] : v[c]) ?? Number.NaN);

function affine(o: PixelOptions, c: number): Affine {
  const { dtype = "float32", range, mean = 0, std = 1, quantization: q } = o;
  const a = range ? (range[1] - range[0]) / 255 : 1 / pick(std, c);
  const b = range ? range[0] : -pick(mean, c) / pick(std, c);
  if (!Number.isFinite(a) || !Number.isFinite(b))
    throw new ModelError("bad_option", `mean ${mean} and std ${std} give no value for channel ${c}`);
  if (dtype === "float32") return { a, b };
  if (q) return { a: a / pick(q.scale, 0), b: b / pick(q.scale, 0) + pick(q.zeroPoint, 0) };
  return { a: 1, b: dtype === "int8" ? -128 : 0 };
}

function outputFor(o: PixelOptions, length: number): Out {
  const make = { float32: Float32Array, uint8: Uint8Array, int8: Int8Array }[o.dtype ?? "float32"];
  if (!make) throw new ModelError("bad_option", `dtype is ${String(o.dtype)}, not float32, uint8 or int8`);
  if (!o.into) return new make(length);
  if (!(o.into instanceof make) || o.into.length !== length)
    throw new ModelError(
      "bad_option",
      `into is ${o.into.constructor.name} of ${o.into.length}, not ${make.name} of ${length}`,
    );
  return o.into;
}

/** One channel of one row. Typed arrays of small integers wrap, so those are clamped here. */
function writeRow(
  out: Out,
  at: number,
  step: number,
  row: Float32Array,
  c: number,
  depth: number,
  a: number,
  b: number,
): void {
  if (out instanceof Float32Array) {
    for (let i = c; i < row.length; i += depth, at += step) out[at] = a * (row[i] as number) + b;
    return;
  }
  const low = out instanceof Int8Array ? -128 : 0;
  const high = low + 255;
  for (let i = c; i < row.length; i += depth, at += step) {
    const v = Math.round(a * (row[i] as number) + b);
    out[at] = Math.min(Math.max(v, low), high);
  }
}

function fillBars(
  data: Out,
  fill: number | readonly number[],
  channels: readonly Affine[],
  planar: boolean,
): void {
  const depth = channels.length;
  const plane = data.length / depth;
  channels.forEach(({ a, b }, c) => {
    const at = planar ? c * plane : c;
    writeRow(data, at, 1, Float32Array.of(pick(fill, c)), 0, 1, a, b);
    if (planar) data.fill(data[at] as number, at, at + plane);
  });
  if (planar) return;
  for (let done = depth; done < data.length; done *= 2)
    data.copyWithin(done, 0, Math.min(done, data.length - done));
}
