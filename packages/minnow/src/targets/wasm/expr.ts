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
import { type BinaryOp, children, type CompareOp, type Expr, type ScalarType } from "../../compiler/expr.js";
import type { FunctionBuilder, Local, WasmType } from "./assembler.js";
import type { Engine } from "./engine.js";
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

export type NumberTest = (i: number) => boolean | "small";

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

/** 0 or 1 by construction, so that a lane mask can stand for it. */
function isBoolean(e: Expr): boolean {
  if (e.k === "cmp") return true;
  return (
    e.k === "bin" && e.t === "i32" && (e.op === "and" || e.op === "or" || e.op === "xor") && isBoolean(e.a) && isBoolean(e.b)
  );
}

/** Evaluation order and sharing, common to both forms. */
abstract class Emitter implements ReadyExpr {
  readonly type: ScalarType;
  private readonly uses = new Map<Expr, number>();
  protected operand: (i: number) => Local = () => 0;
  private temps: { type: WasmType; local: Local }[] = [];
  private shared = new Map<Expr, Local>();

  constructor(
    protected readonly f: FunctionBuilder,
    protected readonly root: Expr,
  ) {
    this.type = root.t;
    const visit = (x: Expr): void => {
      const n = this.uses.get(x) ?? 0;
      this.uses.set(x, n + 1);
      if (n === 0) for (const c of children(x)) visit(c);
    };
    visit(root);
  }

  emit(operand: (i: number) => Local): void {
    this.operand = operand;
    this.value(this.root);
    for (const t of this.temps) this.f.free(t.type, t.local);
    this.temps = [];
    this.shared = new Map();
    this.forget();
  }

  protected forget(): void {}
  protected abstract wasmType(t: ScalarType): WasmType;
  /** Pushes a node's value, given that it is needed here for the first time. */
  protected abstract compute(e: Expr): void;

  protected once(e: Expr): boolean {
    return (this.uses.get(e) ?? 0) < 2;
  }
  protected temp(type: WasmType): Local {
    const local = this.f.local(type);
    this.temps.push({ type, local });
    return local;
  }
  protected value(e: Expr): void {
    if (e.k === "in") {
      this.f.get(this.operand(e.i));
      return;
    }
    const known = this.shared.get(e);
    if (known !== undefined) {
      this.f.get(known);
      return;
    }
    this.compute(e);
    if (this.once(e) || e.k === "const") return;
    const local = this.temp(this.wasmType(e.t));
    this.shared.set(e, local);
    this.f.tee(local);
  }
}

const f32Unary: Partial<Record<string, Op>> = {
  neg: "f32.neg",
  abs: "f32.abs",
  sqrt: "f32.sqrt",
  floor: "f32.floor",
  ceil: "f32.ceil",
  trunc: "f32.trunc",
  nearest: "f32.nearest",
};
const compareSuffix: Record<CompareOp, [string, string]> = {
  eq: ["eq", "eq"],
  ne: ["ne", "ne"],
  lt: ["lt", "lt_s"],
  le: ["le", "le_s"],
  gt: ["gt", "gt_s"],
  ge: ["ge", "ge_s"],
};
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

class ScalarExpr extends Emitter {
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
        return this.unary(e);
      case "bin":
        return this.binary(e);
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

  private unary(e: Extract<Expr, { k: "un" }>): void {
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

  private binary(e: Extract<Expr, { k: "bin" }>): void {
    const { f } = this;
    const { op, t } = e;
    if (op === "min" || op === "max") return this.extreme(e);
    if (t === "f32") {
      if (op !== "add" && op !== "sub" && op !== "mul" && op !== "div") throw new TypeError(`${op} of f32`);
      this.value(e.a);
      this.value(e.b);
      f.op(`f32.${op}`);
      return;
    }
    this.value(e.a);
    this.value(e.b);
    if (op === "div" || op === "rem") return this.divide(t, op, e.b);
    f.op(`${t}.${integerSuffix[op]}` as Op);
  }

  private extreme(e: Extract<Expr, { k: "bin" }>): void {
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
    f.get(b).get(a).get(e.op === "max" ? a : b).get(e.op === "max" ? b : a);
    f.op(`${e.t}.${e.t === "f32" ? "lt" : "lt_s"}` as Op, "select");
  }

  /** Dividend and divisor are on the stack. */
  private divide(t: "i32" | "i64", op: "div" | "rem", divisor: Expr): void {
    divideSafely(this.f, t, op, divisor.k === "const" && divisor.v !== 0 && divisor.v !== -1);
  }
}

/** a, b on the stack → a ÷ b, with x/0 = 0, x%0 = 0 and MIN/−1 = MIN. */
function divideSafely(f: FunctionBuilder, t: "i32" | "i64", op: "div" | "rem", plain: boolean): void {
  const instruction = `${t}.${op}_s` as Op;
  if (plain) {
    f.op(instruction);
    return;
  }
  const a = f.local(t);
  const b = f.local(t);
  const constant = (n: number): FunctionBuilder => (t === "i32" ? f.i32(n) : f.i64(n));
  f.set(b).set(a);
  f.get(b).op(`${t}.eqz` as Op).if(t);
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

type Constant = Extract<Expr, { k: "const" }>;
const magic: Constant = { k: "const", v: 12582912, t: "f32" };
const magicBits: Constant = { k: "const", v: 0x4b400000, t: "i32" };
type Rounding = Extract<Expr, { k: "cast" }> & { readonly a: Extract<Expr, { k: "un" }> };

class VectorExpr extends Emitter {
  private readonly constants = new Map<string, Local>();
  private masks = new Map<Expr, Local>();

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
      if (x.k === "const") this.constant(x);
      if (this.isShortRounding(x)) for (const c of [magic, magicBits]) this.constant(c);
      const shift = x.k === "bin" && (x.op === "shl" || x.op === "shr") && x.b.k === "const";
      for (const c of children(x)) if (!(shift && c === x.b)) visit(c);
    };
    visit(root);
  }

  protected wasmType(): WasmType {
    return "v128";
  }
  protected override forget(): void {
    this.masks = new Map();
  }

  private constant(x: Constant): void {
    const key = `${x.t}${Object.is(x.v, -0) ? "-0" : x.v}`;
    if (this.constants.has(key)) return;
    const local = this.f.local("v128");
    this.constants.set(key, local);
    if (x.t === "f32") this.f.f32x4(x.v).set(local);
    else this.f.i32x4(x.v).set(local);
  }

  protected compute(e: Expr): void {
    const { f } = this;
    switch (e.k) {
      case "in":
        return;
      case "const":
        f.get(this.constants.get(`${e.t}${Object.is(e.v, -0) ? "-0" : e.v}`) as Local);
        return;
      case "un": {
        const op = e.t === "f32" ? f32Unary[e.op] : e.op === "neg" || e.op === "abs" ? (`i32.${e.op}` as const) : undefined;
        if (!op) throw new TypeError(`${e.op} of ${e.t}`);
        this.value(e.a);
        f.op(op.replace("32.", "32x4.") as Op);
        return;
      }
      case "bin":
        if (isBoolean(e)) return this.fromMask(e);
        return e.t === "f32" ? this.floatBinary(e) : this.intBinary(e);
      case "cmp":
        return this.fromMask(e);
      case "select":
        this.value(e.a);
        this.value(e.b);
        this.mask(e.c);
        f.op("v128.bitselect");
        return;
      case "cast":
        if (this.isShortRounding(e)) return this.shortRounding(e.a.a);
        this.value(e.a);
        if (e.a.t !== e.t) f.op(e.t === "f32" ? "f32x4.convert_i32x4_s" : "i32x4.trunc_sat_f32x4_s");
        return;
      case "bits":
        this.value(e.a);
    }
  }

  private numberClass(e: Expr): boolean | "small" {
    if (e.k === "const") return Math.abs(e.v) < 2 ** 22 ? "small" : !Number.isNaN(e.v);
    return e.k === "in" && this.isNumber(e.i);
  }

  /** i32(nearest(x)) with x between small bounds, as requantisation has it. */
  private isShortRounding(e: Expr): e is Rounding {
    if (e.k !== "cast" || e.t !== "i32" || e.a.k !== "un" || e.a.op !== "nearest") return false;
    const { lo, hi } = this.limits(e.a.a);
    return lo && hi;
  }

  private limits(e: Expr): { lo: boolean; hi: boolean } {
    if (e.k !== "bin" || (e.op !== "min" && e.op !== "max") || this.numberClass(e.b) !== "small") return { lo: false, hi: false };
    const inner = this.limits(e.a);
    return e.op === "max" ? { lo: true, hi: inner.hi } : { lo: inner.lo, hi: true };
  }

  /** Adding 1.5·2^23 rounds half to even and leaves the integer in the low bits: 2 instructions, not 8. */
  private shortRounding(x: Expr): void {
    const { f } = this;
    this.value(x);
    if (!this.isNumeric(x)) {
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
  private isNumeric(e: Expr, finite = false): boolean {
    if (e.k === "cast") return e.a.t !== "f32";
    if (this.numberClass(e) !== false) return !finite || e.k !== "const" || Number.isFinite(e.v);
    if (e.k !== "bin") return false;
    // an infinity could meet another one, or 0, so only the last operation may overflow
    if (e.op === "min" || e.op === "max") return this.numberClass(e.b) !== false && this.isNumeric(e.a);
    return !finite && ["add", "sub", "mul"].includes(e.op) && this.isNumeric(e.a, true) && this.isNumeric(e.b, true);
  }

  private fromMask(e: Expr): void {
    this.mask(e);
    this.f.op("i32x4.neg");
  }

  /** Pushes all ones in the lanes where e ≠ 0. */
  private mask(e: Expr): void {
    const { f } = this;
    const known = this.masks.get(e);
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
      this.mask(e.a);
      this.mask(e.b);
      f.op(`v128.${e.op}` as Op);
    } else {
      this.value(e);
      f.i32x4(0).op("i32x4.ne");
      return;
    }
    if (this.once(e)) return;
    const local = this.temp("v128");
    this.masks.set(e, local);
    f.tee(local);
  }

  private floatBinary(e: Extract<Expr, { k: "bin" }>): void {
    const { f } = this;
    if (this.fma && (e.op === "add" || e.op === "sub") && this.contract(e)) return;
    this.value(e.a);
    this.value(e.b);
    const number = this.numberClass(e.b) !== false;
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
  private contract(e: Extract<Expr, { k: "bin" }>): boolean {
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

  private intBinary(e: Extract<Expr, { k: "bin" }>): void {
    const { f } = this;
    const { op } = e;
    if ((op === "shl" || op === "shr") && e.b.k === "const") {
      this.value(e.a);
      f.i32(e.b.v).op(op === "shl" ? "i32x4.shl" : "i32x4.shr_s");
      return;
    }
    this.value(e.a);
    this.value(e.b);
    if (op === "div" || op === "rem" || op === "shl" || op === "shr") return this.lanewise(op, e.b);
    if (op === "and" || op === "or" || op === "xor") f.op(`v128.${op}`);
    else if (op === "min" || op === "max") f.op(`i32x4.${op}_s`);
    else f.op(`i32x4.${op}` as Op);
  }

  /** What SIMD lacks, lane by lane; both vectors are on the stack. */
  private lanewise(op: "div" | "rem" | "shl" | "shr", divisor: Expr): void {
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
