// Expand and Tile: elements repeated along axes.
import { broadcast, type Dim, mul } from "../graph/dim.js";
import { along, at } from "../compiler/nest.js";
import {
  type InferContext,
  type Inferred,
  type LowerContext,
  need,
  type OpDef,
  type Reference,
  reject,
} from "./op.js";
import {
  everyAxis,
  intsAttr,
  lengthOf,
  listOf,
  move,
  movedValue,
  numbersOf,
  outShape,
  refInput,
  refMoved,
  refShape,
  remap,
  result,
  shapeOf,
  unknownDim,
} from "./move.js";

/** Output index → index in a tensor that was broadcast. */
const shrink = (shape: readonly (number | string)[], o: readonly number[]): number[] =>
  shape.map((d, i) => (d === 1 ? 0 : (o[i + o.length - shape.length] as number)));

function inferExpand(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const wanted = listOf(c, 1, "shape");
  if (!wanted) {
    const n = lengthOf(c, 1, "shape");
    if (typeof n !== "number") return reject(c, "the rank of its output is not known", "unsupported");
    if (n > 8) reject(c, `rank ${n} is more than 8`, "unsupported");
    const rank = Math.max(n, x.shape.length);
    return [
      result(
        c,
        x.dtype,
        Array.from({ length: rank }, (_, i) => unknownDim(c, `size${i}`)),
      ),
    ];
  }
  if (wanted.some((d) => typeof d === "number" && d < 0)) reject(c, `[${wanted.join(", ")}] is no shape`);
  const shape = broadcast(x.shape, wanted);
  if (!shape) return reject(c, `[${x.shape.join(", ")}] does not broadcast to [${wanted.join(", ")}]`);
  return [
    result(
      c,
      x.dtype,
      shape,
      movedValue(x, shape, (o) => shrink(x.shape, o)),
    ),
  ];
}

function lowerExpand(c: LowerContext): void {
  const out = outShape(c);
  move(c, out, along(shapeOf(c, 0), out.length), everyAxis(out.length));
}

function inferTile(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const repeats = listOf(c, 1, "repeats");
  if (!repeats)
    return [
      result(
        c,
        x.dtype,
        x.shape.map((_, i) => unknownDim(c, `size${i}`)),
      ),
    ];
  if (repeats.length !== x.shape.length) reject(c, `${repeats.length} repeats for rank ${x.shape.length}`);
  if (repeats.some((r) => typeof r === "number" && r < 0)) reject(c, `repeats [${repeats.join(", ")}]`);
  const shape = x.shape.map((d, i) => mul(d, repeats[i] as Dim));
  return [
    result(
      c,
      x.dtype,
      shape,
      movedValue(x, shape, (o) => o.map((v, i) => v % (x.shape[i] as number))),
    ),
  ];
}

/** An axis that repeats is two loops: repetition and element. */
function lowerTile(c: LowerContext): void {
  const shape = shapeOf(c, 0);
  const repeats = numbersOf(c, 1, "repeats", "repeats");
  const loops: number[] = [];
  const index: ReturnType<typeof at>[] = [];
  const out: ReturnType<typeof at>[] = [];
  shape.forEach((d, i) => {
    const r = repeats[i] as number;
    if (r !== 1) loops.push(r);
    const inner = loops.push(d) - 1;
    index.push(at(inner));
    out.push(
      r === 1
        ? at(inner)
        : {
            offset: 0,
            terms: [
              [inner - 1, d || 1],
              [inner, 1],
            ],
          },
    );
  });
  move(c, loops, index, out);
}

export const ops: OpDef[] = [
  {
    name: "Expand",
    inputs: ["x", "shape?"],
    attrs: { shape: intsAttr },
    infer: inferExpand,
    lower: lowerExpand,
  },
  {
    name: "Tile",
    inputs: ["x", "repeats?"],
    attrs: { repeats: intsAttr },
    infer: inferTile,
    lower: lowerTile,
  },
];

export const references: Record<string, Reference> = {
  Expand: (c) => {
    const x = refInput(c, 0);
    return [remap(refMoved(x, c.outputs[0]), x.shape, refShape(c), (o) => shrink(x.shape, o))];
  },
  Tile: (c) => {
    const x = refInput(c, 0);
    return [
      remap(refMoved(x, c.outputs[0]), x.shape, refShape(c), (o) =>
        o.map((v, i) => v % (x.shape[i] as number)),
      ),
    ];
  },
};
