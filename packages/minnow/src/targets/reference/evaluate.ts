// Evaluates an Expr with plain numbers: the oracle of every target's lowering. float32 arithmetic is
// done in float64 and left unrounded, or, with `single`, rounded to float32 after each operation.
import { type CompareOp, children, type Expr, type ScalarType, type UnaryOp } from "../../compiler/expr.js";

/** i64 values are bigint, all others number. */
export type Value = number | bigint;

/** Evaluates for one element; operand −1 is the accumulator. */
export type Evaluator = (operand: (i: number) => Value) => Value;

export function evaluator(root: Expr, single = false): Evaluator {
  const order: Expr[] = [];
  const slot = new Map<Expr, number>();
  const visit = (e: Expr): void => {
    if (slot.has(e)) return;
    for (const c of children(e)) visit(c);
    slot.set(e, order.length);
    order.push(e);
  };
  visit(root);
  const inputs = order.map((e) => children(e).map((c) => slot.get(c) as number));
  const values = new Array<Value>(order.length).fill(0);
  return (operand) => {
    order.forEach((e, n) => {
      const v = apply(
        e,
        (inputs[n] as number[]).map((i) => values[i] as Value),
        operand,
      );
      values[n] = single && e.t === "f32" ? Math.fround(v as number) : v;
    });
    return values[order.length - 1] as Value;
  };
}

function apply(e: Expr, x: readonly Value[], operand: (i: number) => Value): Value {
  switch (e.k) {
    case "in":
      return operand(e.i);
    case "const":
      return e.t === "i64" ? BigInt(e.v) : e.t === "i32" ? e.v | 0 : e.v;
    case "un":
      return unary(e.op, e.t, x[0] as Value);
    case "bin":
      if (e.t === "f32") return floatBinary(e.op, x[0] as number, x[1] as number);
      return wrap(e.t, integerBinary(e.op, e.t, BigInt(x[0] as Value), BigInt(x[1] as Value)));
    case "cmp":
      return compare(e.op, x[0] as Value, x[1] as Value) ? 1 : 0;
    case "select":
      return (x[0] ? x[1] : x[2]) as Value;
    case "cast":
      return cast(x[0] as Value, e.a.t, e.t);
    case "bits":
      return reinterpret(x[0] as number, e.a.t, e.t);
  }
}

const wrap = (t: ScalarType, v: bigint): Value =>
  t === "i64" ? BigInt.asIntN(64, v) : Number(BigInt.asIntN(32, v));

function unary(op: UnaryOp, t: ScalarType, v: Value): Value {
  if (t !== "f32") {
    const b = BigInt(v);
    return wrap(t, op === "neg" ? -b : b < 0n ? -b : b);
  }
  const x = v as number;
  const functions: Record<UnaryOp, (x: number) => number> = {
    neg: (a) => -a,
    abs: Math.abs,
    sqrt: Math.sqrt,
    floor: Math.floor,
    ceil: Math.ceil,
    trunc: Math.trunc,
    nearest: roundHalfEven,
    exp: Math.exp,
    log: Math.log,
    tanh: Math.tanh,
    sigmoid: (a) => 1 / (1 + Math.exp(-a)),
    erf: erf64,
    sin: Math.sin,
    cos: Math.cos,
  };
  return functions[op](x);
}

export function roundHalfEven(x: number): number {
  const r = Math.round(x);
  const even = r - x === 0.5 && r % 2 !== 0 ? r - 1 : r;
  return even === 0 ? Math.sign(x) * 0 : even;
}

/** erf in float64: the Maclaurin series, and the continued fraction of erfc from 3 on. */
export function erf64(x: number): number {
  if (Number.isNaN(x)) return x;
  const a = Math.abs(x);
  if (a < 3) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 200 && Math.abs(term) > 1e-18 * Math.abs(sum); n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  if (a > 7) return Math.sign(x);
  let tail = a;
  for (let k = 60; k > 0; k--) tail = a + k / 2 / tail;
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * tail));
}

function floatBinary(op: string, a: number, b: number): number {
  switch (op) {
    case "add":
      return a + b;
    case "sub":
      return a - b;
    case "mul":
      return a * b;
    case "div":
      return a / b;
    case "min":
      return Math.min(a, b);
    case "max":
      return Math.max(a, b);
    case "pow":
      // C and Python: 1^y = 1 even for NaN, (−1)^±∞ = 1
      return a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY) ? 1 : a ** b;
    default:
      throw new TypeError(`${op} of f32`);
  }
}

function integerBinary(op: string, t: ScalarType, a: bigint, b: bigint): bigint {
  const shift = b & (t === "i64" ? 63n : 31n);
  switch (op) {
    case "add":
      return a + b;
    case "sub":
      return a - b;
    case "mul":
      return a * b;
    case "div":
      return b === 0n ? 0n : a / b;
    case "rem":
      return b === 0n ? 0n : a % b;
    case "min":
      return a < b ? a : b;
    case "max":
      return a > b ? a : b;
    case "and":
      return a & b;
    case "or":
      return a | b;
    case "xor":
      return a ^ b;
    case "shl":
      return a << shift;
    case "shr":
      return a >> shift;
    default:
      throw new TypeError(`${op} of ${t}`);
  }
}

function compare(op: CompareOp, a: Value, b: Value): boolean {
  switch (op) {
    case "eq":
      return a === b;
    case "ne":
      return a !== b;
    case "lt":
      return a < b;
    case "le":
      return a <= b;
    case "gt":
      return a > b;
    case "ge":
      return a >= b;
  }
}

function cast(v: Value, from: ScalarType, to: ScalarType): Value {
  if (from !== "f32") return to === "f32" ? Number(v) : wrap(to, BigInt(v));
  const x = v as number;
  if (to === "f32") return x;
  if (Number.isNaN(x)) return to === "i64" ? 0n : 0;
  if (to === "i32") return Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.trunc(x)));
  if (x >= 2 ** 63) return 2n ** 63n - 1n;
  return x <= -(2 ** 63) ? -(2n ** 63n) : BigInt(Math.trunc(x));
}

const scratch = new DataView(new ArrayBuffer(4));
function reinterpret(v: number, from: ScalarType, to: ScalarType): number {
  if (from === to) return v;
  if (from === "f32") {
    scratch.setFloat32(0, v);
    return scratch.getInt32(0);
  }
  scratch.setInt32(0, v);
  return scratch.getFloat32(0);
}
