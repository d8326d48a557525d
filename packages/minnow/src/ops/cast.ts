// Changes of type. Cast converts stored numbers; Quantize and Dequantize keep the real value and change
// how it is stored, so their expression is the identity between the compiler's (de/re)quantisation.
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import { scalarOf } from "../compiler/nest.js";
import { type DType, isDType, isFloat } from "../graph/dtype.js";
import { elementwise, wrap } from "./elementwise.js";
import { type InferContext, reject, str } from "./op.js";

const narrow: Partial<Record<DType, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
};

/** float → integer truncates and saturates, integer → narrower wraps, anything → bool is ≠ 0. */
export function convert(x: Expr, from: DType, to: DType): Expr {
  if (to === "bool") return from === "bool" ? x : e.ne(x, 0);
  const y = e.cast(x, scalarOf(to));
  const range = narrow[to];
  if (!range || from === to || from === "bool") return y;
  if (x.t === "f32") return e.clamp(y, range[0], range[1]);
  return wrap(y, to);
}

function target(c: InferContext): DType {
  const to = str(c.attrs, "to");
  if (!isDType(to) || to === "string" || to === "int4") reject(c, `has no type ${to}`, "unsupported");
  return to;
}

export const ops = [
  elementwise("Cast", ["x"], ([x], _, c) => convert(x, c.inputs[0] as DType, c.output), {
    attrs: { to: { type: "dtype" } },
    types: "any",
    dtype: target,
    raw: true,
    value: ([x], a) => {
      if (typeof x === "string") return a.to === "bool" ? null : x;
      if (a.to === "bool") return x ? 1 : 0;
      return isFloat(a.to as DType) ? x : Math.trunc(x);
    },
  }),
  elementwise("Quantize", ["x"], ([x]) => x, {
    attrs: { to: { type: "dtype" } },
    types: "any",
    dtype: target,
  }),
  elementwise("Dequantize", ["x"], ([x]) => x, {
    attrs: { to: { type: "dtype", default: "float32" } },
    types: "any",
    dtype: target,
  }),
];
