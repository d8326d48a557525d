// TFLite's TFLite_Detection_PostProcess (SSD): boxes decoded against anchors, then non-maximum
// suppression, either over each box's best classes ("fast") or class by class ("regular"). Follows
// TFLite's results step by step, float32 rounding and order of equal scores included.
import { ModelError } from "../../error.js";
import { type HostKernel, type HostTensor, tensor } from "./kernel.js";

const f = Math.fround;

/** [ymin, xmin, ymax, xmax] a box. */
type Boxes = Float32Array;

export interface DetectionOptions {
  readonly maxDetections: number;
  readonly maxClassesPerDetection: number;
  readonly detectionsPerClass: number;
  readonly useRegularNms: boolean;
  readonly nmsScoreThreshold: number;
  readonly nmsIouThreshold: number;
  readonly numClasses: number;
  readonly yScale: number;
  readonly xScale: number;
  readonly hScale: number;
  readonly wScale: number;
}

/** Elements as float32, dequantised where they are quantised. */
function real(t: HostTensor): Float32Array {
  if (t.data instanceof Float32Array) return t.data;
  const scale = f(t.quant?.scale[0] ?? 1);
  const zero = t.quant?.zeroPoint[0] ?? 0;
  return Float32Array.from(t.data as Uint8Array, (q) => f((q - zero) * scale));
}

/**
 * params: DetectionOptions, useRegularNms as 0 or 1.
 * inputs: boxes [1, B, ≥4] (y, x, h, w), scores [1, B, classes, background first if any], anchors [B, 4].
 * outputs: boxes [1, D, 4], classes [1, D], scores [1, D], count [1]; unused places are 0.
 */
export const detectionPostProcess: HostKernel = (params, inputs, outputs) => {
  const o = { ...params, useRegularNms: params.useRegularNms === 1 } as unknown as DetectionOptions;
  const encoded = tensor(inputs, 0);
  const scores = tensor(inputs, 1);
  const columns = scores.shape[2] as number;
  const boxes = decode(real(encoded), encoded.shape[2] as number, real(tensor(inputs, 2)), o);
  const table = { scores: real(scores), boxes: boxes.length / 4, columns, offset: columns - o.numClasses };
  const [outBoxes, outClasses, outScores, outCount] = [0, 1, 2, 3].map(
    (i) => tensor(outputs, i).data as Float32Array,
  );
  if (!outBoxes || !outClasses || !outScores || !outCount)
    throw new ModelError("internal", "detection lacks an output");
  for (const a of [outBoxes, outClasses, outScores]) a.fill(0);
  const found = o.useRegularNms ? regular(boxes, table, o) : fast(boxes, table, o);
  found.list.forEach((d, i) => {
    outBoxes.set(boxes.subarray(4 * d.box, 4 * d.box + 4), 4 * i);
    outClasses[i] = d.class;
    outScores[i] = d.score;
  });
  outCount[0] = found.count;
};

interface Scores {
  readonly scores: Float32Array;
  readonly boxes: number;
  /** Classes with background. */
  readonly columns: number;
  /** 1 where column 0 is the background. */
  readonly offset: number;
}

interface Detection {
  readonly box: number;
  readonly class: number;
  readonly score: number;
}

interface Found {
  readonly list: readonly Detection[];
  readonly count: number;
}

/** Centre and size relative to the anchor → corners. */
function decode(encoded: Float32Array, stride: number, anchors: Float32Array, o: DetectionOptions): Boxes {
  const n = anchors.length / 4;
  const out = new Float32Array(4 * n);
  const [ys, xs, hs, ws] = [o.yScale, o.xScale, o.hScale, o.wScale].map(f) as [
    number,
    number,
    number,
    number,
  ];
  for (let i = 0; i < n; i++) {
    const e = (k: number): number => encoded[i * stride + k] as number;
    const a = (k: number): number => anchors[4 * i + k] as number;
    const y = f(f(f(e(0) / ys) * a(2)) + a(0));
    const x = f(f(f(e(1) / xs) * a(3)) + a(1));
    const h = f(f(0.5 * f(Math.exp(f(e(2) / hs)))) * a(2));
    const w = f(f(0.5 * f(Math.exp(f(e(3) / ws)))) * a(3));
    out.set([y - h, x - w, y + h, x + w], 4 * i);
  }
  return out;
}

/** Intersection over union, 0 for degenerate boxes. */
function overlap(b: Boxes, i: number, j: number): number {
  const at = (k: number, c: number): number => b[4 * k + c] as number;
  const area = (k: number): number => f(f(at(k, 2) - at(k, 0)) * f(at(k, 3) - at(k, 1)));
  const [p, q] = [area(i), area(j)];
  if (p <= 0 || q <= 0) return 0;
  const height = Math.max(f(Math.min(at(i, 2), at(j, 2)) - Math.max(at(i, 0), at(j, 0))), 0);
  const width = Math.max(f(Math.min(at(i, 3), at(j, 3)) - Math.max(at(i, 1), at(j, 1))), 0);
  const both = f(height * width);
  return f(both / f(f(p + q) - both));
}

/** Positions 0…n−1 by falling value; equal values in order. */
const descending = (values: ArrayLike<number>, n: number): number[] =>
  Array.from({ length: n }, (_, i) => i).sort((a, b) => {
    const [x, y] = [values[a] as number, values[b] as number];
    return x === y ? a - b : y - x;
  });

/** Greedy suppression of one class: boxes kept, best first, at most `limit`. */
function suppress(boxes: Boxes, scores: Float32Array, limit: number, o: DetectionOptions): number[] {
  const threshold = f(o.nmsScoreThreshold);
  const candidates: number[] = [];
  for (let i = 0; i < scores.length; i++) if ((scores[i] as number) >= threshold) candidates.push(i);
  const order = descending(
    candidates.map((i) => scores[i] as number),
    candidates.length,
  ).map((i) => candidates[i] as number);
  const iou = f(o.nmsIouThreshold);
  const dropped = new Uint8Array(order.length);
  const selected: number[] = [];
  for (let i = 0; i < order.length && selected.length < limit; i++) {
    if (dropped[i]) continue;
    selected.push(order[i] as number);
    for (let j = i + 1; j < order.length; j++)
      if (!dropped[j] && overlap(boxes, order[i] as number, order[j] as number) > iou) dropped[j] = 1;
  }
  return selected;
}

/** Suppression by each box's best score; every box that stays reports its best classes. */
function fast(boxes: Boxes, t: Scores, o: DetectionOptions): Found {
  const per = Math.min(o.maxClassesPerDetection, o.numClasses);
  const row = (box: number): Float32Array => {
    const at = box * t.columns + t.offset;
    return t.scores.subarray(at, at + o.numClasses);
  };
  const best = new Float32Array(t.boxes).fill(Number.NEGATIVE_INFINITY);
  for (let i = 0; i < t.boxes; i++) {
    const at = i * t.columns + t.offset;
    for (let c = 0; c < o.numClasses; c++) best[i] = Math.max(best[i] as number, t.scores[at + c] as number);
  }
  const selected = suppress(boxes, best, o.maxDetections, o);
  const list = selected.flatMap((box) => {
    const scores = row(box);
    return descending(scores, o.numClasses)
      .slice(0, per)
      .map((c): Detection => ({ box, class: c, score: scores[c] as number }));
  });
  return { list, count: selected.length };
}

/** Suppression class by class; the best of all classes stay. */
function regular(boxes: Boxes, t: Scores, o: DetectionOptions): Found {
  const limit = Math.min(o.detectionsPerClass, o.maxDetections);
  let kept: Detection[] = [];
  for (let c = 0; c < o.numClasses; c++) {
    const scores = Float32Array.from(
      { length: t.boxes },
      (_, i) => t.scores[i * t.columns + t.offset + c] as number,
    );
    const added = suppress(boxes, scores, limit, o).map(
      (box): Detection => ({ box, class: c, score: scores[box] as number }),
    );
    const all = [...kept, ...added];
    const order = descending(
      all.map((d) => d.score),
      all.length,
    );
    kept = order.slice(0, o.maxDetections).map((i) => all[i] as Detection);
  }
  return { list: kept, count: kept.length };
}
