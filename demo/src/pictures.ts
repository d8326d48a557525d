// Pictures for the demo: decoding, drawing and encoding through @napi-rs/canvas, with a font from a
// package, so that no system font or codec is needed.
import { createCanvas, GlobalFonts, loadImage, type Canvas } from "@napi-rs/canvas";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Face } from "./faces.js";
import type { TextBox } from "./text.js";

const require = createRequire(import.meta.url);

/** A file of an installed package, whatever the package's `exports` say. */
export function fileOf(specifier: string): string {
  for (const dir of require.resolve.paths(specifier) ?? []) {
    const path = join(dir, specifier);
    if (existsSync(path)) return path;
  }
  throw new Error(`${specifier} is not installed: run npm ci`);
}

export interface Picture {
  readonly canvas: Canvas;
  readonly width: number;
  readonly height: number;
  /** RGBA, 8 bits. */
  readonly data: Uint8ClampedArray;
  readonly channels: 4;
}

export function pixels(canvas: Canvas): Picture {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  return { canvas, width, height, data, channels: 4 };
}

/** Reads a photograph, made at most `most` pixels wide. */
export async function photograph(path: string, most = 960): Promise<Picture> {
  const image = await loadImage(path);
  const scale = Math.min(1, most / image.width);
  const canvas = createCanvas(Math.round(image.width * scale), Math.round(image.height * scale));
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return pixels(canvas);
}

export function copy(p: Picture): Canvas {
  const canvas = createCanvas(p.width, p.height);
  canvas.getContext("2d").drawImage(p.canvas, 0, 0);
  return canvas;
}

const font = "Minnow demo";
export function useFont(): void {
  GlobalFonts.registerFromPath(fileOf("dejavu-fonts-ttf/ttf/DejaVuSans.ttf"), font);
}

/** What the page says; the last line is drawn upside down. */
export const pageLines = [
  "Minnow reads this page",
  "Neural networks where the data is",
  "in a browser tab, a phone, a small board",
  "The model is a file of 4 746 kilobytes",
  "Invoice 2026-1125   Total 1 234.50 EUR",
  "Lake Windermere, 25 November",
  "This line stands on its head",
];

/** A page of text, black on paper. */
export function page(): Picture {
  const canvas = createCanvas(800, 560);
  const c = canvas.getContext("2d");
  c.fillStyle = "#f7f4ec";
  c.fillRect(0, 0, 800, 560);
  c.fillStyle = "#1d1d22";
  pageLines.forEach((line, i) => {
    c.font = `${i === 0 ? 38 : 27}px "${font}"`;
    const y = 80 + i * 68;
    if (i < pageLines.length - 1) return c.fillText(line, 60, y);
    c.save();
    c.translate(60 + c.measureText(line).width, y - 18);
    c.rotate(Math.PI);
    c.fillText(line, 0, 0);
    c.restore();
  });
  return pixels(canvas);
}

/** A part of a picture, turned by half a turn where asked. */
export function crop(p: Picture, box: TextBox, turned: boolean): Picture {
  const [w, h] = [
    Math.max(1, Math.round(box.right - box.left)),
    Math.max(1, Math.round(box.bottom - box.top)),
  ];
  const canvas = createCanvas(w, h);
  const c = canvas.getContext("2d");
  if (turned) {
    c.translate(w, h);
    c.rotate(Math.PI);
  }
  c.drawImage(p.canvas, box.left, box.top, box.right - box.left, box.bottom - box.top, 0, 0, w, h);
  return pixels(canvas);
}

export function drawFaces(canvas: Canvas, faces: readonly Face[]): void {
  const c = canvas.getContext("2d");
  const { width, height } = canvas;
  c.lineWidth = Math.max(2, width / 240);
  for (const f of faces) {
    c.strokeStyle = "#ffcf33";
    c.strokeRect(f.left * width, f.top * height, f.width * width, f.height * height);
    c.fillStyle = "#2dd4bf";
    for (const [x, y] of f.points) {
      c.beginPath();
      c.arc(x * width, y * height, c.lineWidth * 1.3, 0, 2 * Math.PI);
      c.fill();
    }
  }
}

/** The person, on transparent ground. @param mask [height, width] of 0…1, any size */
export function cutOut(p: Picture, mask: ArrayLike<number>, maskWidth: number, maskHeight: number): Canvas {
  const canvas = createCanvas(p.width, p.height);
  const c = canvas.getContext("2d");
  const image = c.createImageData(p.width, p.height);
  image.data.set(p.data);
  for (let y = 0; y < p.height; y++) {
    const v = Math.max(0, Math.min(maskHeight - 1.001, ((y + 0.5) * maskHeight) / p.height - 0.5));
    for (let x = 0; x < p.width; x++) {
      const u = Math.max(0, Math.min(maskWidth - 1.001, ((x + 0.5) * maskWidth) / p.width - 0.5));
      image.data[(y * p.width + x) * 4 + 3] = Math.round(255 * bilinear(mask, maskWidth, u, v));
    }
  }
  c.putImageData(image, 0, 0);
  return canvas;
}

function bilinear(m: ArrayLike<number>, width: number, u: number, v: number): number {
  const [x, y] = [Math.floor(u), Math.floor(v)];
  const [fx, fy] = [u - x, v - y];
  const at = (i: number, j: number): number => m[j * width + i] as number;
  const top = at(x, y) * (1 - fx) + at(x + 1, y) * fx;
  const bottom = at(x, y + 1) * (1 - fx) + at(x + 1, y + 1) * fx;
  return top * (1 - fy) + bottom * fy;
}

export function drawBoxes(canvas: Canvas, boxes: readonly TextBox[]): void {
  const c = canvas.getContext("2d");
  c.lineWidth = 2;
  c.strokeStyle = "#0f766e";
  for (const b of boxes) c.strokeRect(b.left, b.top, b.right - b.left, b.bottom - b.top);
}
