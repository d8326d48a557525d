// Expr for one element in f32, i32 or i64.
import type { BinaryOp, Expr, ScalarType } from "../../compiler/expr.js";
import type { FunctionBuilder, WasmType } from "./assembler.js";
import { compareSuffix, Emitter, f32Unary } from "./expr_emitter.js";
import type { Op } from "./opcodes.js";

const integerSuffix: Partial<Record<BinaryOp, string>> = {
  add: "add",
  sub: "sub",
  mul: "mul",
  and: "and",
  or: "or",
  xor: "xor",
  shl: "shl",
  shr: "shr_s",
};

export class ScalarExpr extends Emitter {
  protected wasmType(t: ScalarType): WasmType {
    return t;
  }

  protected compute(e: Expr): void {
    const { f } = this;
    switch (e.k) {
      case "in":
        return;
      case "const":
        if (e.t === "f32") f.f32(e.v);
        else if (e.t === "i32") f.i32(e.v);
        else f.i64(e.v >= 2 ** 63 ? 2n ** 63n - 1n : BigInt(e.v));
        return;
      case "un":
        return this.#unary(e);
      case "bin":
        return this.#binary(e);
      case "cmp": {
        this.value(e.a);
        this.value(e.b);
        const [float, int] = compareSuffix[e.op];
        f.op(`${e.a.t}.${e.a.t === "f32" ? float : int}` as Op);
        return;
      }
      case "select":
        this.value(e.a);
        this.value(e.b);
        this.value(e.c);
        f.op("select");
        return;
      case "cast":
        this.value(e.a);
        return scalarCast(f, e.a.t, e.t);
      case "bits":
        this.value(e.a);
        if (e.a.t !== e.t) f.op(e.t === "f32" ? "f32.reinterpret_i32" : "i32.reinterpret_f32");
    }
  }

  #unary(e: Extract<Expr, { k: "un" }>): void {
    const { f } = this;
    const op = e.t === "f32" ? f32Unary[e.op] : undefined;
    if (op) {
      this.value(e.a);
      f.op(op);
      return;
    }
    if (e.t === "f32" || (e.op !== "neg" && e.op !== "abs")) throw new TypeError(`${e.op} of ${e.t}`);
    const zero = (): FunctionBuilder => (e.t === "i32" ? f.i32(0) : f.i64(0));
    if (e.op === "neg") {
      zero();
      this.value(e.a);
      f.op(`${e.t}.sub`);
      return;
    }
    const x = this.temp(e.t);
    this.value(e.a);
    f.set(x);
    zero().get(x).op(`${e.t}.sub`).get(x).get(x);
    zero().op(`${e.t}.lt_s`, "select");
  }

  #binary(e: Extract<Expr, { k: "bin" }>): void {
    const { f } = this;
    const { op, t } = e;
    if (op === "min" || op === "max") return this.#extreme(e);
    if (t === "f32") {
      if (op !== "add" && op !== "sub" && op !== "mul" && op !== "div") throw new TypeError(`${op} of f32`);
      this.value(e.a);
      this.value(e.b);
      f.op(`f32.${op}`);
      return;
    }
    this.value(e.a);
    this.value(e.b);
    if (op === "div" || op === "rem") return this.#divide(t, op, e.b);
    f.op(`${t}.${integerSuffix[op]}` as Op);
  }

  #extreme(e: Extract<Expr, { k: "bin" }>): void {
    const { f } = this;
    if (e.t === "f32" && e.b.k !== "const") {
      this.value(e.a);
      this.value(e.b);
      f.op(e.op === "max" ? "f32.max" : "f32.min");
      return;
    }
    // x < c ? c : x, as pmax; NaN in x stays.
    const a = this.temp(e.t);
    const b = this.temp(e.t);
    this.value(e.a);
    f.set(a);
    this.value(e.b);
    f.set(b);
    f.get(b)
      .get(a)
      .get(e.op === "max" ? a : b)
      .get(e.op === "max" ? b : a);
    f.op(`${e.t}.${e.t === "f32" ? "lt" : "lt_s"}` as Op, "select");
  }

  /** Dividend and divisor are on the stack. */
  #divide(t: "i32" | "i64", op: "div" | "rem", divisor: Expr): void {
    divideSafely(this.f, t, op, divisor.k === "const" && divisor.v !== 0 && divisor.v !== -1);
  }
}

/** a, b on the stack → a ÷ b, with x/0 = 0, x%0 = 0 and MIN/−1 = MIN. */
export function divideSafely(f: FunctionBuilder, t: "i32" | "i64", op: "div" | "rem", plain: boolean): void {
  const instruction = `${t}.${op}_s` as Op;
  if (plain) {
    f.op(instruction);
    return;
  }
  const a = f.local(t);
  const b = f.local(t);
  const constant = (n: number): FunctionBuilder => (t === "i32" ? f.i32(n) : f.i64(n));
  f.set(b).set(a);
  f.get(b)
    .op(`${t}.eqz` as Op)
    .if(t);
  constant(0).else();
  if (op === "rem") f.get(a).get(b).op(instruction);
  else {
    f.get(b);
    constant(-1).op(`${t}.eq`).if(t);
    constant(0).get(a).op(`${t}.sub`).else().get(a).get(b).op(instruction).end();
  }
  f.end();
  f.free(t, a, b);
}

function scalarCast(f: FunctionBuilder, from: ScalarType, to: ScalarType): void {
  if (from === to) return;
  const key = `${from}>${to}`;
  const ops: Record<string, Op> = {
    "f32>i32": "i32.trunc_sat_f32_s",
    "f32>i64": "i64.trunc_sat_f32_s",
    "i32>f32": "f32.convert_i32_s",
    "i32>i64": "i64.extend_i32_s",
    "i64>i32": "i32.wrap_i64",
    "i64>f32": "f32.convert_i64_s",
  };
  f.op(ops[key] as Op);
}
