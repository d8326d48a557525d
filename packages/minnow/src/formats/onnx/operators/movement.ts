// Operators that move elements: concat, split, slice, pad, gather, scatter and their kin.
import type { Attrs, Tensor } from "../../../graph/graph.js";
import type { Call, Row, Table } from "../call.js";

const split: Row = (c) => {
  const x = c.x(0);
  const n = c.outputNames.length;
  const axis = c.axis(c.int("axis", 0), c.rank(x));
  const parts = c.opset >= 18 ? c.int("num_outputs", n) : n;
  if (parts !== n) c.bad(`num_outputs is ${parts}, but it has ${n} outputs`);
  const dtypes = c.outputNames.map(() => x.dtype);
  const sizes = c.ints("split") ?? c.numbers(1) ?? unevenSizes(c.shape(x)[axis], n);
  if (sizes) return c.emitMany("Split", [x], { axis, sizes }, dtypes);
  return c.emitMany("Split", c.has(1) ? [x, c.x(1)] : [x], { axis }, dtypes);
};

/** Since operator set 18 the last part may be smaller. */
function unevenSizes(dim: number | string | undefined, n: number): number[] | undefined {
  if (typeof dim !== "number" || dim % n === 0) return undefined;
  const each = Math.ceil(dim / n);
  return Array.from({ length: n }, (_, i) => Math.max(0, Math.min(each, dim - i * each)));
}

const slice: Row = (c) => {
  const x = c.x(0);
  if (c.opset < 10) {
    const starts = c.ints("starts") ?? [];
    return c.emit("Slice", [x], {
      starts,
      ends: c.ints("ends") ?? [],
      axes: c.ints("axes") ?? starts.map((_, i) => i),
    });
  }
  const given = [1, 2, 3, 4].filter((i) => c.has(i));
  const names = ["", "starts", "ends", "axes", "steps"];
  if (given.every((i) => c.numbers(i)))
    return c.emit("Slice", [x], Object.fromEntries(given.map((i) => [names[i], c.numbers(i) as number[]])));
  return c.emit("Slice", [x, c.x(1), c.x(2), c.opt(3), c.opt(4)]);
};

const modes: Record<string, string> = {
  constant: "constant",
  reflect: "reflect",
  edge: "edge",
  wrap: "wrap",
};

/** pads: all begins, then all ends; negative ones cut off. */
const pad: Row = (c) => {
  const x = c.x(0);
  const rank = c.rank(x);
  const mode =
    modes[c.str("mode", "constant")] ?? c.unsupported(`padding mode ${c.str("mode", "")} is not supported`);
  const attrs: Attrs = { mode };
  if (c.opset < 11) attrs.value = c.float("value", 0);
  const value = c.numbers(2);
  if (value) attrs.value = value[0] ?? 0;
  if (x.quant?.scale.length === 1) {
    const { scale, zeroPoint } = x.quant; // the value is a stored number, Pad's a real one
    attrs.value = (((attrs.value as number) ?? 0) - (zeroPoint[0] as number)) * (scale[0] as number);
  }
  const dynamicValue = c.has(2) && !value ? c.x(2) : null;
  const list = c.ints("pads") ?? c.ints("paddings") ?? c.numbers(1);
  if (!list) {
    const pads = c.has(3) ? computedPads(c, rank) : c.x(1);
    return c.emit("Pad", dynamicValue ? [x, pads, dynamicValue] : [x, pads], attrs);
  }
  const pads = c.has(3) ? scatterPads(c, list, rank) : list;
  if (pads.length !== 2 * rank) c.bad(`${pads.length} pads for rank ${rank}`);
  const grown = c.emit("Pad", dynamicValue ? [x, null, dynamicValue] : [x], {
    ...attrs,
    pads: pads.map((p) => Math.max(0, p)),
  });
  return pads.some((p) => p < 0) ? crop(c, grown, pads, rank) : grown;
};

const constantAxes = (c: Call, rank: number): number[] =>
  (c.numbers(3) ?? c.unsupported("computed axes are not supported")).map((a) => c.axis(a, rank));

/** Pads of all axes from computed pads of some, zero elsewhere. */
function computedPads(c: Call, rank: number): Tensor {
  const axes = constantAxes(c, rank);
  const zero = c.int64([0]);
  const parts = Array.from({ length: 2 * rank }, (_, i): Tensor => {
    const at = axes.indexOf(i % rank);
    if (at < 0) return zero;
    const from = i < rank ? at : at + axes.length;
    return c.emit("Slice", [c.x(1)], { starts: [from], ends: [from + 1], axes: [0] });
  });
  return c.emit("Concat", parts, { axis: 0 });
}

function scatterPads(c: Call, list: readonly number[], rank: number): number[] {
  const axes = constantAxes(c, rank);
  if (list.length !== 2 * axes.length) c.bad(`${list.length} pads for ${axes.length} axes`);
  const pads = new Array<number>(2 * rank).fill(0);
  axes.forEach((a, i) => {
    pads[a] = list[i] as number;
    pads[rank + a] = list[axes.length + i] as number;
  });
  return pads;
}

function crop(c: Call, x: Tensor, pads: readonly number[], rank: number): Tensor {
  const starts = pads.slice(0, rank).map((p) => Math.max(0, -p));
  const ends = pads.slice(rank).map((p) => (p < 0 ? p : 2 ** 53));
  return c.emit("Slice", [x], { starts, ends, axes: starts.map((_, i) => i) });
}

/** values = [off, on]; the depth may have any type. */
const oneHot: Row = (c) => {
  const values = c.x(2);
  const known = c.numbers(2);
  const pick = (i: number): Tensor =>
    known && values.dtype === "float32"
      ? c.scalar(known[i] ?? 0)
      : c.emit("Gather", [values, c.builder.int64([i], true)], { axis: 0 });
  const raw = c.x(1);
  const depth = c.cast(raw, "int64");
  const scalar = c.rank(depth) === 0 ? depth : c.reshape(depth, []);
  const indices = c.x(0).dtype === "float32" ? c.cast(c.x(0), "int64") : c.x(0);
  return c.emit(
    "OneHot",
    [indices, scalar, pick(1), pick(0)],
    { axis: c.int("axis", -1) },
    { dtype: values.dtype },
  );
};

const topK: Row = (c) => {
  const x = c.x(0);
  const attrs = {
    axis: c.int("axis", -1),
    largest: c.int("largest", 1) !== 0,
    sorted: c.int("sorted", 1) !== 0,
  };
  const k = c.opset < 10 ? c.int64([c.int("k")]) : c.x(1);
  return c.emitMany("TopK", [x, k], attrs, [x.dtype, "int64"]);
};

const spaceToDepth: Row = (c) =>
  c.image(c.x(0), (x) =>
    c.emit("SpaceToDepth", [x], { block: c.int("blocksize"), mode: c.str("mode", "DCR") }),
  );

const depthToSpace: Row = (c) =>
  c.image(c.x(0), (x) =>
    c.emit("DepthToSpace", [x], { block: c.int("blocksize"), mode: c.str("mode", "DCR") }),
  );

const tile: Row = (c) => {
  if (c.opset < 6)
    c.unsupported("Tile before operator set 6 is not supported", "export it with a newer opset");
  const repeats = c.numbers(1);
  return repeats ? c.emit("Tile", [c.x(0)], { repeats }) : c.emit("Tile", [c.x(0), c.x(1)]);
};

const scatterND: Row = (c) =>
  c.emit("ScatterND", [c.x(0), c.x(1), c.x(2)], { reduction: c.str("reduction", "none") });

const concat: Row = (c) => {
  const xs = c.all();
  const axis = c.int("axis", c.opset < 4 ? 1 : undefined);
  // ONNX joins the stored numbers as they are; ours would bring them to one scale.
  const per = (t: Tensor): string => JSON.stringify([t.quant?.scale, t.quant?.zeroPoint]);
  if (xs.some((t) => per(t) !== per(xs[0] as Tensor)))
    c.unsupported("it joins quantised numbers of different scales");
  return xs.length === 1 ? (xs[0] as Tensor) : c.emit("Concat", xs, { axis });
};

export const movement: Table = {
  Transpose: (c) => c.emit("Transpose", [c.x(0)], { perm: c.ints("perm") ?? [] }),
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Tile: tile,
  Gather: (c) => c.emit("Gather", [c.x(0), c.x(1)], { axis: c.int("axis", 0) }),
  GatherElements: (c) => c.emit("GatherElements", [c.x(0), c.x(1)], { axis: c.int("axis", 0) }),
  GatherND: (c) => c.emit("GatherND", [c.x(0), c.x(1)], { batchDims: c.int("batch_dims", 0) }),
  ScatterND: scatterND,
  OneHot: oneHot,
  TopK: topK,
  SpaceToDepth: spaceToDepth,
  DepthToSpace: depthToSpace,
};
