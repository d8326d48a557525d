// Lowers Expr to WebAssembly, scalar (f32, i32, i64) or four lanes wide (f32x4, i32x4). Two phases,
// because an inline v128.const is rebuilt at each use: `prepare…` puts the constants into locals (call
// it before the loops), `emit` evaluates (call it as often as needed, inside the loops):
//
//   const epilogue = prepareVector(f, expr, engine);     // outside the loop
//   epilogue.emit((i) => (i < 0 ? acc : operand[i]));    // inside: leaves the value on the stack
//   f.set(result);
//
// Transcendentals are expanded by compiler/expand.ts first. Comparisons give 0/1 but stay masks where
// they feed a select. Scalar max/min against a constant keep −0 as the vector form does.
import { expand } from "../../compiler/expand.js";
import { children, type Expr } from "../../compiler/expr.js";
import type { FunctionBuilder } from "./assembler.js";
import type { Engine } from "./engine.js";
import type { ReadyExpr } from "./expr_emitter.js";
import { ScalarExpr } from "./expr_scalar.js";
import { type NumberTest, VectorExpr } from "./expr_vector.js";

export type { NumberTest, ReadyExpr };

/**
 * Four lanes: no i64 inside. Emits constant set-up at the current place.
 * @param isNumber operands that hold one finite number, which may be treated as constants are; "small":
 * less than 2^22 in magnitude, which makes conversions between such bounds shorter
 */
export function prepareVector(
  f: FunctionBuilder,
  e: Expr,
  engine: Pick<Engine, "fma">,
  isNumber: NumberTest = () => false,
): ReadyExpr {
  const root = expand(e);
  if (!isVectorizable(root)) throw new TypeError("i64 has no vector form");
  return new VectorExpr(f, root, engine.fma, isNumber);
}

/** One element in f32, i32 or i64. */
export function prepareScalar(f: FunctionBuilder, e: Expr): ReadyExpr {
  return new ScalarExpr(f, expand(e));
}

/** Can prepareVector do it: no i64 anywhere. */
export function isVectorizable(e: Expr): boolean {
  const seen = new Set<Expr>();
  const visit = (x: Expr): boolean => {
    if (seen.has(x)) return true;
    seen.add(x);
    return x.t !== "i64" && children(x).every(visit);
  };
  return visit(e);
}
