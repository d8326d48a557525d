// The recurrent layers of recurrent.ts, step by step.
import { bool, type Reference, type RefTensor, str } from "./op.js";

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** The new h and c of one batch, from x·wᵀ (with its bias), h·rᵀ (without), r's bias, and what h·rᵀ is for another h. */
type Cell = (s: {
  readonly hidden: number;
  readonly x: readonly number[];
  readonly bias: readonly number[];
  readonly h: readonly number[];
  readonly c: readonly number[];
  times(h: readonly number[]): number[];
}) => { h: number[]; c: number[] };

const lstm: Cell = ({ hidden, x, bias, h, c, times }) => {
  const sums = times(h).map((v, i) => v + (x[i] as number) + (bias[i] as number));
  const gate = (g: number, i: number): number => sums[g * hidden + i] as number;
  const next = c.map((v, i) => sigmoid(gate(2, i)) * v + sigmoid(gate(0, i)) * Math.tanh(gate(3, i)));
  return { c: next, h: next.map((v, i) => sigmoid(gate(1, i)) * Math.tanh(v)) };
};

const gru =
  (after: boolean): Cell =>
  ({ hidden, x, bias, h, c, times }) => {
    const own = times(h);
    const at = (list: readonly number[], g: number, i: number): number => list[g * hidden + i] as number;
    const gate = (g: number, i: number): number => sigmoid(at(own, g, i) + at(x, g, i) + at(bias, g, i));
    const reset = times(h.map((v, i) => gate(1, i) * v));
    return {
      c: [...c],
      h: h.map((v, i) => {
        const inner = after
          ? gate(1, i) * (at(own, 2, i) + at(bias, 2, i))
          : at(reset, 2, i) + at(bias, 2, i);
        return (1 - gate(0, i)) * Math.tanh(at(x, 2, i) + inner) + gate(0, i) * v;
      }),
    };
  };

const rnn: Cell = ({ x, bias, h, c, times }) => ({
  c: [...c],
  h: times(h).map((v, i) => Math.tanh(v + (x[i] as number) + (bias[i] as number))),
});

/** Rows from `at`, each as long as v, times v. */
const product = (m: RefTensor["data"], at: number, rows: number, v: ArrayLike<number>): number[] =>
  Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let k = 0; k < v.length; k++) sum += (m[at + row * v.length + k] as number) * (v[k] as number);
    return sum;
  });

const layer =
  (cellOf: (attrs: Parameters<Reference>[0]["attrs"]) => Cell): Reference =>
  ({ attrs, inputs, outputs }) => {
    const [x, w, r, b, h0, c0] = inputs as [RefTensor, RefTensor, RefTensor, ...(RefTensor | undefined)[]];
    const [steps, batch, size] = x.shape as [number, number, number];
    const [directions, rows, hidden] = r.shape as [number, number, number];
    const cell = cellOf(attrs);
    const y = new Array<number>(steps * directions * batch * hidden).fill(0);
    const last: { h: number[]; c: number[] } = { h: [], c: [] };
    for (let d = 0; d < directions; d++)
      for (let n = 0; n < batch; n++) {
        const from = (d * batch + n) * hidden;
        const first = (t: RefTensor | undefined): number[] =>
          Array.from({ length: hidden }, (_, i) => (t ? (t.data[from + i] as number) : 0));
        const bias = (at: number): number[] =>
          Array.from({ length: rows }, (_, i) => (b ? (b.data[2 * d * rows + at + i] as number) : 0));
        let state = { h: first(h0), c: first(c0) };
        for (let i = 0; i < steps; i++) {
          const t = d === 1 || str(attrs, "direction") === "reverse" ? steps - 1 - i : i;
          const start = (t * batch + n) * size;
          const own = product(w.data, d * rows * size, rows, x.data.slice(start, start + size));
          state = cell({
            hidden,
            ...state,
            x: own.map((v, k) => v + (bias(0)[k] as number)),
            bias: bias(rows),
            times: (h) => product(r.data, d * rows * hidden, rows, h),
          });
          state.h.forEach((v, k) => {
            y[((t * directions + d) * batch + n) * hidden + k] = v;
          });
        }
        last.h.push(...state.h);
        last.c.push(...state.c);
      }
    return [y, last.h, last.c].slice(0, outputs.length);
  };

export const references: Record<string, Reference> = {
  LSTM: layer(() => lstm),
  GRU: layer((attrs) => gru(bool(attrs, "resetAfter"))),
  RNN: layer(() => rnn),
};
