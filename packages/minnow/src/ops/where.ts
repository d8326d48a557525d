// Where: picks between two operands, element by element; the condition's type stands apart.
import * as e from "../compiler/expr.js";
import { elementwise } from "./elementwise.js";
import { need, reject } from "./op.js";

export const ops = [
  elementwise(
    "Where",
    ["condition", "a", "b"],
    ([c, a, b]) => e.select(c.t === "i32" ? c : e.ne(c, 0), a, b),
    {
      types: "any",
      mixed: true,
      dtype: (c) => {
        const [a, b] = [need(c, 1), need(c, 2)];
        const out = c.outputs[0];
        if (out?.quant) return out.dtype;
        const type = a.quant ? "float32" : a.dtype;
        if (type !== (b.quant ? "float32" : b.dtype)) reject(c, `picks between ${a.dtype} and ${b.dtype}`);
        return type;
      },
      value: ([c, a, b]) => (typeof c === "number" ? (c ? a : b) : a === b ? a : null),
    },
  ),
];
