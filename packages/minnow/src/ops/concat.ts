// Concat and Split: tensors laid side by side along one axis. One kernel a piece, named, so that the
// compiler can let the piece live inside the whole and copy nothing.
import { add, broadcastDim, ceilDiv, count, type Dim, isConcrete, mul, sub } from "../graph/dim.js";
import { at } from "../compiler/nest.js";
import {
  axisOf,
  type InferContext,
  type Inferred,
  int,
  type LowerContext,
  need,
  type OpDef,
  type Reference,
  reject,
} from "./op.js";
import {
  everyAxis,
  intAttr,
  intsAttr,
  listOf,
  movedValue,
  moveNest,
  outShape,
  refInput,
  refMoved,
  refShape,
  remap,
  result,
  shapeOf,
  unknownDim,
} from "./move.js";

function inferConcat(c: InferContext): Inferred[] {
  const first = need(c, 0);
  const axis = axisOf(c, int(c.attrs, "axis"), first.shape.length);
  const shape = [...first.shape];
  for (let i = 1; i < c.inputs.length; i++) {
    const t = need(c, i);
    if (t.dtype !== first.dtype) reject(c, `inputs are ${first.dtype} and ${t.dtype}`);
    const misfit = (): never =>
      reject(
        c,
        `shapes ${c.inputs.map((s) => `[${s?.shape.join(", ")}]`).join(" ")} do not fit along axis ${axis}`,
      );
    if (t.shape.length !== shape.length) misfit();
    shape.forEach((d, k) => {
      const e = t.shape[k] as Dim;
      if (k === axis) shape[k] = add(d, e);
      else if (typeof d === "number" && typeof e === "number" && d !== e) misfit();
      else shape[k] = typeof d === "number" ? d : (broadcastDim(d, e) ?? d);
    });
  }
  return [result(c, first.dtype, shape, concatValue(c, axis))];
}

/** Known elements, where every piece is known: outer × (pieces one after another). */
function concatValue(c: InferContext, axis: number): Dim[] | undefined {
  const outer = need(c, 0).shape.slice(0, axis);
  if (!isConcrete(outer)) return undefined;
  const rows = count(outer);
  const out: Dim[] = [];
  for (let r = 0; r < rows; r++)
    for (const t of c.inputs) {
      if (!t?.value) return undefined;
      const n = t.value.length / rows;
      out.push(...t.value.slice(r * n, (r + 1) * n));
    }
  return out;
}

function lowerConcat(c: LowerContext): void {
  const axis = axisOf(c, int(c.attrs, "axis"), outShape(c).length);
  let offset = 0;
  for (let i = 0; i < c.inputs.length; i++) {
    const shape = shapeOf(c, i);
    const out = shape.map((_, k) => at(k, 1, k === axis ? offset : 0));
    if (count(shape) > 0) c.kernel("concat", { axis }, moveNest(c, shape, everyAxis(shape.length), out, i));
    offset += shape[axis] as number;
  }
}

/** Sizes of the parts of an axis; undefined elements are not known. A −1 takes the rest (TFLite). */
function partsOf(
  c: Pick<InferContext, "op" | "name" | "attrs" | "inputs">,
  dim: Dim,
  n: number,
): (Dim | undefined)[] {
  const given = listOf(c, 1, "sizes");
  if (!given) return Array.from({ length: n }, () => undefined);
  if (given.length === 0 && n > 0) {
    // Equal parts; where they don't fit, the last is smaller (ONNX num_outputs).
    const part = ceilDiv(dim, n);
    return Array.from({ length: n }, (_, i) => (i < n - 1 ? part : sub(dim, mul(part, n - 1))));
  }
  if (given.length !== n) reject(c, `${given.length} sizes for ${n} outputs`);
  const rest = given.indexOf(-1);
  const parts = [...given];
  if (rest >= 0) parts[rest] = given.reduce<Dim>((s, d, i) => (i === rest ? s : sub(s, d)), dim);
  const total = parts.reduce<Dim>(add, 0);
  if (
    parts.some((p) => typeof p === "number" && p < 0) ||
    (typeof total === "number" && typeof dim === "number" && total !== dim)
  )
    reject(c, `sizes [${given.join(", ")}] do not make up ${dim}`);
  return parts;
}

function inferSplit(c: InferContext): Inferred[] {
  const x = need(c, 0);
  const axis = axisOf(c, int(c.attrs, "axis"), x.shape.length);
  const parts = partsOf(c, x.shape[axis] as Dim, c.outputs.length);
  let offset: Dim = 0;
  return parts.map((p, i) => {
    const size = p ?? unknownDim(c, `size${i}`);
    if (typeof size === "number" && size < 0)
      reject(c, `${x.shape[axis]} does not split into ${c.outputs.length}`);
    const shape = x.shape.map((d, k) => (k === axis ? size : d));
    const start: Dim = offset;
    offset = add(offset, size);
    const value =
      typeof start === "number"
        ? movedValue(x, shape, (o) => o.map((v, k) => (k === axis ? v + start : v)))
        : undefined;
    return result(c, x.dtype, shape, value);
  });
}

function lowerSplit(c: LowerContext): void {
  const axis = axisOf(c, int(c.attrs, "axis"), shapeOf(c, 0).length);
  let offset = 0;
  c.outputs.forEach(({ shape }, o) => {
    const index = shape.map((_, k) => at(k, 1, k === axis ? offset : 0));
    if (count(shape) > 0)
      c.kernel("split", { axis }, moveNest(c, shape, index, everyAxis(shape.length), 0, o));
    offset += shape[axis] as number;
  });
}

export const ops: OpDef[] = [
  {
    name: "Concat",
    inputs: ["...x"],
    attrs: { axis: { type: "int" } },
    infer: inferConcat,
    lower: lowerConcat,
  },
  {
    name: "Split",
    inputs: ["x", "sizes?"],
    outputs: -1,
    attrs: { axis: intAttr(0), sizes: intsAttr },
    infer: inferSplit,
    lower: lowerSplit,
  },
];

export const references: Record<string, Reference> = {
  Concat: (c) => {
    const shape = refShape(c);
    const axis = axisOf({ op: c.op, name: "" }, int(c.attrs, "axis"), shape.length);
    const pieces = c.inputs.map((_, i) => {
      const t = refInput(c, i);
      return { shape: t.shape, data: refMoved(t, c.outputs[0]) };
    });
    const rows = count(shape.slice(0, axis));
    const out: number[] = [];
    for (let r = 0; r < rows; r++)
      for (const p of pieces) {
        const n = count(p.shape.slice(axis));
        for (let k = 0; k < n; k++) out.push(p.data[r * n + k] as number);
      }
    return [out];
  },
  Split: (c) => {
    const x = refInput(c, 0);
    const axis = axisOf({ op: c.op, name: "" }, int(c.attrs, "axis"), x.shape.length);
    let offset = 0;
    return c.outputs.map((y) => {
      const start = offset;
      offset += y.shape[axis] as number;
      return remap(refMoved(x, y), x.shape, y.shape, (o) => o.map((v, k) => (k === axis ? v + start : v)));
    });
  },
};
