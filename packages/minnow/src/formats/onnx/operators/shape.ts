// Shapes and constants: operators that rearrange no elements, and those that make tensors from nothing.
import { byteSize } from "../../../graph/dtype.js";
import { constant, type Tensor } from "../../../graph/graph.js";
import type { Call, Row, Table } from "../call.js";
import { constantFrom, readTensor } from "../tensor.js";
import { computeType, typeName } from "../types.js";
import { clampInt64, numbersOf } from "../builder.js";

const int64 = { to: "int64" } as const;
const isInt64 = { dtype: "int64" } as const;

/** A list given as attribute or input: constants become the attribute, computed ones stay an input. */
export function withList(
  c: Call,
  op: string,
  x: Tensor,
  i: number,
  name: string,
  more: Record<string, boolean> = {},
): Tensor {
  const list = c.ints(name) ?? c.numbers(i);
  if (list) return c.emit(op, [x], { [name]: list, ...more });
  return c.has(i) ? c.emit(op, [x, c.x(i)], more) : c.emit(op, [x], more);
}

const reshape: Row = (c) => {
  const allowZero = c.int("allowzero", 0) !== 0;
  if (c.opset >= 5 && !c.has(1)) c.bad("input 1 is missing");
  return withList(c, "Reshape", c.x(0), 1, "shape", { allowZero });
};

const constantNode: Row = (c) => {
  const { builder, name } = c;
  const t = c.tensor("value");
  if (t) {
    return constantFrom(builder.tensorName(name), readTensor(t, name));
  }
  const f = c.hasAttr("value_float") ? [c.float("value_float")] : c.floats("value_floats");
  if (f)
    return builder.constant(
      name,
      "float32",
      c.hasAttr("value_float") ? [] : [f.length],
      Float32Array.from(f),
    );
  const n = c.hasAttr("value_int") ? [c.int("value_int")] : c.ints("value_ints");
  if (n)
    return builder.constant(
      name,
      "int64",
      c.hasAttr("value_int") ? [] : [n.length],
      BigInt64Array.from(n, clampInt64),
    );
  return c.unsupported("constants that are sparse or text are not supported");
};

const constantOfShape: Row = (c) => {
  const t = c.tensor("value");
  const one = t ? readTensor(t, c.name) : undefined;
  if (one && one.data.length !== 1) c.bad("its value must have one element");
  const dtype = one?.dtype === "float16" ? "float32" : (one?.dtype ?? "float32");
  const fill = one ? (numbersOf(constant("", one.dtype, one.shape, one.data))[0] as number) : 0;
  const attrs = { value: fill, to: dtype };
  const shape = c.numbers(0);
  if (!shape) return c.emit("Fill", [c.x(0)], attrs, { dtype });
  if (
    !Number.isSafeInteger(
      byteSize(
        dtype,
        shape.reduce((a, b) => a * b, 1),
      ),
    )
  )
    c.bad(`its shape is [${shape}]`);
  return c.emit("Fill", [null], { ...attrs, shape }, { dtype });
};

const shapeOf: Row = (c) => {
  const attrs: Record<string, number | string> = { start: c.int("start", 0), ...int64 };
  if (c.hasAttr("end")) attrs.end = c.int("end");
  return c.emit("Shape", [c.raw(0)], attrs, isInt64);
};

const flatten: Row = (c) => {
  const rank = c.rank(c.x(0));
  const axis = c.int("axis", 1);
  return c.emit("Flatten", [c.x(0)], { axis: axis < 0 ? axis + rank : axis });
};

/** 0, 1, … along an axis of x. */
export function positions(c: Call, x: Tensor, axis: number): Tensor {
  const size = c.emit("Shape", [x], { start: axis, end: axis + 1, ...int64 }, isInt64);
  return c.emit("Range", [c.builder.int64([0], true), c.squeeze(size, [0]), c.builder.int64([1], true)]);
}

/** column − row of the last two axes, as a matrix. */
function diagonals(c: Call, x: Tensor): Tensor {
  const rank = c.rank(x);
  if (rank < 2) c.bad(`its input has rank ${rank}`);
  return c.emit("Sub", [positions(c, x, rank - 1), c.unsqueeze(positions(c, x, rank - 2), [1])]);
}

/** Keeps one side of the k-th diagonal. */
const trilu: Row = (c) => {
  const x = c.x(0);
  const k = c.has(1) ? c.x(1) : c.builder.int64([0], true);
  const keep = c.emit(c.int("upper", 1) ? "GreaterEqual" : "LessEqual", [diagonals(c, x), k]);
  const zero = c.cast(c.scalar(0), x.dtype);
  return c.emit("Where", [keep, x, zero], {}, { dtype: x.dtype });
};

const eyeLike: Row = (c) => {
  const x = c.x(0);
  const code = c.hasAttr("dtype") ? c.int("dtype") : undefined;
  const to =
    code === undefined
      ? x.dtype
      : (computeType(code) ?? c.unsupported(`type ${typeName(code)} is not supported`));
  return c.cast(c.emit("Equal", [diagonals(c, x), c.builder.int64([c.int("k", 0)], true)]), to);
};

export const shape: Table = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: (c) => withList(c, "Squeeze", c.x(0), 1, "axes"),
  Unsqueeze: (c) => withList(c, "Unsqueeze", c.x(0), 1, "axes"),
  Expand: (c) => withList(c, "Expand", c.x(0), 1, "shape"),
  Shape: shapeOf,
  Size: (c) => c.emit("Size", [c.raw(0)], int64, isInt64),
  Range: (c) => c.emit("Range", [c.x(0), c.x(1), c.x(2)]),
  Constant: constantNode,
  ConstantOfShape: constantOfShape,
  Trilu: trilu,
  EyeLike: eyeLike,
};
