// DetectionPostProcess: the tail of TFLite's SSD detectors: decoding of boxes and non-maximum
// suppression, a host kernel (targets/host/detection.ts). TFLite's own results are its oracle.
import type { Dim } from "../graph/dim.js";
import {
  bool,
  type InferContext,
  type Inferred,
  int,
  type LowerContext,
  need,
  type OpDef,
  type Reference,
  reject,
} from "./op.js";
import { boolAttr, intAttr, refInput, result } from "./move.js";

const float = (value?: number) =>
  value === undefined ? ({ type: "float" } as const) : ({ type: "float", default: value } as const);

function infer(c: InferContext): Inferred[] {
  const [boxes, scores, anchors] = [need(c, 0).shape, need(c, 1).shape, need(c, 2).shape];
  const same = (a: Dim | undefined, b: Dim | undefined): boolean =>
    typeof a !== "number" || typeof b !== "number" || a === b;
  if (boxes.length !== 3 || scores.length !== 3 || anchors.length !== 2)
    reject(c, `ranks ${boxes.length}, ${scores.length} and ${anchors.length}, not 3, 3 and 2`);
  if (!same(boxes[0], 1)) reject(c, `batch ${boxes[0]} is not 1`, "unsupported");
  if (
    !same(boxes[1], scores[1]) ||
    !same(boxes[1], anchors[0]) ||
    !same(anchors[1], 4) ||
    (typeof boxes[2] === "number" && boxes[2] < 4)
  )
    reject(
      c,
      `boxes [${boxes.join(", ")}], scores [${scores.join(", ")}] and anchors [${anchors.join(", ")}] do not fit`,
    );
  const [classes, columns] = [int(c.attrs, "numClasses"), scores[2]];
  if (classes < 1 || (typeof columns === "number" && columns < classes))
    reject(c, `${classes} classes of ${columns} scores`);
  const [most, each, iou] = [
    int(c.attrs, "maxDetections"),
    int(c.attrs, "maxClassesPerDetection"),
    c.attrs.nmsIouThreshold as number,
  ];
  if (most < 0 || each < 1 || int(c.attrs, "detectionsPerClass") < 0)
    reject(c, `maxDetections ${most}, maxClassesPerDetection ${each}`);
  if (!(iou > 0 && iou <= 1)) reject(c, `nmsIouThreshold ${iou} is not in (0, 1]`);
  const n = most * each;
  return [[1, n, 4], [1, n], [1, n], [1]].map((shape) => result(c, "float32", shape));
}

const numbers = [
  "maxDetections",
  "maxClassesPerDetection",
  "detectionsPerClass",
  "nmsScoreThreshold",
  "nmsIouThreshold",
  "numClasses",
  "yScale",
  "xScale",
  "hScale",
  "wScale",
];

function lower(c: LowerContext): void {
  const params: Record<string, number> = { useRegularNms: bool(c.attrs, "useRegularNms") ? 1 : 0 };
  for (const name of numbers) params[name] = c.attrs[name] as number;
  c.opaque(
    "detection_post_process",
    params,
    [0, 1, 2].map((i) => c.input(i)),
    [0, 1, 2, 3].map((i) => c.output(i)),
  );
}

export const ops: OpDef[] = [
  {
    name: "DetectionPostProcess",
    inputs: ["boxes", "scores", "anchors"],
    outputs: 4,
    attrs: {
      maxDetections: { type: "int" },
      maxClassesPerDetection: intAttr(1),
      detectionsPerClass: intAttr(100),
      useRegularNms: boolAttr(false),
      nmsScoreThreshold: float(),
      nmsIouThreshold: float(),
      numClasses: { type: "int" },
      yScale: float(1),
      xScale: float(1),
      hScale: float(1),
      wScale: float(1),
    },
    infer,
    lower,
  },
];

type Box = readonly [ymin: number, xmin: number, ymax: number, xmax: number];
interface Candidate {
  readonly box: Box;
  readonly place: number;
  readonly class: number;
  readonly score: number;
}

function iou(a: Box, b: Box): number {
  const area = ([y, x, v, u]: Box): number => (v - y) * (u - x);
  if (area(a) <= 0 || area(b) <= 0) return 0;
  const h = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const w = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const both = Math.max(h, 0) * Math.max(w, 0);
  return both / (area(a) + area(b) - both);
}

/** Best first, each unless it overlaps one that is kept. Array.sort is stable: ties stay in order. */
function keep(candidates: readonly Candidate[], limit: number, threshold: number): Candidate[] {
  const kept: Candidate[] = [];
  for (const c of [...candidates].sort((a, b) => b.score - a.score))
    if (kept.length < limit && kept.every((k) => iou(k.box, c.box) <= threshold)) kept.push(c);
  return kept;
}

export const references: Record<string, Reference> = {
  DetectionPostProcess: ({ op, attrs, inputs, outputs }) => {
    const c = { op, attrs, inputs, outputs };
    const [encoded, scores, anchors] = [0, 1, 2].map((i) => {
      const t = refInput(c, i);
      const [scale, zero] = [t.quant?.scale[0] ?? 1, t.quant?.zeroPoint[0] ?? 0];
      return { shape: t.shape, data: Array.from(t.data, (q) => (q - zero) * scale) };
    }) as unknown as [Plain, Plain, Plain];
    const n = anchors.shape[0] as number;
    const [columns, classes] = [scores.shape[2] as number, int(attrs, "numClasses")];
    const all = Array.from({ length: n }, (_, place) =>
      Array.from(
        { length: classes },
        (_, k): Candidate => ({
          box: decode(encoded, anchors, attrs, place),
          place,
          class: k,
          score: scores.data[place * columns + columns - classes + k] as number,
        }),
      ),
    );
    const [most, each] = [
      int(attrs, "maxDetections"),
      Math.min(int(attrs, "maxClassesPerDetection"), classes),
    ];
    const [threshold, overlap] = [attrs.nmsScoreThreshold as number, attrs.nmsIouThreshold as number];
    const good = (list: readonly Candidate[]): Candidate[] => list.filter((d) => d.score >= threshold);
    let found: Candidate[] = [];
    let count = 0;
    if (bool(attrs, "useRegularNms")) {
      const limit = Math.min(int(attrs, "detectionsPerClass"), most);
      for (let k = 0; k < classes; k++)
        found.push(...keep(good(all.map((row) => row[k] as Candidate)), limit, overlap));
      found = found.sort((a, b) => b.score - a.score).slice(0, most);
      count = found.length;
    } else {
      const sorted = all.map((row) => row.sort((a, b) => b.score - a.score));
      const kept = keep(good(sorted.map((row) => row[0] as Candidate)), most, overlap);
      found = kept.flatMap((d) => (sorted[d.place] as Candidate[]).slice(0, each));
      count = kept.length;
    }
    const size = (o: number): number => outputs[o]?.shape[1] as number;
    const padded = (list: number[], length: number): number[] =>
      Array.from({ length }, (_, i) => list[i] ?? 0);
    return [
      padded(
        found.flatMap((d) => [...d.box]),
        4 * size(0),
      ),
      padded(
        found.map((d) => d.class),
        size(1),
      ),
      padded(
        found.map((d) => d.score),
        size(2),
      ),
      [count],
    ];
  },
};

interface Plain {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

function decode(encoded: Plain, anchors: Plain, attrs: InferContext["attrs"], i: number): Box {
  const e = (k: number, scale: string): number =>
    (encoded.data[i * (encoded.shape[2] as number) + k] as number) / (attrs[scale] as number);
  const [ay, ax, ah, aw] = anchors.data.slice(4 * i, 4 * i + 4) as [number, number, number, number];
  const [y, x] = [e(0, "yScale") * ah + ay, e(1, "xScale") * aw + ax];
  const [h, w] = [0.5 * Math.exp(e(2, "hScale")) * ah, 0.5 * Math.exp(e(3, "wScale")) * aw];
  return [y - h, x - w, y + h, x + w];
}
