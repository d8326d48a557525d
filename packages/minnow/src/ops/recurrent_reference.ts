// The recurrent layers of recurrent.ts, step by step.
import { halfEven } from "./move.js";
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

const lstm =
  (clip: number): Cell =>
  ({ hidden, x, bias, h, c, times }) => {
    const sums = times(h).map((v, i) => v + (x[i] as number) + (bias[i] as number));
    const gate = (g: number, i: number): number => sums[g * hidden + i] as number;
    const next = c
      .map((v, i) => sigmoid(gate(2, i)) * v + sigmoid(gate(0, i)) * Math.tanh(gate(3, i)))
      .map((v) => (clip > 0 ? Math.max(-clip, Math.min(clip, v)) : v));
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
const product = (m: ArrayLike<number>, at: number, rows: number, v: ArrayLike<number>): number[] =>
  Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let k = 0; k < v.length; k++) sum += (m[at + row * v.length + k] as number) * (v[k] as number);
    return sum;
  });

/** Rounded to the steps of DynamicQuantizeLinear. */
function byRange(rows: number[][]): number[][] {
  const all = rows.flat();
  const [low, high] = [Math.fround(Math.min(0, ...all)), Math.fround(Math.max(0, ...all))];
  const range = Math.fround(high - low);
  const scale = Math.fround((range === 0 ? 255 : range) * Math.fround(1 / 255));
  const byte = (v: number, z = 0): number =>
    Math.max(0, Math.min(255, halfEven(Math.fround(Math.fround(v) / scale)) + z));
  const zero = byte(-low);
  return rows.map((row) => row.map((v) => (byte(v, zero) - zero) * scale));
}

/** Weights as real numbers, one scale or one a row. */
const real = ({ data, quant, shape }: RefTensor): ArrayLike<number> =>
  quant
    ? Array.from(data, (v, i) => {
        const row = quant.scale.length > 1 ? Math.floor(i / (shape[2] as number)) : 0;
        return (v - (quant.zeroPoint[row] as number)) * (quant.scale[row] as number);
      })
    : data;

const layer =
  (cellOf: (attrs: Parameters<Reference>[0]["attrs"]) => Cell): Reference =>
  ({ attrs, inputs, outputs }) => {
    const [x, w, r, b, h0, c0] = inputs as [RefTensor, RefTensor, RefTensor, ...(RefTensor | undefined)[]];
    const [steps, batch, size] = x.shape as [number, number, number];
    const [directions, rows, hidden] = r.shape as [number, number, number];
    const cell = cellOf(attrs);
    const [ws, rs] = [real(w), real(r)];
    const given = (list: number[][]): number[][] => (w.quant ? byRange(list) : list);
    const all = Array.from({ length: steps * batch }, (_, i) => [...x.data.slice(i * size, (i + 1) * size)]);
    const xs = given(all);
    const y = new Array<number>(steps * directions * batch * hidden).fill(0);
    const last: { h: number[]; c: number[] } = { h: [], c: [] };
    for (let d = 0; d < directions; d++) {
      const first = (t: RefTensor | undefined, n: number): number[] =>
        Array.from({ length: hidden }, (_, i) => (t ? (t.data[(d * batch + n) * hidden + i] as number) : 0));
      const bias = (at: number): number[] =>
        Array.from({ length: rows }, (_, i) => (b ? (b.data[2 * d * rows + at + i] as number) : 0));
      let states = Array.from({ length: batch }, (_, n) => ({ h: first(h0, n), c: first(c0, n) }));
      for (let i = 0; i < steps; i++) {
        const t = d === 1 || str(attrs, "direction") === "reverse" ? steps - 1 - i : i;
        const rounded = given(states.map((s) => s.h));
        states = states.map((state, n) =>
          cell({
            hidden,
            ...state,
            x: product(ws, d * rows * size, rows, xs[t * batch + n] as number[]).map(
              (v, k) => v + (bias(0)[k] as number),
            ),
            bias: bias(rows),
            times: (h) => product(rs, d * rows * hidden, rows, h === state.h ? (rounded[n] as number[]) : h),
          }),
        );
        states.forEach(({ h }, n) => {
          y.splice(((t * directions + d) * batch + n) * hidden, hidden, ...h);
        });
      }
      last.h.push(...states.flatMap((s) => s.h));
      last.c.push(...states.flatMap((s) => s.c));
    }
    return [y, last.h, last.c].slice(0, outputs.length);
  };

export const references: Record<string, Reference> = {
  LSTM: layer((attrs) => lstm(attrs.cellClip as number)),
  GRU: layer((attrs) => gru(bool(attrs, "resetAfter"))),
  RNN: layer(() => rnn),
};
