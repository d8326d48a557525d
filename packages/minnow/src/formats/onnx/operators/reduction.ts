// Reductions, arg-reductions, softmax and running sums. Axes came as an attribute in old operator sets
// and come as an input in new ones.
import type { Tensor } from "../../../graph/graph.js";
import type { Call, Row, Table } from "../call.js";

function reduce(c: Call, op: string, x: Tensor): Tensor {
  const keepDims = c.int("keepdims", 1) !== 0;
  const noopWithEmptyAxes = c.int("noop_with_empty_axes", 0) !== 0;
  const axes = c.ints("axes") ?? c.numbers(1) ?? [];
  const attrs = { keepDims, noopWithEmptyAxes, axes };
  return c.has(1) && !c.numbers(1) ? c.emit(op, [x, c.x(1)], { ...attrs, axes: [] }) : c.emit(op, [x], attrs);
}

const reducer =
  (op: string): Row =>
  (c) =>
    reduce(c, op, c.x(0));

/** Operator set 20 gave maximum and minimum to booleans too. */
const extreme =
  (op: string, ofBool: string): Row =>
  (c) =>
    reduce(c, c.x(0).dtype === "bool" ? ofBool : op, c.x(0));

const arg =
  (op: string): Row =>
  (c) =>
    c.emit(
      op,
      [c.x(0)],
      {
        axis: c.int("axis", 0),
        keepDims: c.int("keepdims", 1) !== 0,
        selectLast: c.int("select_last_index", 0) !== 0,
        to: "int64",
      },
      { dtype: "int64" },
    );

/**
 * Before operator set 13 the axes from `axis` on were taken together.
 * @param f the operator along one axis
 */
export function alongAxis(c: Call, x: Tensor, opset: number, f: (x: Tensor, axis: number) => Tensor): Tensor {
  if (opset >= 13) return f(x, c.int("axis", -1));
  const shape = c.shape(x);
  const axis = c.int("axis", 1);
  const first = axis === shape.length ? axis : c.axis(axis, shape.length);
  const wide = shape.flatMap((d, i) => (i >= first && d !== 1 ? [i] : []));
  if (wide.length <= 1 && first < shape.length) return f(x, wide[0] ?? first);
  const flat = f(c.emit("Flatten", [x], { axis: first }), 1);
  return c.emit("Reshape", [flat, c.shapeOf(x)]);
}

const softmax =
  (op: string): Row =>
  (c) =>
    alongAxis(c, c.x(0), c.opset, (x, axis) => c.emit(op, [x], { axis }));

/** One where the first maximum is, else zero. */
const hardmax: Row = (c) =>
  alongAxis(c, c.x(0), c.opset, (x, axis) => {
    const a = c.axis(axis, c.rank(x));
    const best = c.emit("ArgMax", [x], { axis: a, keepDims: false, to: "int64" }, { dtype: "int64" });
    const depth = c.squeeze(
      c.emit("Shape", [x], { start: a, end: a + 1, to: "int64" }, { dtype: "int64" }),
      [0],
    );
    return c.emit("OneHot", [best, depth, c.scalar(1), c.scalar(0)], { axis: a }, { dtype: "float32" });
  });

const cumSum: Row = (c) =>
  c.emit("CumSum", [c.x(0), c.x(1)], {
    exclusive: c.int("exclusive", 0) !== 0,
    reverse: c.int("reverse", 0) !== 0,
  });

export const reduction: Table = {
  ReduceSum: reducer("ReduceSum"),
  ReduceMean: reducer("ReduceMean"),
  ReduceMax: extreme("ReduceMax", "ReduceAny"),
  ReduceMin: extreme("ReduceMin", "ReduceAll"),
  ReduceProd: reducer("ReduceProd"),
  ReduceL1: reducer("ReduceL1"),
  ReduceL2: reducer("ReduceL2"),
  ReduceSumSquare: reducer("ReduceSumSquare"),
  ReduceLogSumExp: reducer("ReduceLogSumExp"),
  ReduceLogSum: (c) => c.emit("Log", [reduce(c, "ReduceSum", c.x(0))]),
  ArgMax: arg("ArgMax"),
  ArgMin: arg("ArgMin"),
  Softmax: softmax("Softmax"),
  LogSoftmax: softmax("LogSoftmax"),
  Hardmax: hardmax,
  CumSum: cumSum,
};
