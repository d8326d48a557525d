// Running sums along an axis, as a guarded reduction: out[i] = Σ x[i + j − (n − 1)] over j in 0…n−1, where
// positions outside read as 0. Ascending order of sums in the forward direction. Quadratic in the axis'
// length; kernel "cum_sum", params {axis, exclusive, reverse} (0 or 1), is there for a linear version.
import { at, type AxisIndex } from "../compiler/nest.js";
import * as e from "../compiler/expr.js";
import { affine, kept, loaded, toStored, walk } from "./lowering.js";
import { axisOf, bool, type LowerContext, type LowerTensor, need, type OpDef, reject } from "./op.js";

function axisInput(
  c: { op: string; name: string },
  given: readonly (number | string)[] | undefined,
  rank: number,
): number {
  if (given?.length !== 1 || typeof given[0] !== "number")
    reject(c, "its axis must be known before running", "unsupported");
  return axisOf(c, given[0] as number, rank);
}

function lower(c: LowerContext): void {
  const [x, out] = [c.inputs[0] as LowerTensor, c.outputs[0] as LowerTensor];
  const rank = x.shape.length;
  const axis = axisInput(c, c.inputs[1]?.value, rank);
  const n = x.shape[axis] as number;
  const [exclusive, reverse] = [Number(bool(c.attrs, "exclusive")), Number(bool(c.attrs, "reverse"))];
  const offset = reverse ? exclusive : 1 - n - exclusive;
  const window: AxisIndex = affine(
    [
      [axis, 1],
      [rank, 1],
    ],
    offset,
    true,
  );
  const body = loaded(x, 0);
  const zero = x.quant?.zeroPoint[0] ?? 0;
  c.kernel(
    "cum_sum",
    { axis, exclusive, reverse },
    {
      loops: x.shape,
      reduce: [n],
      operands: [
        {
          value: c.input(0),
          index: x.shape.map((_, i) => (i === axis ? window : at(i))),
          ...(zero !== 0 && { fill: zero }),
        },
      ],
      body,
      combine: "sum",
      result: toStored(e.accumulator(body.t), out),
      out: { value: c.output(0), index: walk(rank) },
    },
  );
}

export const ops: OpDef[] = [
  {
    name: "CumSum",
    inputs: ["x", "axis"],
    attrs: { exclusive: { type: "bool", default: false }, reverse: { type: "bool", default: false } },
    infer: (c) => {
      const x = need(c, 0);
      axisInput(c, need(c, 1).value, x.shape.length);
      if (x.dtype === "bool" || x.dtype === "string") reject(c, `takes no ${x.dtype}`, "unsupported");
      return kept(c, x, x.shape);
    },
    lower,
  },
];
