// Recurrent layers over x[T,B,I], weights as ONNX has them (w[D,G·H,I], r[D,G·H,H], b[D,2·G·H]), D directions:
//
//   LSTM  [i o f g] = x·wᵀ + h·rᵀ + b     c = σ(f)·c + σ(i)·tanh(g)     h = σ(o)·tanh(c)     |c| ≤ cellClip, if any
//   GRU   z, r = σ(x·wᵀ + h·rᵀ + b)       n = tanh(x·wᵀ + b + (r·h)·rᵀ + b), with resetAfter r·(h·rᵀ + b)
//         h = (1 − z)·n + z·h
//   RNN   h = tanh(x·wᵀ + h·rᵀ + b)
//
// An LSTM's weights may be bytes, each with a scale, and s[D,2·G·H] what their rows sum to less their zero points, first
// w's: then x, and h at each step, are quantised by their range (recurrent_dense.ts), as ONNX Runtime's
// DynamicQuantizeLSTM does.
//
// Outputs y[T,D,B,H], h[D,B,H] and of an LSTM c[D,B,H]. All of x·wᵀ is one product; then each step is a product of
// one row a batch with the same packed weights, and a nest or two. h of a step lies where y has it.
import { type Access, type AxisIndex, at, fixed } from "../compiler/nest.js";
import * as e from "../compiler/expr.js";
import { tanh } from "../compiler/functions.js";
import type { Expr } from "../compiler/expr.js";
import { count, type Dim, type Shape } from "../graph/dim.js";
import { differ } from "./conv.js";
import { walk } from "./lowering.js";
import {
  bool,
  type InferContext,
  type Inferred,
  type LowerContext,
  type LowerTensor,
  need,
  type OpDef,
  reject,
  str,
  type TensorInfo,
} from "./op.js";
import { dense } from "./recurrent_dense.js";

const gatesOf: Readonly<Record<string, number>> = { LSTM: 4, GRU: 3, RNN: 1 };
/** Each step is some kernels of its own. */
const mostSteps = 4096;

const directions = ["forward", "reverse", "bidirectional"];

function infer(c: InferContext): Inferred[] {
  const [x, w, r] = [need(c, 0), need(c, 1), need(c, 2)];
  c.inputs.forEach((t, i) => {
    const stored = c.inputs[6] && (i === 1 || i === 2);
    if (!t || i === 6 || (stored ? isStored(t, w.shape) : !t.quant && t.dtype === "float32")) return;
    reject(c, `takes no ${t.dtype} as input ${i}`, "unsupported");
  });
  if (x.shape.length !== 3 || w.shape.length !== 3 || r.shape.length !== 3)
    reject(c, `x [${x.shape}], w [${w.shape}] and r [${r.shape}] must have rank 3`);
  const [steps, batch, size] = x.shape as [Dim, Dim, Dim];
  const [d, , hidden] = r.shape as [Dim, Dim, Dim];
  const direction = directions.indexOf(str(c.attrs, "direction"));
  if (direction < 0) reject(c, `direction ${JSON.stringify(c.attrs.direction)} is not known`);
  if (typeof hidden !== "number" || d !== (direction === 2 ? 2 : 1)) reject(c, `r is [${r.shape}]`);
  const all = (gatesOf[c.op] as number) * hidden;
  const expected: [number, readonly Dim[]][] = [
    [1, [d, all, size]],
    [2, [d, all, hidden]],
    [3, [d, 2 * all]],
    [4, [d, batch, hidden]],
    [5, [d, batch, hidden]],
    [6, [d, 2 * all]],
  ];
  for (const [i, shape] of expected) {
    const t = c.inputs[i];
    if (t && (t.shape.length !== shape.length || shape.some((s, k) => differ(s, t.shape[k] as Dim))))
      reject(c, `input ${i} is [${t.shape}], not [${shape}]`);
  }
  if (typeof steps === "number" && (steps === 0 || steps > mostSteps))
    reject(c, `${steps} steps (1 to ${mostSteps} are supported)`, "unsupported");
  const state: Inferred = { dtype: "float32", shape: [d, batch, hidden] };
  return [{ dtype: "float32", shape: [steps, d, batch, hidden] }, ...c.outputs.slice(1).map(() => state)];
}

/** Bytes of one scale, or one a row of one direction. */
const isStored = ({ dtype, quant }: TensorInfo, [d, rows]: Shape): boolean =>
  (dtype === "int8" || dtype === "uint8") &&
  (quant?.scale.length === 1 || (d === 1 && quant?.axis === 1 && quant.scale.length === rows));

function macs({ inputs }: { inputs: readonly (LowerTensor | undefined)[] }): number {
  const [x, w, r] = inputs as [LowerTensor, LowerTensor, LowerTensor];
  return (x.shape[0] as number) * (x.shape[1] as number) * (count(w.shape) + count(r.shape));
}

/** One direction of a layer. */
class Cells {
  readonly steps: number;
  readonly batch: number;
  readonly hidden: number;
  readonly clip: number;
  /** x·wᵀ and what is added to it, [T,B,G·H]. */
  readonly #x: number;

  constructor(
    private readonly c: LowerContext,
    private readonly d: number,
    /** Biases of r that x·wᵀ takes too. */
    recurrentBias: boolean,
  ) {
    const [x, w, r] = c.inputs as [LowerTensor, LowerTensor, LowerTensor];
    [this.steps, this.batch] = x.shape as [number, number];
    this.hidden = r.shape[2] as number;
    this.clip = (c.attrs.cellClip ?? 0) as number;
    const [rows, size] = w.shape.slice(1) as [number, number];
    this.#x = c.temp("float32", [this.steps, this.batch, rows]);
    const biases = c.inputs[3] ? (recurrentBias ? [0, rows] : [0]) : [];
    dense(c, {
      loops: [this.steps, this.batch, rows],
      k: size,
      x: { value: c.input(0), index: walk(3) },
      w: { value: c.input(1), index: [fixed(d), at(2), at(3)] },
      weights: w,
      sums: this.#sums(at(2)),
      added: biases.map((from) => ({ value: c.input(3), index: [fixed(d), at(2, 1, from)] })),
      f: (sum) => sum,
      out: { value: this.#x, index: walk(3) },
    });
  }

  /** What rows of stored weights sum to; undefined: they are real. */
  #sums(row: AxisIndex): Access | undefined {
    return this.c.inputs[6] && { value: this.c.input(6), index: [fixed(this.d), row] };
  }

  /** State i before the first step: an input, or zeros. */
  first(i: number): Access {
    const { c, d, batch, hidden } = this;
    if (c.inputs[i]) return { value: c.input(i), index: [fixed(d), at(0), at(1)] };
    const zeros = this.temp(hidden);
    c.nest({ loops: [batch, hidden], reduce: [], operands: [], result: e.num(0), out: zeros });
    return zeros;
  }

  temp(width: number): Access {
    return { value: this.c.temp("float32", [this.batch, width]), index: [at(0), at(1)] };
  }

  /** Part of x·wᵀ at step t: loops are batch and a column of the part. */
  x(t: number, part: number): Access {
    return { value: this.#x, index: [fixed(t), at(0), at(1, 1, part * this.hidden)] };
  }

  y(t: number): Access {
    return { value: this.c.output(0), index: [fixed(t), fixed(this.d), at(0), at(1)] };
  }

  /** out = f(state · rᵀ, what is added …), rows of `count` gates from gate `from` on. */
  product(
    state: Access,
    from: number,
    count: number,
    added: readonly Access[],
    f: (sum: Expr) => Expr = (x) => x,
    out = this.temp(count * this.hidden),
  ): Access {
    const { c, d, batch, hidden } = this;
    const r = c.inputs[2] as LowerTensor;
    dense(c, {
      loops: [batch, count * hidden],
      k: hidden,
      x: state,
      w: { value: c.input(2), index: [fixed(d), at(1, 1, from * hidden), at(2)] },
      weights: r,
      sums: this.#sums(at(1, 1, r.shape[1] as number)),
      added,
      f,
      out,
    });
    return out;
  }

  /** out = f(operands …) for each element of a state. */
  nest<A extends Expr[]>(
    operands: readonly Access[],
    f: (...x: A) => Expr,
    out = this.temp(this.hidden),
  ): Access {
    const loops = [this.batch, this.hidden];
    const result = f(...(operands.map((_, i) => e.input(i, "f32")) as A));
    this.c.nest({ loops, reduce: [], operands, result, out });
    return out;
  }

  /** A gate of a product. */
  part(gates: Access, i: number): Access {
    return { value: gates.value, index: [at(0), at(1, 1, i * this.hidden)] };
  }

  /** The bias of r alone. */
  recurrentBias(): Access[] {
    const { c, d } = this;
    const rows = (c.inputs[2] as LowerTensor).shape[1] as number;
    return c.inputs[3] ? [{ value: c.input(3), index: [fixed(d), at(1, 1, rows)] }] : [];
  }

  /** A state after the last step. */
  last(state: Access, output: number): void {
    if (output < this.c.outputs.length)
      this.nest([state], (x) => x, { value: this.c.output(output), index: [fixed(this.d), at(0), at(1)] });
  }
}

/** One step from state h (and an LSTM's c, which it returns anew); h goes to y. */
type Step = (k: Cells, t: number, h: Access, c: Access) => Access;

const lstm: Step = (k, t, h, c) => {
  const gates = k.product(h, 0, 4, [k.x(t, 0)]);
  const [i, o, f, g] = [0, 1, 2, 3].map((n) => k.part(gates, n)) as [Access, Access, Access, Access];
  const next = k.nest([i, f, g, c], (xi, xf, xg, old) => {
    const cell = e.add(e.mul(e.sigmoid(xf), old), e.mul(e.sigmoid(xi), tanh(xg)));
    return k.clip ? e.clamp(cell, -k.clip, k.clip) : cell;
  });
  k.nest([o, next], (xo, cell) => e.mul(e.sigmoid(xo), tanh(cell)), k.y(t));
  return next;
};

const blend = (z: Expr, n: Expr, h: Expr): Expr => e.add(e.mul(e.sub(1, z), n), e.mul(z, h));

const gruResetAfter: Step = (k, t, h, c) => {
  const sums = k.product(h, 0, 3, k.recurrentBias());
  const operands = [...[0, 1, 2].map((n) => k.x(t, n)), ...[0, 1, 2].map((n) => k.part(sums, n)), h];
  const cell = (xz: Expr, xr: Expr, xn: Expr, hz: Expr, hr: Expr, hn: Expr, old: Expr): Expr =>
    blend(e.sigmoid(e.add(xz, hz)), tanh(e.add(xn, e.mul(e.sigmoid(e.add(xr, hr)), hn))), old);
  k.nest(operands, cell, k.y(t));
  return c;
};

const gruResetBefore: Step = (k, t, h, c) => {
  const gates = k.product(h, 0, 2, [k.x(t, 0)]);
  const kept = k.nest([k.part(gates, 1), h], (r, old) => e.mul(e.sigmoid(r), old));
  const next = k.product(kept, 2, 1, [k.x(t, 2)]);
  k.nest([k.part(gates, 0), next, h], (z, n, old) => blend(e.sigmoid(z), tanh(n), old), k.y(t));
  return c;
};

const rnn: Step = (k, t, h, c) => {
  k.product(h, 0, 1, [k.x(t, 0)], tanh, k.y(t));
  return c;
};

function lower(c: LowerContext): void {
  const after = c.op === "GRU" && bool(c.attrs, "resetAfter");
  const step = c.op === "LSTM" ? lstm : after ? gruResetAfter : c.op === "GRU" ? gruResetBefore : rnn;
  const [count] = (c.inputs[2] as LowerTensor).shape as [number];
  for (let d = 0; d < count; d++) {
    const k = new Cells(c, d, !after);
    let h = k.first(4);
    let cell = c.op === "LSTM" ? k.first(5) : h;
    for (let i = 0; i < k.steps; i++) {
      const t = d === 1 || str(c.attrs, "direction") === "reverse" ? k.steps - 1 - i : i;
      cell = step(k, t, h, cell);
      h = k.y(t);
    }
    k.last(h, 1);
    k.last(cell, 2);
  }
}

const inputs = ["x", "w", "r", "b?", "h?"];
const direction = { type: "string", default: "forward" } as const;

export const ops: OpDef[] = [
  {
    name: "LSTM",
    inputs: [...inputs, "c?", "sums?"],
    outputs: 3,
    attrs: { direction, cellClip: { type: "float", default: 0 } },
    infer,
    lower,
    macs,
  },
  {
    name: "GRU",
    inputs,
    outputs: 2,
    attrs: { direction, resetAfter: { type: "bool", default: false } },
    infer,
    lower,
    macs,
  },
  { name: "RNN", inputs, outputs: 2, attrs: { direction }, infer, lower, macs },
];
