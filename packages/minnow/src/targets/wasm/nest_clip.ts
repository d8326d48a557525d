// Padding in reductions: where an element outside the tensor contributes nothing (0 to a sum, −∞ to a
// maximum), the reduction loop is shortened to the inside instead of testing every tap.
import type { Expr } from "../../compiler/expr.js";
import { rangeOfDType } from "./elements.js";
import { identity, isArg, type Normal, type Place } from "./nest_normal.js";
import type { ClipRule } from "./nest_schedule.js";

/** Which guards shorten a loop: linear in one reduction loop, free of the lane loop, neutral outside. */
export function clipRule(n: Normal): ClipRule {
  const neutral = n.operands.map((p, i) => p !== undefined && p.guards.length > 0 && isNeutral(n, i));
  return (operand, g, lane) => {
    if (!neutral[operand]) return false;
    const loops = g.at.coef.flatMap((k, l) => (k !== 0 && l >= n.loops.length ? [l] : []));
    const [loop] = loops;
    if (loops.length !== 1 || loop === undefined || (g.at.coef[loop] as number) <= 0) return false;
    return lane >= n.loops.length || g.at.coef[lane] === 0;
  };
}

/** Does an element outside leave the accumulator as it is? */
function isNeutral(n: Normal, operand: number): boolean {
  const { body, combine } = n;
  const p = n.operands[operand] as Place;
  if (!body || !combine || isArg(combine)) return false;
  const outside = valueAt(body, operand, p.fill);
  return outside === identity(combine, body.t) || lowest(n, operand) !== undefined;
}

/** max over a bare integer operand that reads as its type's least value outside: start there. */
function lowest(n: Normal, operand: number): number | undefined {
  const { body, combine } = n;
  const p = n.operands[operand];
  if (!p || body?.k !== "in" || body.i !== operand || body.t !== "i32") return undefined;
  const [least, most] = rangeOfDType(p.dtype);
  if (combine === "max" && p.fill === least) return least;
  return combine === "min" && p.fill === most ? most : undefined;
}

/** Where accumulators start when that is not the identity. */
export function startOf(n: Normal, clipped: boolean): { start?: number } {
  if (!clipped || n.body?.k !== "in") return {};
  const start = lowest(n, n.body.i);
  return start === undefined ? {} : { start };
}

/** The value of an expression when one operand is `v`, as far as it does not depend on the others. */
function valueAt(e: Expr, operand: number, v: number): number | undefined {
  const memo = new Map<Expr, number | undefined>();
  const visit = (x: Expr): number | undefined => {
    if (!memo.has(x)) memo.set(x, compute(x));
    return memo.get(x);
  };
  const compute = (x: Expr): number | undefined => {
    if (x.k === "in") return x.i === operand ? v : undefined;
    if (x.k === "const") return x.v;
    if (x.k === "cast") return x.a.t === "i32" || x.t === "f32" ? visit(x.a) : undefined;
    if (x.k !== "bin") return undefined;
    const a = visit(x.a);
    const b = visit(x.b);
    if (x.op === "mul" && (a === 0 || b === 0)) return 0;
    if (a === undefined || b === undefined) return undefined;
    if (x.op === "add") return a + b;
    if (x.op === "sub") return a - b;
    return x.op === "mul" ? a * b : undefined;
  };
  return visit(e);
}
