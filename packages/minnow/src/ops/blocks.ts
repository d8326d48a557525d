// SpaceToDepth, DepthToSpace, SpaceToBatch, BatchToSpace: blocks of pixels become channels or batch
// entries, and back. All are one nest whose spatial loops are split in block and place in the block.
import { add, count, type Dim, floorDiv, mul } from "../graph/dim.js";
import * as e from "../compiler/expr.js";
import { type AxisIndex, at, scalarOf } from "../compiler/nest.js";
import {
  type InferContext,
  type Inferred,
  int,
  type LowerContext,
  need,
  type OpDef,
  type Reference,
  reject,
  str,
} from "./op.js";
import {
  everyAxis,
  intsAttr,
  lengthOf,
  listOf,
  move,
  moved,
  numbersOf,
  outShape,
  refInput,
  refList,
  refMoved,
  refShape,
  remap,
  result,
  shapeOf,
  unknownDim,
  unknownList,
} from "./move.js";

const terms = (...t: [number, number][]): AxisIndex => ({ offset: 0, terms: t });

/** a / n, which must come out even. */
function divide(c: InferContext, a: Dim, n: number, what: string): Dim {
  if (typeof a === "number" && a % n !== 0) reject(c, `${what} ${a} is no multiple of ${n}`);
  return floorDiv(a, n);
}

function checkImage(c: InferContext): { n: Dim; h: Dim; w: Dim; d: Dim; b: number } {
  const { shape } = need(c, 0);
  const b = int(c.attrs, "block");
  if (shape.length !== 4) reject(c, `input has rank ${shape.length}, not 4 (NHWC)`);
  if (b < 1) reject(c, `block ${b}`);
  if (str(c.attrs, "mode") !== "DCR" && str(c.attrs, "mode") !== "CRD")
    reject(c, `mode ${str(c.attrs, "mode")}`, "unsupported");
  const [n, h, w, d] = shape as [Dim, Dim, Dim, Dim];
  return { n, h, w, d, b };
}

function inferToDepth(c: InferContext): Inferred[] {
  const { n, h, w, d, b } = checkImage(c);
  return [
    result(c, need(c, 0).dtype, [n, divide(c, h, b, "height"), divide(c, w, b, "width"), mul(d, b * b)]),
  ];
}

function inferToSpace(c: InferContext): Inferred[] {
  const { n, h, w, d, b } = checkImage(c);
  return [result(c, need(c, 0).dtype, [n, mul(h, b), mul(w, b), divide(c, d, b * b, "channels")])];
}

/** Loops [n, y, dy, x, dx, channel]; `deep` is the small image with many channels. */
function image(c: LowerContext, deepShape: readonly number[], toDepth: boolean): void {
  const b = int(c.attrs, "block");
  const [n, h, w, all] = deepShape as [number, number, number, number];
  const channels = all / (b * b);
  const crd = str(c.attrs, "mode") === "CRD";
  const wide = [at(0), terms([1, b], [2, 1]), terms([3, b], [4, 1]), at(5)];
  const channel = crd ? terms([5, b * b], [2, b], [4, 1]) : terms([2, b * channels], [4, channels], [5, 1]);
  const deep = [at(0), at(1), at(3), all === 0 ? at(5) : channel];
  move(c, [n, h, b, w, b, channels], toDepth ? wide : deep, toDepth ? deep : wide);
}

const lowerToDepth = (c: LowerContext): void => image(c, outShape(c), true);
const lowerToSpace = (c: LowerContext): void => image(c, shapeOf(c, 0), false);

/** Block sizes of the spatial axes 1…m. */
function blocksOf(
  c: Pick<InferContext, "op" | "name" | "attrs" | "inputs">,
  rank: number,
): readonly number[] {
  const blocks = numbersOf(c, 1, "blocks", "blocks");
  if (blocks.length + 1 > rank || blocks.some((b) => !Number.isInteger(b) || b < 1))
    reject(c, `blocks [${blocks.join(", ")}] do not fit rank ${rank}`);
  return blocks;
}

/** Pads or crops, [before, after] a spatial axis, in one list. */
function edgesOf(
  c: Pick<InferContext, "op" | "name" | "attrs" | "inputs">,
  m: number,
): readonly Dim[] | undefined {
  const attr = c.op === "SpaceToBatch" ? "pads" : "crops";
  const list = listOf(c, 2, attr);
  if (list && list.length !== 2 * m && (list.length > 0 || c.inputs[2]))
    reject(c, `${list.length} ${attr} for ${m} axes`);
  if (!list && lengthOf(c, 2, attr) !== 2 * m) reject(c, `${attr} do not fit ${m} axes`);
  if (list?.some((p) => typeof p === "number" && p < 0)) reject(c, `${attr} [${list.join(", ")}]`);
  return list?.length === 0 ? Array.from({ length: 2 * m }, () => 0) : list;
}

function inferToBatch(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const blocks = blocksOf(c, x.shape.length);
  const pads = edgesOf(c, blocks.length);
  const shape = x.shape.map((d, i) => {
    const b = blocks[i - 1];
    if (i === 0) return mul(d, count(blocks));
    if (b === undefined) return d;
    if (!pads) return unknownDim(c, `size${i}`);
    return divide(c, add(d, add(pads[2 * i - 2] as Dim, pads[2 * i - 1] as Dim)), b, `padded axis ${i}`);
  });
  return [result(c, x.dtype, shape)];
}

/**
 * Loops [n, o1, d1, …, om, dm, rest…], where padded place = o·b + d. The batch entry of output or
 * input (the one in blocks) is (d1, …, dm, n), row-major.
 */
function blockIndex(
  blocks: readonly number[],
  batch: number,
  rank: number,
): { batch: AxisIndex; blocked: AxisIndex[]; rest: AxisIndex[] } {
  const m = blocks.length;
  const entry: [number, number][] = [[0, 1]];
  let step = batch;
  for (let i = m - 1; i >= 0; i--) {
    if (step > 0) entry.push([2 * i + 2, step]);
    step *= blocks[i] as number;
  }
  return {
    batch: terms(...entry),
    blocked: blocks.map((_, i) => at(2 * i + 1)),
    rest: Array.from({ length: rank - 1 - m }, (_, i) => at(2 * m + 1 + i)),
  };
}

function lowerToBatch(c: LowerContext): void {
  const [x, y] = [shapeOf(c, 0), outShape(c)];
  const blocks = blocksOf(c, x.length);
  const pads = edgesOf(c, blocks.length) as readonly number[] | undefined;
  if (!pads) unknownList(c, "pads");
  const n = x[0] as number;
  const loops = [n, ...blocks.flatMap((b, i) => [y[i + 1] as number, b]), ...x.slice(blocks.length + 1)];
  const { batch, blocked, rest } = blockIndex(blocks, n, x.length);
  const wide = blocks.map((b, i): AxisIndex => {
    const before = pads[2 * i] as number;
    const inside = before === 0 && pads[2 * i + 1] === 0;
    return {
      offset: -before,
      terms: [
        [2 * i + 1, b],
        [2 * i + 2, 1],
      ],
      ...(!inside && { guard: true }),
    };
  });
  if (count(loops) === 0) return;
  const fill = c.inputs[0]?.quant?.zeroPoint[0] ?? 0;
  c.nest({
    loops,
    reduce: [],
    operands: [{ value: c.input(0), index: [at(0), ...wide, ...rest], fill }],
    result: moved(c, 0),
    out: { value: c.output(0), index: [batch, ...blocked, ...rest] },
  });
}

function inferToBatchSpace(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const blocks = blocksOf(c, x.shape.length);
  const crops = edgesOf(c, blocks.length);
  const shape = x.shape.map((d, i) => {
    const b = blocks[i - 1];
    if (i === 0) return divide(c, d, count(blocks), "batch");
    if (b === undefined) return d;
    if (!crops) return unknownDim(c, `size${i}`);
    const size = add(mul(d, b), mul(add(crops[2 * i - 2] as Dim, crops[2 * i - 1] as Dim), -1));
    if (typeof size === "number" && size < 0) reject(c, `axis ${i} would have ${size} elements`);
    return size;
  });
  return [result(c, x.dtype, shape)];
}

/** Without crops one nest; with crops the whole goes to scratch first. */
function lowerBatchToSpace(c: LowerContext): void {
  const [x, y] = [shapeOf(c, 0), outShape(c)];
  const blocks = blocksOf(c, x.length);
  const crops = edgesOf(c, blocks.length) as readonly number[] | undefined;
  const t = c.outputs[0];
  if (!crops || !t) unknownList(c, "crops");
  const n = y[0] as number;
  if (count(y) === 0) return;
  const loops = [n, ...blocks.flatMap((b, i) => [x[i + 1] as number, b]), ...x.slice(blocks.length + 1)];
  const { batch, blocked, rest } = blockIndex(blocks, n, x.length);
  const cropped = crops.some((v) => v !== 0);
  const whole = [n, ...blocks.map((b, i) => b * (x[i + 1] as number)), ...x.slice(blocks.length + 1)];
  const target = cropped ? c.temp(t.dtype, whole) : c.output(0);
  const wide = blocks.map((b, i) => terms([2 * i + 1, b], [2 * i + 2, 1]));
  c.nest({
    loops,
    reduce: [],
    operands: [{ value: c.input(0), index: [batch, ...blocked, ...rest] }],
    result: moved(c, 0),
    out: { value: target, index: [at(0), ...wide, ...rest] },
  });
  if (!cropped) return;
  c.kernel(
    "slice",
    { axis: 1 },
    {
      loops: y,
      reduce: [],
      operands: [
        {
          value: target,
          index: y.map((_, i) => at(i, 1, i > 0 && i <= blocks.length ? (crops[2 * i - 2] as number) : 0)),
        },
      ],
      result: e.input(0, scalarOf(t.dtype)),
      out: { value: c.output(0), index: everyAxis(y.length) },
    },
  );
}

const block = { block: { type: "int" }, mode: { type: "string", default: "DCR" } } as const;

export const ops: OpDef[] = [
  { name: "SpaceToDepth", inputs: ["x"], attrs: block, infer: inferToDepth, lower: lowerToDepth },
  { name: "DepthToSpace", inputs: ["x"], attrs: block, infer: inferToSpace, lower: lowerToSpace },
  {
    name: "SpaceToBatch",
    inputs: ["x", "blocks?", "pads?"],
    attrs: { blocks: intsAttr, pads: intsAttr },
    infer: inferToBatch,
    lower: lowerToBatch,
  },
  {
    name: "BatchToSpace",
    inputs: ["x", "blocks?", "crops?"],
    attrs: { blocks: intsAttr, crops: intsAttr },
    infer: inferToBatchSpace,
    lower: lowerBatchToSpace,
  },
];

/** Channel of place (dy, dx) and channel k in the deep image. */
const deepChannel = (mode: string, b: number, channels: number, dy: number, dx: number, k: number): number =>
  mode === "CRD" ? (k * b + dy) * b + dx : (dy * b + dx) * channels + k;

/** Scatters x into a fresh output: `target` gives the output index of an input index, or null. */
function scatter(
  c: Parameters<Reference>[0],
  target: (o: readonly number[]) => readonly number[] | null,
): number[] {
  const x = refInput(c, 0);
  const y = refShape(c);
  const data = refMoved(x, c.outputs[0]);
  const out = new Array<number>(count(y)).fill(c.outputs[0]?.quant?.zeroPoint[0] ?? 0);
  const places = remap(
    Array.from({ length: count(x.shape) }, (_, i) => i),
    x.shape,
    x.shape,
    (o) => o,
  );
  const inverse = (i: number): number[] =>
    x.shape.map((d, k) => Math.floor(i / count(x.shape.slice(k + 1))) % d);
  for (const i of places) {
    const to = target(inverse(i));
    if (to) out[to.reduce((p, v, k) => p * (y[k] as number) + v, 0)] = data[i] as number;
  }
  return out;
}

export const references: Record<string, Reference> = {
  SpaceToDepth: (c) => {
    const b = int(c.attrs, "block");
    const channels = refInput(c, 0).shape[3] as number;
    return [
      scatter(c, ([n, y, x, k]: readonly number[]) => {
        const [row, column] = [y as number, x as number];
        const deep = deepChannel(str(c.attrs, "mode"), b, channels, row % b, column % b, k as number);
        return [n as number, Math.floor(row / b), Math.floor(column / b), deep];
      }),
    ];
  },
  DepthToSpace: (c) => {
    const b = int(c.attrs, "block");
    const x = refInput(c, 0);
    const channels = refShape(c)[3] as number;
    const source = ([n, row, column, k]: readonly number[]): number[] => {
      const [y, z] = [row as number, column as number];
      const deep = deepChannel(str(c.attrs, "mode"), b, channels, y % b, z % b, k as number);
      return [n as number, Math.floor(y / b), Math.floor(z / b), deep];
    };
    return [remap(refMoved(x, c.outputs[0]), x.shape, refShape(c), source)];
  },
  SpaceToBatch: (c) => {
    const blocks = refList(c, 1, "blocks");
    const pads = refList(c, 2, "pads");
    const n = refInput(c, 0).shape[0] as number;
    return [
      scatter(c, (s) => {
        const padded = blocks.map((_, i) => (s[i + 1] as number) + (pads[2 * i] ?? 0));
        const entry = blocks.reduce((p, b, i) => p * b + ((padded[i] as number) % b), 0);
        const places = blocks.map((b, i) => Math.floor((padded[i] as number) / b));
        return [entry * n + (s[0] as number), ...places, ...s.slice(blocks.length + 1)];
      }),
    ];
  },
  BatchToSpace: (c) => {
    const blocks = refList(c, 1, "blocks");
    const crops = refList(c, 2, "crops");
    const x = refInput(c, 0);
    const n = refShape(c)[0] as number;
    const source = (o: readonly number[]): number[] => {
      const whole = blocks.map((_, i) => (o[i + 1] as number) + (crops[2 * i] ?? 0));
      const entry = blocks.reduce((p, b, i) => p * b + ((whole[i] as number) % b), 0);
      const places = blocks.map((b, i) => Math.floor((whole[i] as number) / b));
      return [entry * n + (o[0] as number), ...places, ...o.slice(blocks.length + 1)];
    };
    return [remap(refMoved(x, c.outputs[0]), x.shape, refShape(c), source)];
  },
};
