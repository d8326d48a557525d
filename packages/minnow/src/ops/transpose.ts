// Transpose and Reverse: the same elements in another order of axes, or walked backwards.
import { at } from "../compiler/nest.js";
import {
  type InferContext,
  type Inferred,
  type LowerContext,
  ints,
  need,
  type OpDef,
  type Reference,
  reject,
} from "./op.js";
import {
  axesOf,
  everyAxis,
  intsAttr,
  move,
  movedValue,
  numbersOf,
  outShape,
  refInput,
  refList,
  refMoved,
  refShape,
  remap,
  result,
  shapeOf,
} from "./move.js";

/** Output axis i is input axis perm[i]; default: reversed. */
function permOf(c: { op: string; name: string; attrs: InferContext["attrs"] }, rank: number): number[] {
  const perm = ints(c.attrs, "perm");
  if (perm.length === 0) return Array.from({ length: rank }, (_, i) => rank - 1 - i);
  if (perm.length !== rank) reject(c, `perm [${perm.join(", ")}] does not fit rank ${rank}`);
  return axesOf(c, perm, rank);
}

/** Where the element of an output index comes from. */
const unpermute =
  (perm: readonly number[]) =>
  (o: readonly number[]): number[] => {
    const s: number[] = [];
    perm.forEach((p, i) => {
      s[p] = o[i] as number;
    });
    return s;
  };

function inferTranspose(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const perm = permOf(c, x.shape.length);
  const shape = perm.map((p) => x.shape[p] as number | string);
  return [result(c, x.dtype, shape, movedValue(x, shape, unpermute(perm)))];
}

function lowerTranspose(c: LowerContext): void {
  const perm = permOf(c, shapeOf(c, 0).length);
  const index = perm.map((_, axis) => at(perm.indexOf(axis)));
  move(c, outShape(c), index, everyAxis(perm.length));
}

function inferReverse(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const axes = axesOf(c, numbersOf(c, 1, "axes", "axes"), x.shape.length);
  const flip = (o: readonly number[]) =>
    o.map((v, i) => (axes.includes(i) ? (x.shape[i] as number) - 1 - v : v));
  return [result(c, x.dtype, x.shape, movedValue(x, x.shape, flip))];
}

function lowerReverse(c: LowerContext): void {
  const shape = shapeOf(c, 0);
  const axes = axesOf(c, numbersOf(c, 1, "axes", "axes"), shape.length);
  const index = shape.map((d, i) => (axes.includes(i) ? at(i, -1, d - 1) : at(i)));
  move(c, shape, index, everyAxis(shape.length));
}

export const ops: OpDef[] = [
  {
    name: "Transpose",
    inputs: ["x"],
    attrs: { perm: intsAttr },
    infer: inferTranspose,
    lower: lowerTranspose,
  },
  {
    name: "Reverse",
    inputs: ["x", "axes?"],
    attrs: { axes: intsAttr },
    infer: inferReverse,
    lower: lowerReverse,
  },
];

export const references: Record<string, Reference> = {
  Transpose: (c) => {
    const x = refInput(c, 0);
    const perm = permOf({ op: c.op, name: "", attrs: c.attrs }, x.shape.length);
    return [remap(refMoved(x, c.outputs[0]), x.shape, refShape(c), unpermute(perm))];
  },
  Reverse: (c) => {
    const x = refInput(c, 0);
    const axes = refList(c, 1, "axes").map((a) => (a < 0 ? a + x.shape.length : a));
    const flip = (o: readonly number[]) =>
      o.map((v, i) => (axes.includes(i) ? (x.shape[i] as number) - 1 - v : v));
    return [remap(refMoved(x, c.outputs[0]), x.shape, refShape(c), flip)];
  },
};
