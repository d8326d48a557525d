// BlazeFace short range (Bazarevsky et al., 2019): 896 anchors → faces. Shared by Node and the page.
import type { Model } from "minnow/run";
import { fromPixels, type PixelSource } from "minnow/image";

export interface Face {
  /** In the picture, 0…1. */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Right eye, left eye, nose, mouth, right ear, left ear. */
  readonly points: readonly (readonly [number, number])[];
  readonly score: number;
}

/** Where the letterboxed picture lies in the network's input: pixel = (input − offset) / scale. */
export interface Letterbox {
  readonly scaleX: number;
  readonly scaleY: number;
  readonly offsetX: number;
  readonly offsetY: number;
}

export const faceInput = 128;

/** Anchor centres, 0…1: two a cell of the 16×16 grid, six a cell of the 8×8 grid. */
export function anchors(): [number, number][] {
  const out: [number, number][] = [];
  for (const [cells, each] of [
    [16, 2],
    [8, 6],
  ] as const)
    for (let y = 0; y < cells; y++)
      for (let x = 0; x < cells; x++)
        for (let i = 0; i < each; i++) out.push([(x + 0.5) / cells, (y + 0.5) / cells]);
  return out;
}

const grid = anchors();

/**
 * @param boxes [896, 16]: centre x, y, width, height, six points, in pixels of the 128×128 input
 * @param logits [896]
 * @param picture width and height in pixels
 */
export function decodeFaces(
  boxes: ArrayLike<number>,
  logits: ArrayLike<number>,
  box: Letterbox,
  picture: { width: number; height: number },
  least = 0.7,
): Face[] {
  const found: Face[] = [];
  const x = (v: number): number => (v * faceInput - box.offsetX) / box.scaleX / picture.width;
  const y = (v: number): number => (v * faceInput - box.offsetY) / box.scaleY / picture.height;
  for (let i = 0; i < grid.length; i++) {
    const score = 1 / (1 + Math.exp(-Math.max(-100, Math.min(100, logits[i] as number))));
    if (score < least) continue;
    const [ax, ay] = grid[i] as [number, number];
    const at = (j: number): number => (boxes[i * 16 + j] as number) / faceInput;
    const [cx, cy, w, h] = [at(0) + ax, at(1) + ay, at(2), at(3)];
    const points = Array.from(
      { length: 6 },
      (_, k) => [x(at(4 + 2 * k) + ax), y(at(5 + 2 * k) + ay)] as const,
    );
    const [left, top] = [x(cx - w / 2), y(cy - h / 2)];
    found.push({ left, top, width: x(cx + w / 2) - left, height: y(cy + h / 2) - top, points, score });
  }
  return found;
}

/**
 * What to look at: the whole picture, and square parts that overlap by half, because the network only
 * knows faces that are large in its view.
 */
export function views(
  width: number,
  height: number,
): { x: number; y: number; width: number; height: number }[] {
  const out = [{ x: 0, y: 0, width, height }];
  for (const part of [0.85, 0.5]) {
    const size = Math.round(Math.min(width, height) * part);
    const [nx, ny] = [width, height].map((n) => Math.ceil((n - size) / (size / 2)) + 1) as [number, number];
    for (let j = 0; j < ny; j++)
      for (let i = 0; i < nx; i++) {
        const at = (k: number, n: number, total: number): number =>
          n > 1 ? Math.round((k * (total - size)) / (n - 1)) : 0;
        out.push({ x: at(i, nx, width), y: at(j, ny, height), width: size, height: size });
      }
  }
  return out;
}

/** Runs the network over all views of a picture. */
export async function findFaces(
  model: Model,
  picture: PixelSource & { width: number; height: number },
): Promise<Face[]> {
  const found: Face[] = [];
  const input = model.inputs[0]?.name as string;
  for (const crop of views(picture.width, picture.height)) {
    const view = fromPixels(picture, {
      width: faceInput,
      height: faceInput,
      fit: "contain",
      filter: "area",
      range: [-1, 1],
      crop,
    });
    const out = await model.run({ [input]: view });
    const [boxes, scores] = model.outputs.map((o) => out[o.name]?.data as Float32Array);
    found.push(...decodeFaces(boxes as Float32Array, scores as Float32Array, view, picture));
  }
  return blend(found);
}

/** Weighted non-maximum suppression: overlapping detections are averaged by score. */
function blend(faces: Face[]): Face[] {
  const rest = [...faces].sort((a, b) => b.score - a.score);
  const out: Face[] = [];
  for (let best = rest.shift(); best; best = rest.shift()) {
    const first = best;
    const group = [first, ...rest.filter((f) => overlap(first, f) > 0.3)];
    for (const f of group.slice(1)) rest.splice(rest.indexOf(f), 1);
    const total = group.reduce((s, f) => s + f.score, 0);
    const mean = (get: (f: Face) => number): number =>
      group.reduce((s, f) => s + get(f) * f.score, 0) / total;
    out.push({
      left: mean((f) => f.left),
      top: mean((f) => f.top),
      width: mean((f) => f.width),
      height: mean((f) => f.height),
      points: first.points.map(
        (_, k) => [mean((f) => f.points[k]?.[0] ?? 0), mean((f) => f.points[k]?.[1] ?? 0)] as const,
      ),
      score: first.score,
    });
  }
  return out;
}

function overlap(a: Face, b: Face): number {
  const w = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const h = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  const both = Math.max(0, w) * Math.max(0, h);
  return both / (a.width * a.height + b.width * b.height - both);
}
