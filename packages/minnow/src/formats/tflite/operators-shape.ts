// TFLite's reductions and operators that move data about.
import type { Tensor } from "../../graph/graph.js";
import type { Op, Row } from "./op.js";

const reduce =
  (op: string): Row =>
  (c) => {
    const attrs = { keepDims: c.flag(0), noopWithEmptyAxes: true };
    const axes = c.known(1);
    if (axes) c.emit(op, [c.input(0)], [c.output], { ...attrs, axes });
    else c.emit(op, [c.input(0), c.input(1)], [c.output], attrs);
  };

const arg =
  (op: string): Row =>
  (c) =>
    c.emit(op, [c.input(0)], [c.output], {
      axis: c.needKnownScalar(1, "axis"),
      keepDims: false,
      to: c.output.dtype,
    });

/** The same inputs in the same order. */
const same =
  (op: string): Row =>
  (c) =>
    c.emit(op, c.inputs.slice(), [c.output]);

/** New shape from the second input, or from the options where there is none. */
function reshape(c: Op): void {
  const given = c.inputs[1];
  let shape = given ? c.known(1) : (c.options?.nums(0, "i32") ?? []);
  if (!shape) return c.emit("Reshape", [c.input(0), given as Tensor], [c.output], { allowZero: true });
  if (!given && shape.length === 1 && shape[0] === 0) shape = []; // an old way to say "scalar"
  if (shape.length > 0) return c.emit("Reshape", [c.input(0)], [c.output], { shape, allowZero: true });
  c.emit("Reshape", [c.input(0), c.ints("shape")], [c.output], { allowZero: true });
}

function expandDims(c: Op): void {
  const axis = c.known(1);
  if (axis) c.emit("Unsqueeze", [c.input(0)], [c.output], { axes: axis });
  else c.emit("Unsqueeze", [c.input(0), c.input(1)], [c.output]);
}

function pack(c: Op): void {
  const axis = c.num(1);
  if (c.inputs.length === 0) c.fail("has no input");
  const parts = c.inputs.map((_, i) => c.value("Unsqueeze", [c.input(i)], { axes: [axis] }));
  c.emit("Concat", parts, [c.output], { axis });
}

function unpack(c: Op): void {
  const axis = c.num(1);
  const parts = c.outputs.map((t) => c.temp("split", t.dtype, t.quant));
  c.emit("Split", [c.input(0)], parts, { axis });
  c.outputs.forEach((t, i) => {
    c.emit("Squeeze", [parts[i] as Tensor], [t], { axes: [axis] });
  });
}

/** Inputs: x, sizes (one may be −1: the rest), axis. */
function splitV(c: Op): void {
  const sizes = c.needKnown(1, "sizes");
  const axis = c.needKnownScalar(2, "axis");
  const rest = sizes.indexOf(-1);
  if (rest >= 0) sizes[rest] = c.dim(c.input(0), axis) - sizes.reduce((a, b) => a + b, 1);
  if (sizes.some((s) => s < 0)) c.fail(`sizes [${sizes}]`);
  c.emit("Split", [c.input(0)], [...c.outputs], { axis, sizes });
}

/** Inputs: x, begin, size (−1: to the end). */
function slice(c: Op): void {
  const starts = c.known(1);
  const sizes = c.known(2);
  const end = 2 ** 31 - 1;
  if (starts && sizes) {
    const ends = starts.map((b, i) => (sizes[i] === -1 ? end : b + (sizes[i] ?? 0)));
    return c.emit("Slice", [c.input(0)], [c.output], { starts, ends, axes: starts.map((_, i) => i) });
  }
  const [begin, size] = [c.input(1), c.input(2)];
  const open = c.value(
    "Equal",
    [size, c.constant("open", size.dtype, [], integer(size, -1))],
    {},
    size,
    "bool",
  );
  const far = c.constant("end", size.dtype, [], integer(size, end));
  const ends = c.value("Where", [open, far, c.value("Add", [begin, size], {}, size)], {}, size);
  c.emit("Slice", [c.input(0), begin, ends], [c.output]);
}

const integer = (like: Tensor, v: number) =>
  like.dtype === "int64" ? BigInt64Array.of(BigInt(v)) : Int32Array.of(v);

/** Options: 0…4 masks of begin, end, ellipsis, new axis, shrink axis; 5 offset. */
function stridedSlice(c: Op): void {
  const [beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask] = [0, 1, 2, 3, 4].map((i) =>
    c.num(i),
  ) as [number, number, number, number, number];
  const inputs = [c.input(0), c.input(1), c.input(2), c.input(3)];
  const attrs = { beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask, offset: c.flag(5) };
  c.emit("StridedSlice", inputs, [c.output], attrs);
}

/** TFLite has [begin, end] a dimension; ours are all begins, then all ends. */
function pad(c: Op): void {
  const x = c.input(0);
  const mode = c.name === "MIRROR_PAD" ? (c.num(0, "i8") === 1 ? "symmetric" : "reflect") : "constant";
  const value = c.name === "PADV2" ? c.inputs[2] : undefined;
  const given = c.known(1);
  if (given) {
    if (given.length % 2 || given.some((p) => p < 0)) c.fail(`pads [${given}]`);
    const pads = [...given.filter((_, i) => i % 2 === 0), ...given.filter((_, i) => i % 2 === 1)];
    const number = value && realScalar(value);
    if (!value || number !== undefined)
      return c.emit("Pad", [x], [c.output], { pads, mode, value: number ?? 0 });
    return c.emit("Pad", [x, null, value], [c.output], { pads, mode });
  }
  const turned = c.value("Transpose", [c.input(1)], { perm: [1, 0] }, c.input(1));
  const flat = c.value("Reshape", [turned], { shape: [-1] }, c.input(1));
  c.emit("Pad", [x, flat, ...(value ? [value] : [])], [c.output], { mode });
}

/** The real value of a constant scalar. */
function realScalar(t: Tensor): number | undefined {
  if (t.kind !== "constant" || t.data?.length !== 1) return undefined;
  if (t.dtype === "float16") return undefined;
  const q = Number(t.data[0]);
  return t.quant ? (t.quant.scale[0] as number) * (q - (t.quant.zeroPoint[0] as number)) : q;
}

/** TFLite adds where indices repeat. */
function scatterNd(c: Op): void {
  const [indices, updates, shape] = [c.input(0), c.input(1), c.input(2)];
  if (c.output.quant) c.reject("quantised values are not supported");
  const zeros = c.value("Fill", [shape], { value: 0, to: c.output.dtype });
  c.emit("ScatterND", [zeros, indices, updates], [c.output], { reduction: "add" });
}

function zerosLike(c: Op): void {
  const shape = c.value("Shape", [c.input(0)], { to: "int32" }, c.output, "int32");
  c.emit("Fill", [shape], [c.output], { value: 0, to: c.output.dtype });
}

function rank(c: Op): void {
  const shape = c.value("Shape", [c.input(0)], { to: "int32" }, c.output, "int32");
  c.emit("Size", [shape], [c.output], { to: c.output.dtype });
}

const moveBlocks =
  (op: string): Row =>
  (c) =>
    c.emit(op, [c.input(0)], [c.output], { block: c.num(0), mode: "DCR" });

export const movement: Record<string, Row> = {
  SUM: reduce("ReduceSum"),
  MEAN: reduce("ReduceMean"),
  REDUCE_MAX: reduce("ReduceMax"),
  REDUCE_MIN: reduce("ReduceMin"),
  REDUCE_PROD: reduce("ReduceProd"),
  REDUCE_ANY: reduce("ReduceAny"),
  REDUCE_ALL: reduce("ReduceAll"),
  ARG_MAX: arg("ArgMax"),
  ARG_MIN: arg("ArgMin"),
  CUMSUM: (c) =>
    c.emit("CumSum", [c.input(0), c.input(1)], [c.output], { exclusive: c.flag(0), reverse: c.flag(1) }),
  RESHAPE: reshape,
  SQUEEZE: (c) => c.emit("Squeeze", [c.input(0)], [c.output], { axes: c.options?.nums(0, "i32") ?? [] }),
  EXPAND_DIMS: expandDims,
  TRANSPOSE: (c) => c.emit("Transpose", [c.input(0)], [c.output], { perm: c.needKnown(1, "axes") }),
  CONCATENATION: (c) =>
    c.fused(
      "Concat",
      c.inputs.map((_, i) => c.input(i)),
      { axis: c.num(0) },
      1,
    ),
  PACK: pack,
  UNPACK: unpack,
  SPLIT: (c) => c.emit("Split", [c.input(1)], [...c.outputs], { axis: c.needKnownScalar(0, "axis") }),
  SPLIT_V: splitV,
  SLICE: slice,
  STRIDED_SLICE: stridedSlice,
  PAD: pad,
  PADV2: pad,
  MIRROR_PAD: pad,
  BROADCAST_TO: same("Expand"),
  TILE: same("Tile"),
  GATHER: (c) =>
    c.emit("Gather", [c.input(0), c.input(1)], [c.output], { axis: c.num(0), batchDims: c.num(1) }),
  GATHER_ND: same("GatherND"),
  EMBEDDING_LOOKUP: (c) => {
    if (c.output.dtype !== c.input(1).dtype)
      c.reject(`a ${c.input(1).dtype} table read as ${c.output.dtype}`);
    c.emit("Gather", [c.input(1), c.input(0)], [c.output], { axis: 0 });
  },
  SCATTER_ND: scatterNd,
  ONE_HOT: (c) => c.emit("OneHot", c.inputs.slice(0, 4), [c.output], { axis: c.num(0), wrap: false }),
  TOPK_V2: (c) =>
    c.emit("TopK", [c.input(0), c.input(1)], [...c.outputs], { axis: -1, largest: true, sorted: true }),
  SHAPE: (c) => c.emit("Shape", [c.input(0)], [c.output], { to: c.output.dtype }),
  RANK: rank,
  RANGE: same("Range"),
  FILL: (c) => c.emit("Fill", [c.input(0), c.input(1)], [c.output], { to: c.output.dtype }),
  ZEROS_LIKE: zerosLike,
  REVERSE_V2: (c) => c.emit("Reverse", [c.input(0)], [c.output], { axes: c.needKnown(1, "axes") }),
  SPACE_TO_DEPTH: moveBlocks("SpaceToDepth"),
  DEPTH_TO_SPACE: moveBlocks("DepthToSpace"),
  SPACE_TO_BATCH_ND: same("SpaceToBatch"),
  BATCH_TO_SPACE_ND: same("BatchToSpace"),
};
