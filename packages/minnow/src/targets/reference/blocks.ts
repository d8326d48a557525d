// Evaluates an Expr over many elements: one loop per node over a block, instead of one walk of the Expr per
// element (evaluate.ts, whose meaning this must have: the test compares them). float64 arithmetic, unrounded.
// Expressions with int64 are left to evaluate.ts.
import { type BinaryOp, children, type CompareOp, type Expr, type UnaryOp } from "../../compiler/expr.js";
import { evaluator } from "./evaluate.js";

type Column = Float64Array;
type Step = (n: number) => void;

/** Elements computed at once. */
export const blockSize = 1024;

/** Fills the result of a block of `n` ≤ blockSize elements; `operand(i)` gives that block of operand i. */
export type BlockEvaluator = (n: number, operand: (i: number) => Column) => Column;

/** null where an Expr needs int64. */
export function blockEvaluator(root: Expr): BlockEvaluator | null {
  const columns = new Map<Expr, Column>();
  const steps: Step[] = [];
  const loads: { column: Column; operand: number }[] = [];
  let wide = false;
  const visit = (e: Expr): Column => {
    const known = columns.get(e);
    if (known) return known;
    if (e.t === "i64") wide = true;
    const inputs = children(e).map(visit);
    const out = new Float64Array(blockSize);
    columns.set(e, out);
    if (e.k === "in") loads.push({ column: out, operand: e.i });
    else if (e.k === "const") out.fill(e.t === "i32" ? e.v | 0 : e.v);
    else steps.push(step(e, inputs, out));
    return out;
  };
  const result = visit(root);
  if (wide) return null;
  return (n, operand) => {
    for (const l of loads) l.column.set(operand(l.operand).subarray(0, n));
    for (const s of steps) s(n);
    return result;
  };
}

function step(e: Expr, [a, b, c]: readonly Column[], out: Column): Step {
  const x = a as Column;
  const y = b as Column;
  const z = c as Column;
  if (e.k === "un") return map(plainUnary(e), x, out);
  if (e.k === "bin")
    return zip(e.t === "f32" ? floats[e.op] : integers[e.op], x, y, out) ?? slow(e, [x, y], out);
  if (e.k === "cmp") return compare(e.op, x, y, out);
  if (e.k === "select")
    return (n) => {
      for (let i = 0; i < n; i++) out[i] = (x[i] ? y[i] : z[i]) as number;
    };
  return slow(e, [x], out);
}

/** One element at a time through evaluate.ts: for what is rare. */
function slow(e: Expr, inputs: readonly Column[], out: Column): Step {
  const leaves = children(e).map((c, i): Expr => ({ k: "in", i, t: c.t }));
  const one = { ...e, ...(leaves[0] && { a: leaves[0] }), ...(leaves[1] && { b: leaves[1] }) } as Expr;
  const run = evaluator(one);
  return (n) => {
    for (let i = 0; i < n; i++) out[i] = Number(run((k) => (inputs[k] as Column)[i] as number));
  };
}

const inline: Partial<Record<UnaryOp, (x: number) => number>> = {
  neg: (x) => -x,
  abs: Math.abs,
  sqrt: Math.sqrt,
  floor: Math.floor,
  ceil: Math.ceil,
  trunc: Math.trunc,
  exp: Math.exp,
  log: Math.log,
  tanh: Math.tanh,
  sin: Math.sin,
  cos: Math.cos,
};

function plainUnary(e: Expr & { k: "un" }): (x: number) => number {
  const f = e.t === "f32" ? inline[e.op] : undefined;
  if (f) return f;
  const run = evaluator({ ...e, a: { k: "in", i: 0, t: e.t } });
  return (x) => Number(run(() => x));
}

function map(f: (x: number) => number, x: Column, out: Column): Step {
  return (n) => {
    for (let i = 0; i < n; i++) out[i] = f(x[i] as number);
  };
}

type Zip = (x: Column, y: Column, out: Column) => Step;

const floats: Partial<Record<BinaryOp, Zip>> = {
  add: (x, y, out) => (n) => {
    for (let i = 0; i < n; i++) out[i] = (x[i] as number) + (y[i] as number);
  },
  sub: (x, y, out) => (n) => {
    for (let i = 0; i < n; i++) out[i] = (x[i] as number) - (y[i] as number);
  },
  mul: (x, y, out) => (n) => {
    for (let i = 0; i < n; i++) out[i] = (x[i] as number) * (y[i] as number);
  },
  div: (x, y, out) => (n) => {
    for (let i = 0; i < n; i++) out[i] = (x[i] as number) / (y[i] as number);
  },
  min: (x, y, out) => (n) => {
    for (let i = 0; i < n; i++) out[i] = Math.min(x[i] as number, y[i] as number);
  },
  max: (x, y, out) => (n) => {
    for (let i = 0; i < n; i++) out[i] = Math.max(x[i] as number, y[i] as number);
  },
};

const integers: Partial<Record<BinaryOp, Zip>> = {
  add: (x, y, out) => (n) => {
    for (let i = 0; i < n; i++) out[i] = ((x[i] as number) + (y[i] as number)) | 0;
  },
  sub: (x, y, out) => (n) => {
    for (let i = 0; i < n; i++) out[i] = ((x[i] as number) - (y[i] as number)) | 0;
  },
  mul: (x, y, out) => (n) => {
    for (let i = 0; i < n; i++) out[i] = Math.imul(x[i] as number, y[i] as number);
  },
  and: (x, y, out) => (n) => {
    for (let i = 0; i < n; i++) out[i] = (x[i] as number) & (y[i] as number);
  },
  min: floats.min as Zip,
  max: floats.max as Zip,
};

const zip = (make: Zip | undefined, x: Column, y: Column, out: Column): Step | null =>
  make?.(x, y, out) ?? null;

function compare(op: CompareOp, x: Column, y: Column, out: Column): Step {
  const holds: Record<CompareOp, (a: number, b: number) => boolean> = {
    eq: (a, b) => a === b,
    ne: (a, b) => a !== b,
    lt: (a, b) => a < b,
    le: (a, b) => a <= b,
    gt: (a, b) => a > b,
    ge: (a, b) => a >= b,
  };
  const f = holds[op];
  return (n) => {
    for (let i = 0; i < n; i++) out[i] = f(x[i] as number, y[i] as number) ? 1 : 0;
  };
}
