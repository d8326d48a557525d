// Reshape, Flatten, Squeeze, Unsqueeze: the same elements under another shape; nothing is copied.
import { type Dim, floorDiv, isConcrete, product, type Shape } from "../graph/dim.js";
import {
  bool,
  type InferContext,
  type Inferred,
  int,
  need,
  type OpDef,
  type Reference,
  reject,
} from "./op.js";
import {
  axesOf,
  boolAttr,
  intAttr,
  intsAttr,
  lengthOf,
  listOf,
  numbersOf,
  refInput,
  result,
  unknownDim,
} from "./move.js";

/** a / b for shapes: equal dims cancel, so that [N, 12, S, 64] / [N, S] is 768. */
export function quotient(a: Shape, b: Shape): Dim {
  const over = [...b];
  const rest = a.filter((d) => {
    const i = typeof d === "string" ? over.indexOf(d) : -1;
    if (i >= 0) over.splice(i, 1);
    return i < 0;
  });
  const divisor = product(over);
  return divisor === 0 ? 0 : floorDiv(product(rest), divisor);
}

function reshape(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const wanted = listOf(c, 1, "shape");
  if (!wanted) {
    const rank = lengthOf(c, 1, "shape");
    if (typeof rank !== "number") return reject(c, "the rank of its output is not known", "unsupported");
    if (rank > 8) reject(c, `rank ${rank} is more than 8`, "unsupported");
    return [
      result(
        c,
        x.dtype,
        Array.from({ length: rank }, (_, i) => unknownDim(c, `size${i}`)),
        x.value,
      ),
    ];
  }
  const shape = wanted.map((d, i) => {
    if (d !== 0 || bool(c.attrs, "allowZero")) return d;
    return x.shape[i] ?? reject(c, `size ${i} copies an axis that [${x.shape.join(", ")}] lacks`);
  });
  const free = shape.indexOf(-1);
  if (shape.some((d, i) => typeof d === "number" && d < 0 && (d !== -1 || i !== free)))
    reject(c, `[${wanted.join(", ")}] is no shape`);
  if (free >= 0)
    shape[free] = quotient(
      x.shape,
      shape.filter((_, i) => i !== free),
    );
  const [from, to] = [product(x.shape), product(shape)];
  if (typeof from === "number" && typeof to === "number" && from !== to)
    reject(c, `[${x.shape.join(", ")}] has ${from} elements, [${wanted.join(", ")}] wants another number`);
  return [result(c, x.dtype, shape, x.value)];
}

function flatten(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const axis = int(c.attrs, "axis");
  const at = axis < 0 ? axis + x.shape.length : axis;
  if (at < 0 || at > x.shape.length) reject(c, `axis ${axis} is outside rank ${x.shape.length}`);
  return [result(c, x.dtype, [product(x.shape.slice(0, at)), product(x.shape.slice(at))], x.value)];
}

function squeeze(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const rank = x.shape.length;
  const axes = axesOf(c, numbersOf(c, 1, "axes", "axes"), rank);
  for (const a of axes)
    if (typeof x.shape[a] === "number" && x.shape[a] !== 1)
      reject(c, `axis ${a} of [${x.shape.join(", ")}] is not 1`);
  if (axes.length === 0 && !isConcrete(x.shape)) {
    // Without axes every 1 goes; a symbol is taken to be more than 1.
    return [
      result(
        c,
        x.dtype,
        x.shape.filter((d) => d !== 1),
        x.value,
      ),
    ];
  }
  const drop = axes.length ? new Set(axes) : new Set(x.shape.flatMap((d, i) => (d === 1 ? [i] : [])));
  return [
    result(
      c,
      x.dtype,
      x.shape.filter((_, i) => !drop.has(i)),
      x.value,
    ),
  ];
}

function unsqueeze(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const axes = numbersOf(c, 1, "axes", "axes");
  const rank = x.shape.length + axes.length;
  if (rank > 8) reject(c, `rank ${rank} is more than 8`, "unsupported");
  const ones = new Set(axesOf(c, axes, rank));
  const rest = [...x.shape];
  const shape = Array.from({ length: rank }, (_, i): Dim => (ones.has(i) ? 1 : (rest.shift() as Dim)));
  return [result(c, x.dtype, shape, x.value)];
}

export const ops: OpDef[] = [
  {
    name: "Reshape",
    inputs: ["x", "shape?"],
    attrs: { shape: intsAttr, allowZero: boolAttr(false) },
    infer: reshape,
    alias: true,
  },
  { name: "Flatten", inputs: ["x"], attrs: { axis: intAttr(1) }, infer: flatten, alias: true },
  { name: "Squeeze", inputs: ["x", "axes?"], attrs: { axes: intsAttr }, infer: squeeze, alias: true },
  { name: "Unsqueeze", inputs: ["x", "axes?"], attrs: { axes: intsAttr }, infer: unsqueeze, alias: true },
];

const same: Reference = (c) => [Array.from(refInput(c, 0).data)];

export const references: Record<string, Reference> = {
  Reshape: same,
  Flatten: same,
  Squeeze: same,
  Unsqueeze: same,
};
