// Evaluation order and sharing, common to the scalar and the vector form of an expression.
import { children, type CompareOp, type Expr, type ScalarType } from "../../compiler/expr.js";
import type { FunctionBuilder, Local, WasmType } from "./assembler.js";
import type { Op } from "./opcodes.js";

/** An expression whose constants are in locals of one function. */
export interface ReadyExpr {
  /** Type of the result. */
  readonly type: ScalarType;
  /**
   * Evaluates; leaves the value on the stack (vector: a v128 of f32x4 or i32x4).
   * @param operand the local that holds operand i (−1: the accumulator); never written to
   */
  emit(operand: (i: number) => Local): void;
}
export abstract class Emitter implements ReadyExpr {
  readonly type: ScalarType;
  readonly #uses = new Map<Expr, number>();
  protected operand: (i: number) => Local = () => 0;
  #temps: { type: WasmType; local: Local }[] = [];
  #shared = new Map<Expr, Local>();

  constructor(
    protected readonly f: FunctionBuilder,
    protected readonly root: Expr,
  ) {
    this.type = root.t;
    const visit = (x: Expr): void => {
      const n = this.#uses.get(x) ?? 0;
      this.#uses.set(x, n + 1);
      if (n === 0) for (const c of children(x)) visit(c);
    };
    visit(root);
  }

  emit(operand: (i: number) => Local): void {
    this.operand = operand;
    this.value(this.root);
    for (const t of this.#temps) this.f.free(t.type, t.local);
    this.#temps = [];
    this.#shared = new Map();
    this.forget();
  }

  protected forget(): void {}
  protected abstract wasmType(t: ScalarType): WasmType;
  /** Pushes a node's value, given that it is needed here for the first time. */
  protected abstract compute(e: Expr): void;

  protected once(e: Expr): boolean {
    return (this.#uses.get(e) ?? 0) < 2;
  }
  protected temp(type: WasmType): Local {
    const local = this.f.local(type);
    this.#temps.push({ type, local });
    return local;
  }
  protected value(e: Expr): void {
    if (e.k === "in") {
      this.f.get(this.operand(e.i));
      return;
    }
    const known = this.#shared.get(e);
    if (known !== undefined) {
      this.f.get(known);
      return;
    }
    this.compute(e);
    if (this.once(e) || e.k === "const") return;
    const local = this.temp(this.wasmType(e.t));
    this.#shared.set(e, local);
    this.f.tee(local);
  }
}

export const f32Unary: Partial<Record<string, Op>> = {
  neg: "f32.neg",
  abs: "f32.abs",
  sqrt: "f32.sqrt",
  floor: "f32.floor",
  ceil: "f32.ceil",
  trunc: "f32.trunc",
  nearest: "f32.nearest",
};
export const compareSuffix: Record<CompareOp, [string, string]> = {
  eq: ["eq", "eq"],
  ne: ["ne", "ne"],
  lt: ["lt", "lt_s"],
  le: ["le", "le_s"],
  gt: ["gt", "gt_s"],
  ge: ["ge", "ge_s"],
};
