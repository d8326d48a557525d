// From what a page or a decoder has to raw pixels. Elements that only a canvas can read are drawn on
// one that is kept between calls.
import { ModelError } from "../error.js";
import type { Rect } from "./resample.js";

/** Pixels in rows from the top, channels interleaved: 1 = grey, 3 = RGB, 4 = RGBA (alpha is ignored). */
export interface Picture {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  /** Default: what the data's length says. */
  readonly channels?: 1 | 3 | 4;
}

export type PixelSource =
  | Picture
  | ImageData
  | ImageBitmap
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLImageElement
  | HTMLVideoElement
  | VideoFrame;

const isPicture = (s: PixelSource): s is Picture => "data" in s && ArrayBuffer.isView(s.data);

interface Sized {
  readonly width?: number;
  readonly height?: number;
  readonly naturalWidth?: number;
  readonly naturalHeight?: number;
  readonly videoWidth?: number;
  readonly videoHeight?: number;
  readonly displayWidth?: number;
  readonly displayHeight?: number;
}

/** Width and height in pixels, whatever the source calls them. */
export function sizeOf(source: PixelSource): { width: number; height: number } {
  const s = source as Sized;
  const width = s.displayWidth ?? s.videoWidth ?? s.naturalWidth ?? s.width ?? 0;
  const height = s.displayHeight ?? s.videoHeight ?? s.naturalHeight ?? s.height ?? 0;
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1)
    throw new ModelError("bad_input", `the picture is ${width}×${height} pixels`, {
      hint: "is it loaded? wait for its load, loadeddata or decode()",
    });
  return { width, height };
}

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;
let scratch: Context | undefined;

function context(width: number, height: number): Context {
  if (!scratch) {
    const canvas =
      typeof OffscreenCanvas === "undefined" ? document.createElement("canvas") : new OffscreenCanvas(1, 1);
    scratch = (canvas.getContext("2d", { willReadFrequently: true }) as Context | null) ?? undefined;
    if (!scratch) throw new ModelError("device", "no 2D canvas can be made here");
  }
  if (scratch.canvas.width < width) scratch.canvas.width = width;
  if (scratch.canvas.height < height) scratch.canvas.height = height;
  return scratch;
}

export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  /** Where `data` lies in the source: only the wanted part may have been read. */
  readonly x: number;
  readonly y: number;
}

/** The pixels of `wanted` at least. */
export function pixelsOf(source: PixelSource, wanted: Rect): Pixels {
  const { width, height } = sizeOf(source);
  if (isPicture(source)) {
    const channels = (source as Picture).channels ?? source.data.length / (width * height);
    if (![1, 3, 4].includes(channels) || source.data.length !== width * height * channels)
      throw new ModelError(
        "bad_input",
        `${source.data.length} bytes are not ${width}×${height} pixels of 1, 3 or 4`,
      );
    return { data: source.data, width, height, channels, x: 0, y: 0 };
  }
  const x = Math.floor(wanted.x);
  const y = Math.floor(wanted.y);
  const w = Math.min(width, Math.ceil(wanted.x + wanted.width)) - x;
  const h = Math.min(height, Math.ceil(wanted.y + wanted.height)) - y;
  const c = context(w, h);
  c.clearRect(0, 0, w, h);
  c.drawImage(source as CanvasImageSource, x, y, w, h, 0, 0, w, h);
  return { data: c.getImageData(0, 0, w, h).data, width: w, height: h, channels: 4, x, y };
}

/** From a point of the network's input to the picture, in pixels. */
export function toPicture(
  fitted: {
    readonly scaleX: number;
    readonly scaleY: number;
    readonly offsetX: number;
    readonly offsetY: number;
  },
  x: number,
  y: number,
): [number, number] {
  return [(x - fitted.offsetX) / fitted.scaleX, (y - fitted.offsetY) / fitted.scaleY];
}
