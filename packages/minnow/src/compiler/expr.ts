// The expression language: what happens to one element. Every element-wise operator is one Expr; so
// are kernel epilogues (activation, residual, requantisation). Each target lowers Expr once.
// An Expr is plain data and a directed acyclic graph: a node used twice is computed once.

/** Compute types. Storage types load into one of these: float16 → f32, (u)int8/16, bool → i32. */
export type ScalarType = "f32" | "i32" | "i64";

/** f32 only, unless said otherwise. */
export type UnaryOp =
  | "neg" // all types
  | "abs" // f32, i32
  | "sqrt"
  | "floor"
  | "ceil"
  | "trunc"
  | "nearest" // half to even
  // Transcendentals: targets expand them (one polynomial for all, ≤ 2 ULP). Those without a constructor here have
  // one where their polynomial is: functions.ts.
  | "exp"
  | "log"
  | "tanh"
  | "sigmoid"
  | "erf"
  | "sin"
  | "cos";

export type BinaryOp =
  | "add" // all
  | "sub" // all
  | "mul" // all
  | "div" // f32: IEEE; integers: truncates, x/0 = 0
  | "rem" // integers: sign of the dividend, x%0 = 0
  | "min" // f32: NaN if either is NaN
  | "max"
  | "pow" // f32; constructor: expand_pow.ts
  | "and" // integers, bitwise
  | "or"
  | "xor"
  | "shl"
  | "shr"; // arithmetic

/** Comparisons give i32 0 or 1; with NaN only "ne" holds. */
export type CompareOp = "eq" | "ne" | "lt" | "le" | "gt" | "ge";

export type Expr =
  /** Operand `i` of the nest; −1 is the accumulator of a reduction or named kernel. */
  | { readonly k: "in"; readonly i: number; readonly t: ScalarType }
  | { readonly k: "const"; readonly v: number; readonly t: ScalarType }
  | { readonly k: "un"; readonly op: UnaryOp; readonly a: Expr; readonly t: ScalarType }
  | { readonly k: "bin"; readonly op: BinaryOp; readonly a: Expr; readonly b: Expr; readonly t: ScalarType }
  | { readonly k: "cmp"; readonly op: CompareOp; readonly a: Expr; readonly b: Expr; readonly t: "i32" }
  | { readonly k: "select"; readonly c: Expr; readonly a: Expr; readonly b: Expr; readonly t: ScalarType }
  /** Value conversion. f32 → integer truncates and saturates (NaN → 0); i64 → i32 wraps. */
  | { readonly k: "cast"; readonly a: Expr; readonly t: ScalarType }
  /** Same bits, other type: f32 ↔ i32. */
  | { readonly k: "bits"; readonly a: Expr; readonly t: ScalarType };

export const input = (i: number, t: ScalarType): Expr => ({ k: "in", i, t });
export const accumulator = (t: ScalarType): Expr => input(-1, t);
export const num = (v: number, t: ScalarType = "f32"): Expr => ({ k: "const", v, t });
type Arg = Expr | number;
const lift = (x: Arg, t: ScalarType): Expr => (typeof x === "number" ? num(x, t) : x);

export const unary =
  (op: UnaryOp) =>
  (a: Expr): Expr => ({ k: "un", op, a, t: a.t });
export const neg = unary("neg");
export const abs = unary("abs");
export const sqrt = unary("sqrt");
export const floor = unary("floor");
export const ceil = unary("ceil");
export const trunc = unary("trunc");
export const nearest = unary("nearest");
export const exp = unary("exp");
export const sigmoid = unary("sigmoid");

const typeOf = (a: Arg, b: Arg): ScalarType =>
  typeof a !== "number" ? a.t : typeof b !== "number" ? b.t : "f32";
export const binary =
  (op: BinaryOp) =>
  (a: Arg, b: Arg): Expr => {
    const t = typeOf(a, b);
    const x = lift(a, t);
    const y = lift(b, t);
    if (x.t !== y.t) throw new TypeError(`${op} of ${x.t} and ${y.t}`);
    return { k: "bin", op, a: x, b: y, t };
  };
export const add = binary("add");
export const sub = binary("sub");
export const mul = binary("mul");
export const div = binary("div");
export const rem = binary("rem");
export const min = binary("min");
export const max = binary("max");
export const and = binary("and");
export const or = binary("or");
export const xor = binary("xor");
export const shl = binary("shl");
export const shr = binary("shr");

const compare =
  (op: CompareOp) =>
  (a: Arg, b: Arg): Expr => {
    const t = typeOf(a, b);
    return { k: "cmp", op, a: lift(a, t), b: lift(b, t), t: "i32" };
  };
export const eq = compare("eq");
export const ne = compare("ne");
export const lt = compare("lt");
export const le = compare("le");
export const gt = compare("gt");
export const ge = compare("ge");

export const select = (c: Expr, a: Arg, b: Arg): Expr => {
  const t = typeOf(a, b);
  return { k: "select", c, a: lift(a, t), b: lift(b, t), t };
};
export const cast = (a: Expr, t: ScalarType): Expr => (a.t === t ? a : { k: "cast", a, t });
export const bits = (a: Expr, t: "f32" | "i32"): Expr => ({ k: "bits", a, t });
export const clamp = (x: Expr, lo: number, hi: number): Expr => {
  let e = x;
  if (lo !== Number.NEGATIVE_INFINITY) e = max(e, lo);
  if (hi !== Number.POSITIVE_INFINITY) e = min(e, hi);
  return e;
};

/** Children in evaluation order. */
export function children(e: Expr): readonly Expr[] {
  switch (e.k) {
    case "in":
    case "const":
      return [];
    case "un":
    case "cast":
    case "bits":
      return [e.a];
    case "bin":
    case "cmp":
      return [e.a, e.b];
    case "select":
      return [e.c, e.a, e.b];
  }
}

/** Rebuilds bottom-up; `leaf` replaces inputs (same type!). Shared nodes stay shared. */
export function substitute(e: Expr, leaf: (i: number, t: ScalarType) => Expr): Expr {
  const memo = new Map<Expr, Expr>();
  const visit = (x: Expr): Expr => {
    const known = memo.get(x);
    if (known) return known;
    let y: Expr;
    switch (x.k) {
      case "in":
        y = leaf(x.i, x.t);
        if (y.t !== x.t) throw new TypeError(`operand ${x.i} is ${x.t}, given ${y.t}`);
        break;
      case "const":
        y = x;
        break;
      case "un":
      case "cast":
      case "bits":
        y = { ...x, a: visit(x.a) };
        break;
      case "bin":
      case "cmp":
        y = { ...x, a: visit(x.a), b: visit(x.b) };
        break;
      case "select":
        y = { ...x, c: visit(x.c), a: visit(x.a), b: visit(x.b) };
    }
    memo.set(x, y);
    return y;
  };
  return visit(e);
}

/** Operand numbers used, ascending (−1 = accumulator). */
export function operandsOf(e: Expr): number[] {
  const found = new Set<number>();
  const seen = new Set<Expr>();
  const visit = (x: Expr): void => {
    if (seen.has(x)) return;
    seen.add(x);
    if (x.k === "in") found.add(x.i);
    for (const c of children(x)) visit(c);
  };
  visit(e);
  return [...found].sort((a, b) => a - b);
}

const symbols: Record<string, string> = {
  add: "+",
  sub: "-",
  mul: "*",
  div: "/",
  rem: "%",
  and: "&",
  or: "|",
  xor: "^",
  shl: "<<",
  shr: ">>",
  eq: "==",
  ne: "!=",
  lt: "<",
  le: "<=",
  gt: ">",
  ge: ">=",
};

/** Stable text: also the key under which generated code is shared. Shared nodes print as %n. */
export function print(e: Expr): string {
  const uses = new Map<Expr, number>();
  const countUses = (x: Expr): void => {
    const n = uses.get(x) ?? 0;
    uses.set(x, n + 1);
    if (n === 0) for (const c of children(x)) countUses(c);
  };
  countUses(e);
  const names = new Map<Expr, string>();
  const lines: string[] = [];
  const show = (x: Expr): string => {
    const known = names.get(x);
    if (known) return known;
    const text = body(x);
    if ((uses.get(x) ?? 0) < 2 || x.k === "in" || x.k === "const") return text;
    const name = `%${names.size}`;
    names.set(x, name);
    lines.push(`${name} = ${text}`);
    return name;
  };
  const body = (x: Expr): string => {
    switch (x.k) {
      case "in":
        return x.i < 0 ? `acc:${x.t}` : `$${x.i}:${x.t}`;
      case "const":
        return `${Object.is(x.v, -0) ? "-0" : x.v}${x.t === "f32" ? "f" : x.t === "i64" ? "L" : ""}`;
      case "un":
        return `${x.op}(${show(x.a)})`;
      case "bin":
      case "cmp":
        return symbols[x.op]
          ? `(${show(x.a)} ${symbols[x.op]} ${show(x.b)})`
          : `${x.op}(${show(x.a)}, ${show(x.b)})`;
      case "select":
        return `select(${show(x.c)}, ${show(x.a)}, ${show(x.b)})`;
      case "cast":
        return `${x.t}(${show(x.a)})`;
      case "bits":
        return `bits_${x.t}(${show(x.a)})`;
    }
  };
  const result = show(e);
  return [...lines, result].join("; ");
}

/** Distinct nodes. */
export function nodesOf(e: Expr): number {
  const seen = new Set<Expr>();
  const visit = (x: Expr): void => {
    if (seen.has(x)) return;
    seen.add(x);
    for (const c of children(x)) visit(c);
  };
  visit(e);
  return seen.size;
}
