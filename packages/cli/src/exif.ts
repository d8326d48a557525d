// Cameras store pictures as the sensor lay and write down how to turn them: EXIF tag 0x0112.
import type { Picture } from "minnow/image";

/** 1 (as stored) … 8; 1 when nothing is said or it cannot be read. */
export function jpegOrientation(b: Uint8Array): number {
  const v = new DataView(b.buffer, b.byteOffset, b.byteLength);
  let at = 2;
  while (at + 4 <= b.length && b[at] === 0xff) {
    const marker = b[at + 1] as number;
    if (marker === 0xda || marker === 0xd9) break; // the picture itself
    const length = v.getUint16(at + 2);
    if (marker === 0xe1 && at + 2 + length <= b.length) {
      const found = orientationIn(new DataView(b.buffer, b.byteOffset + at + 4, length - 2));
      if (found) return found;
    }
    at += 2 + length;
  }
  return 1;
}

/** An APP1 segment: "Exif\0\0", then a TIFF header and its first directory. */
function orientationIn(v: DataView): number | undefined {
  if (v.byteLength < 20 || v.getUint32(0) !== 0x45786966) return undefined;
  const tiff = 6;
  const little = v.getUint16(tiff) === 0x4949;
  const directory = tiff + v.getUint32(tiff + 4, little);
  if (directory + 2 > v.byteLength) return undefined;
  const entries = v.getUint16(directory, little);
  for (let i = 0; i < entries; i++) {
    const at = directory + 2 + 12 * i;
    if (at + 12 > v.byteLength) return undefined;
    if (v.getUint16(at, little) !== 0x0112) continue;
    const value = v.getUint16(at + 8, little);
    return value >= 1 && value <= 8 ? value : undefined;
  }
  return undefined;
}

/** The picture as it should be seen. */
export function turn(picture: Picture, orientation: number): Picture {
  if (orientation === 1) return picture;
  const { data, width, height, channels = 4 } = picture;
  const swapped = orientation >= 5;
  const [w, h] = swapped ? [height, width] : [width, height];
  const out = new Uint8Array(data.length);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++) {
      const [sx, sy] = source(orientation, x, y, width, height);
      const from = (sy * width + sx) * channels;
      const to = (y * w + x) * channels;
      for (let c = 0; c < channels; c++) out[to + c] = data[from + c] as number;
    }
  return { data: out, width: w, height: h, channels };
}

/** Where pixel x, y of the upright picture is stored; width and height as stored. */
function source(
  orientation: number,
  x: number,
  y: number,
  width: number,
  height: number,
): readonly [number, number] {
  switch (orientation) {
    case 2:
      return [width - 1 - x, y];
    case 3:
      return [width - 1 - x, height - 1 - y];
    case 4:
      return [x, height - 1 - y];
    case 5:
      return [y, x];
    case 6:
      return [y, height - 1 - x];
    case 7:
      return [width - 1 - y, height - 1 - x];
    default:
      return [width - 1 - y, x];
  }
}
