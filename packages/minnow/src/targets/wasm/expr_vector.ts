// Expr for four lanes, f32x4 or i32x4. What SIMD lacks goes lane by lane.
import { type BinaryOp, children, type Expr } from "../../compiler/expr.js";
import type { FunctionBuilder, Local, WasmType } from "./assembler.js";
import { compareSuffix, Emitter, f32Unary } from "./expr_emitter.js";
import { divideSafely } from "./expr_scalar.js";
import type { Op } from "./opcodes.js";

/** Which operands hold one finite number; "small": less than 2^22 in magnitude. */
export type NumberTest = (i: number) => boolean | "small";

/** 0 or 1 by construction, so that a lane mask can stand for it. */
function isBoolean(e: Expr): boolean {
  if (e.k === "cmp") return true;
  return (
    e.k === "bin" &&
    e.t === "i32" &&
    (e.op === "and" || e.op === "or" || e.op === "xor") &&
    isBoolean(e.a) &&
    isBoolean(e.b)
  );
}

/** Evaluation order and sharing, common to both forms. */ type Constant = Extract<Expr, { k: "const" }>;
const magic: Constant = { k: "const", v: 12582912, t: "f32" };
const magicBits: Constant = { k: "const", v: 0x4b400000, t: "i32" };
type Rounding = Extract<Expr, { k: "cast" }> & { readonly a: Extract<Expr, { k: "un" }> };

export class VectorExpr extends Emitter {
  readonly #constants = new Map<string, Local>();
  #masks = new Map<Expr, Local>();

  constructor(
    f: FunctionBuilder,
    root: Expr,
    private readonly fma: boolean,
    private readonly isNumber: NumberTest,
  ) {
    super(f, root);
    const seen = new Set<Expr>();
    const visit = (x: Expr): void => {
      if (seen.has(x)) return;
      seen.add(x);
      if (x.k === "const") this.#constant(x);
      if (this.#isShortRounding(x)) for (const c of [magic, magicBits]) this.#constant(c);
      const shift = x.k === "bin" && (x.op === "shl" || x.op === "shr") && x.b.k === "const";
      for (const c of children(x)) if (!(shift && c === x.b)) visit(c);
    };
    visit(root);
  }

  protected wasmType(): WasmType {
    return "v128";
  }
  protected override forget(): void {
    this.#masks = new Map();
  }

  #constant(x: Constant): void {
    const key = `${x.t}${Object.is(x.v, -0) ? "-0" : x.v}`;
    if (this.#constants.has(key)) return;
    const local = this.f.local("v128");
    this.#constants.set(key, local);
    if (x.t === "f32") this.f.f32x4(x.v).set(local);
    else this.f.i32x4(x.v).set(local);
  }

  protected compute(e: Expr): void {
    const { f } = this;
    switch (e.k) {
      case "in":
        return;
      case "const":
        f.get(this.#constants.get(`${e.t}${Object.is(e.v, -0) ? "-0" : e.v}`) as Local);
        return;
      case "un": {
        const op =
          e.t === "f32"
            ? f32Unary[e.op]
            : e.op === "neg" || e.op === "abs"
              ? (`i32.${e.op}` as const)
              : undefined;
        if (!op) throw new TypeError(`${e.op} of ${e.t}`);
        this.value(e.a);
        f.op(op.replace("32.", "32x4.") as Op);
        return;
      }
      case "bin":
        if (isBoolean(e)) return this.#fromMask(e);
        return e.t === "f32" ? this.#floatBinary(e) : this.#intBinary(e);
      case "cmp":
        return this.#fromMask(e);
      case "select":
        this.value(e.a);
        this.value(e.b);
        this.#mask(e.c);
        f.op("v128.bitselect");
        return;
      case "cast":
        if (this.#isShortRounding(e)) return this.#shortRounding(e.a.a);
        this.value(e.a);
        if (e.a.t !== e.t) f.op(e.t === "f32" ? "f32x4.convert_i32x4_s" : "i32x4.trunc_sat_f32x4_s");
        return;
      case "bits":
        this.value(e.a);
    }
  }

  #numberClass(e: Expr): boolean | "small" {
    if (e.k === "const") return Math.abs(e.v) < 2 ** 22 ? "small" : !Number.isNaN(e.v);
    return e.k === "in" && this.isNumber(e.i);
  }

  /** i32(nearest(x)) with x between small bounds, as requantisation has it. */
  #isShortRounding(e: Expr): e is Rounding {
    if (e.k !== "cast" || e.t !== "i32" || e.a.k !== "un" || e.a.op !== "nearest") return false;
    const { lo, hi } = this.#limits(e.a.a);
    return lo && hi;
  }

  #limits(e: Expr): { lo: boolean; hi: boolean } {
    if (e.k !== "bin" || (e.op !== "min" && e.op !== "max") || this.#numberClass(e.b) !== "small")
      return { lo: false, hi: false };
    const inner = this.#limits(e.a);
    return e.op === "max" ? { lo: true, hi: inner.hi } : { lo: inner.lo, hi: true };
  }

  /** Adding 1.5·2^23 rounds half to even and leaves the integer in the low bits: 2 instructions, not 8. */
  #shortRounding(x: Expr): void {
    const { f } = this;
    this.value(x);
    if (!this.#isNumeric(x)) {
      // NaN gives 0
      const v = this.temp("v128");
      f.tee(v).get(v).get(v).op("f32x4.eq", "v128.and");
    }
    this.compute(magic);
    f.op("f32x4.add");
    this.compute(magicBits);
    f.op("i32x4.sub");
  }

  /** Never NaN: made of integers and finite numbers. */
  #isNumeric(e: Expr, finite = false): boolean {
    if (e.k === "cast") return e.a.t !== "f32";
    if (this.#numberClass(e) !== false) return !finite || e.k !== "const" || Number.isFinite(e.v);
    if (e.k !== "bin") return false;
    // an infinity could meet another one, or 0, so only the last operation may overflow
    if (e.op === "min" || e.op === "max") return this.#numberClass(e.b) !== false && this.#isNumeric(e.a);
    return (
      !finite &&
      ["add", "sub", "mul"].includes(e.op) &&
      this.#isNumeric(e.a, true) &&
      this.#isNumeric(e.b, true)
    );
  }

  #fromMask(e: Expr): void {
    this.#mask(e);
    this.f.op("i32x4.neg");
  }

  /** Pushes all ones in the lanes where e ≠ 0. */
  #mask(e: Expr): void {
    const { f } = this;
    const known = this.#masks.get(e);
    if (known !== undefined) {
      f.get(known);
      return;
    }
    if (e.k === "cmp") {
      this.value(e.a);
      this.value(e.b);
      const [float, int] = compareSuffix[e.op];
      f.op((e.a.t === "f32" ? `f32x4.${float}` : `i32x4.${int}`) as Op);
    } else if (e.k === "bin" && isBoolean(e)) {
      this.#mask(e.a);
      this.#mask(e.b);
      f.op(`v128.${e.op}` as Op);
    } else {
      this.value(e);
      f.i32x4(0).op("i32x4.ne");
      return;
    }
    if (this.once(e)) return;
    const local = this.temp("v128");
    this.#masks.set(e, local);
    f.tee(local);
  }

  #floatBinary(e: Extract<Expr, { k: "bin" }>): void {
    const { f } = this;
    if (this.fma && (e.op === "add" || e.op === "sub") && this.#contract(e)) return;
    this.value(e.a);
    this.value(e.b);
    const number = this.#numberClass(e.b) !== false;
    const ops: Partial<Record<BinaryOp, Op>> = {
      add: "f32x4.add",
      sub: "f32x4.sub",
      mul: "f32x4.mul",
      div: "f32x4.div",
      // pmax(x, c) = x < c ? c : x: one instruction on x86, and NaN in x stays
      max: number ? "f32x4.pmax" : "f32x4.max",
      min: number ? "f32x4.pmin" : "f32x4.min",
    };
    const op = ops[e.op];
    if (!op) throw new TypeError(`${e.op} of f32`);
    f.op(op);
  }

  /** a·b + c as one fused instruction, where the product has no other use. */
  #contract(e: Extract<Expr, { k: "bin" }>): boolean {
    const isProduct = (x: Expr): boolean => x.k === "bin" && x.op === "mul" && this.once(x);
    const [product, other] =
      e.op === "add" && isProduct(e.a) ? [e.a, e.b] : isProduct(e.b) ? [e.b, e.a] : [undefined, e.a];
    if (product?.k !== "bin") return false;
    this.value(product.a);
    this.value(product.b);
    this.value(other);
    this.f.op(e.op === "add" ? "f32x4.relaxed_madd" : "f32x4.relaxed_nmadd");
    return true;
  }

  #intBinary(e: Extract<Expr, { k: "bin" }>): void {
    const { f } = this;
    const { op } = e;
    if ((op === "shl" || op === "shr") && e.b.k === "const") {
      this.value(e.a);
      f.i32(e.b.v).op(op === "shl" ? "i32x4.shl" : "i32x4.shr_s");
      return;
    }
    this.value(e.a);
    this.value(e.b);
    if (op === "div" || op === "rem" || op === "shl" || op === "shr") return this.#lanewise(op, e.b);
    if (op === "and" || op === "or" || op === "xor") f.op(`v128.${op}`);
    else if (op === "min" || op === "max") f.op(`i32x4.${op}_s`);
    else f.op(`i32x4.${op}` as Op);
  }

  /** What SIMD lacks, lane by lane; both vectors are on the stack. */
  #lanewise(op: "div" | "rem" | "shl" | "shr", divisor: Expr): void {
    const { f } = this;
    const a = this.temp("v128");
    const b = this.temp("v128");
    const r = this.temp("v128");
    const plain = divisor.k === "const" && divisor.v !== 0 && divisor.v !== -1;
    f.set(b).set(a);
    for (let lane = 0; lane < 4; lane++) {
      if (lane > 0) f.get(r);
      f.get(a).lane("i32x4.extract_lane", lane).get(b).lane("i32x4.extract_lane", lane);
      if (op === "div" || op === "rem") divideSafely(f, "i32", op, plain);
      else f.op(op === "shl" ? "i32.shl" : "i32.shr_s");
      if (lane === 0) f.op("i32x4.splat").set(r);
      else f.lane("i32x4.replace_lane", lane).set(r);
    }
    f.get(r);
  }
}
