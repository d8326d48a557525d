// Pictures from files: JPEG (turned as EXIF says), PNG, WebP, BMP, told apart by content. Pure
// JavaScript and WebAssembly decoders, each loaded only when such a file comes.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { Picture } from "minnow/image";
import { decodeBmp } from "./bmp.js";
import { jpegOrientation, turn } from "./exif.js";

export type PictureFormat = "jpeg" | "png" | "webp" | "bmp";

export function pictureFormat(b: Uint8Array): PictureFormat | undefined {
  const text = (from: number, to: number): string => String.fromCharCode(...b.subarray(from, to));
  if (b[0] === 0xff && b[1] === 0xd8 && b[2] === 0xff) return "jpeg";
  if (text(1, 4) === "PNG" && b[0] === 0x89) return "png";
  if (text(0, 4) === "RIFF" && text(8, 12) === "WEBP") return "webp";
  if (text(0, 2) === "BM" && b.length > 26) return "bmp";
  return undefined;
}

const maxPixels = 2 ** 28;

/** @throws Error when the bytes are no picture, or a broken one */
export async function decodePicture(bytes: Uint8Array): Promise<Picture> {
  const format = pictureFormat(bytes);
  switch (format) {
    case "jpeg": {
      const { default: jpeg } = await import("jpeg-js");
      const { data, width, height } = jpeg.decode(bytes, {
        useTArray: true,
        formatAsRGBA: true,
        maxMemoryUsageInMB: 2048,
        maxResolutionInMP: 256,
      });
      return turn({ data, width, height, channels: 4 }, jpegOrientation(bytes));
    }
    case "png":
      return decodePng(bytes);
    case "webp":
      return decodeWebp(bytes);
    case "bmp":
      return decodeBmp(bytes);
    default:
      throw new Error("not a JPEG, PNG, WebP or BMP picture");
  }
}

async function decodePng(bytes: Uint8Array): Promise<Picture> {
  const { decode, convertIndexedToRgb } = await import("fast-png");
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 33 || header.getUint32(16) * header.getUint32(20) > maxPixels)
    throw new Error("the PNG header is broken");
  const png = decode(bytes);
  const { width, height } = png;
  if (png.palette) {
    const data = Uint8Array.from(convertIndexedToRgb(png));
    return { data, width, height, channels: (data.length / (width * height)) as 3 | 4 };
  }
  const from = png.channels;
  const max = 2 ** png.depth - 1;
  const to = from < 3 ? 1 : 3; // alpha is dropped
  const data = new Uint8Array(width * height * to);
  for (let i = 0, p = 0; p < data.length; i += from)
    for (let c = 0; c < to; c++)
      data[p++] =
        png.depth === 8 ? (png.data[i + c] as number) : Math.round(((png.data[i + c] as number) * 255) / max);
  return { data, width, height, channels: to };
}

async function decodeWebp(bytes: Uint8Array): Promise<Picture> {
  const { default: decode, init } = await import("@jsquash/webp/decode.js");
  // Its loader fetches the .wasm beside itself, which Node's fetch does not do for files.
  const path = createRequire(import.meta.url).resolve("@jsquash/webp/codec/dec/webp_dec.wasm");
  await init(await WebAssembly.compile(new Uint8Array(await readFile(path))));
  const { data, width, height } = await decode(bytes.slice().buffer);
  return { data, width, height, channels: 4 };
}
