// Transposed convolution as convolution. With u = y + pad = s·m + r, output row y takes taps ky = r + s·t
// from input rows m − t, t in 0…T−1, T = ⌈k/s⌉. So a stride-1 convolution of T·T taps over the rows m gives
// all phases (ry, rx) of a pixel as s·s·O channels:
//   W'[(ry, rx, o), ty, tx, c] = w[c, ry + s·(T−1−ty), rx + s·(T−1−tx), o],   nothing where k ends
// and copies interleave them; or, where that wastes too many multiplications, one convolution a phase with
// the taps that phase has. It needs constant weights, which are rearranged once.
import { oncePer } from "../graph/once.js";
import * as e from "../compiler/expr.js";
import { at, type Access, scalarOf } from "../compiler/nest.js";
import { newArray, type TypedArray } from "../graph/dtype.js";
import type { Quantization } from "../graph/graph.js";
import { affine, walk } from "./lowering.js";
import { int, type LowerContext, type LowerTensor } from "./op.js";
import { product } from "./requantize.js";
import type { Window } from "./window.js";

/** Elements of rearranged weights that are no burden, however many of them are nothing. */
const largeWeights = 1 << 22;

/** One axis of the transposed convolution. */
interface Axis {
  readonly stride: number;
  readonly pad: number;
  readonly out: number;
  readonly size: number;
}

/** A convolution that computes some phases of an axis: rows of the input grid first…first + rows − 1. */
interface Pass {
  readonly phases: readonly number[];
  readonly taps: number;
  readonly first: number;
  readonly rows: number;
}

const axisOf = ({ stride, size, before, out }: Window): Axis => ({
  stride,
  size,
  pad: before as number,
  out: out as number,
});

/** All phases at once: all get ⌈k/s⌉ taps. */
function together(a: Axis): Pass[] {
  const first = Math.floor(a.pad / a.stride);
  const rows = Math.floor((a.pad + a.out - 1) / a.stride) - first + 1;
  const phases = Array.from({ length: a.stride }, (_, r) => r);
  return [{ phases, taps: Math.ceil(a.size / a.stride), first, rows }];
}

/** One phase at a time, with the taps it has. */
const apart = (a: Axis): Pass[] =>
  starts(a).map(({ phase, row, length }) => ({
    phases: [phase],
    taps: Math.ceil((a.size - phase) / a.stride),
    first: row,
    rows: length,
  }));

/** Taps of all phases: multiplications for each pixel and pair of channels, along one axis. */
const taps = (list: readonly Pass[]): number => list.reduce((sum, p) => sum + p.phases.length * p.taps, 0);

/** Fewest multiplications, but for a few per cent not many small kernels. */
function passes(y: Axis, z: Axis): [Pass[], Pass[]] {
  const split = [apart(y), apart(z)] as const;
  const whole = [together(y), together(z)] as const;
  const valid = split.every((list) => list.every((p) => p.taps > 0));
  const saved = (taps(whole[0]) * taps(whole[1])) / (taps(split[0]) * taps(split[1]));
  return valid && saved > 1.2 ? [...split] : [...whole];
}

/** Lowers the node; false where its weights are not constant or its form has no such convolution. */
export function lowerSubPixel(c: LowerContext, spans: readonly [Window, Window]): boolean {
  const [x, w, b] = c.inputs as [LowerTensor, LowerTensor, LowerTensor | undefined];
  if (int(c.attrs, "group") !== 1 || spans.some((s) => s.dilation !== 1)) return false;
  if (!w.data || (b && !b.data) || w.dtype === "int4") return false;
  const [y, z] = [axisOf(spans[0]), axisOf(spans[1])];
  const lists = passes(y, z);
  if (y.out === 0 || z.out === 0 || lists.flat().some((p) => p.first > p.taps - 1)) return false;
  const out = c.outputs[0] as LowerTensor;
  const o = out.shape[3] as number;
  const grown = taps(lists[0]) * taps(lists[1]) * o * (w.shape[0] as number);
  if (grown > Math.max(largeWeights, 4 * w.data.length)) return false;
  for (const p of lists[0])
    for (const q of lists[1]) {
      const phases = p.phases.length * q.phases.length;
      const shape = [x.shape[0] as number, p.rows, q.rows, phases * o];
      const direct = y.stride === 1 && z.stride === 1;
      const to = direct ? c.output(0) : c.temp(out.dtype, shape);
      convolve(c, to, shape, [y, p], [z, q]);
      if (!direct) interleave(c, to, [y, p], [z, q]);
    }
  return true;
}

type Side = readonly [Axis, Pass];

/** The convolution of the phases of `y` and `z`, as channels (ry, rx, o). */
function convolve(c: LowerContext, to: number, shape: readonly number[], y: Side, z: Side): void {
  const [x, w, b] = c.inputs as [LowerTensor, LowerTensor, LowerTensor | undefined];
  const inner = w.shape[0] as number;
  const phases = y[1].phases.length * z[1].phases.length;
  const channels = shape[3] as number;
  const zero = x.quant?.zeroPoint[0] ?? 0;
  const pad = ([, p]: Side): number => p.taps - 1 - p.first;
  const window = (loop: number, s: Side) =>
    affine(
      [
        [loop, 1],
        [3 + loop, 1],
      ],
      -pad(s),
      true,
    );
  const weights = c.table(rearranged(w, y, z), [channels, y[1].taps, z[1].taps, inner], w.dtype);
  const operands: Access[] = [
    {
      value: c.input(0),
      index: [at(0), window(1, y), window(2, z), at(6)],
      ...(zero !== 0 && { fill: zero }),
    },
    { value: weights, index: [at(3), at(4), at(5), at(6)] },
  ];
  if (b)
    operands.push({
      value: c.table(repeated(b.data as TypedArray, phases), [channels], b.dtype),
      index: [at(3)],
    });
  const quant = w.quant && w.quant.scale.length > 1 ? perPhase(w.quant, phases) : w.quant;
  const p = product(c, x, quant ? { ...w, quant } : w, b ? 2 : -1, operands.length, at(3));
  const params = { kh: y[1].taps, kw: z[1].taps, strideY: 1, strideX: 1, dilationY: 1, dilationX: 1 };
  c.kernel(
    "conv2d",
    { ...params, padTop: pad(y), padLeft: pad(z), group: 1 },
    {
      loops: shape,
      reduce: [y[1].taps, z[1].taps, inner],
      operands: [...operands, ...p.operands],
      body: p.body,
      combine: "sum",
      result: p.result,
      out: { value: to, index: walk(4) },
    },
  );
}

const perPhase = (q: Quantization, phases: number): Quantization => ({
  scale: Array.from({ length: phases }, () => q.scale).flat(),
  zeroPoint: Array.from({ length: phases }, () =>
    q.scale.map((_, i) => q.zeroPoint[i] ?? q.zeroPoint[0] ?? 0),
  ).flat(),
  axis: 0,
});

/** Moves phases from channels to their pixels: one copy where all fit exactly, else one a phase. */
function interleave(c: LowerContext, from: number, [y, p]: Side, [z, q]: Side): void {
  const out = c.outputs[0] as LowerTensor;
  const [n, , , o] = out.shape as [number, number, number, number];
  const result = e.input(0, scalarOf(out.dtype));
  const whole = (a: Axis, s: Pass): boolean =>
    s.phases.length === a.stride && a.pad % a.stride === 0 && a.out % a.stride === 0;
  if (whole(y, p) && whole(z, q)) {
    const channel = affine([
      [2, z.stride * o],
      [4, o],
      [5, 1],
    ]);
    const pixel = [
      affine([
        [1, y.stride],
        [2, 1],
      ]),
      affine([
        [3, z.stride],
        [4, 1],
      ]),
    ];
    c.nest({
      loops: [n, p.rows, y.stride, q.rows, z.stride, o],
      reduce: [],
      operands: [{ value: from, index: [at(0), at(1), at(3), channel] }],
      result,
      out: { value: c.output(0), index: [at(0), ...pixel, at(5)] },
    });
    return;
  }
  const mine = (a: Axis, s: Pass) => starts(a).filter((t) => s.phases.includes(t.phase));
  for (const u of mine(y, p))
    for (const v of mine(z, q)) {
      const channel = (p.phases.indexOf(u.phase) * q.phases.length + q.phases.indexOf(v.phase)) * o;
      const source = [at(0), at(1, 1, u.row - p.first), at(2, 1, v.row - q.first), at(3, 1, channel)];
      c.nest({
        loops: [n, u.length, v.length, o],
        reduce: [],
        operands: [{ value: from, index: source }],
        result,
        out: {
          value: c.output(0),
          index: [at(0), at(1, y.stride, u.start), at(2, z.stride, v.start), at(3)],
        },
      });
    }
}

/** Outputs start, start + s, …: their phase r, and the first one's row m. */
const starts = (a: Axis) =>
  Array.from({ length: Math.min(a.stride, a.out) }, (_, start) => ({
    start,
    length: Math.ceil((a.out - start) / a.stride),
    phase: (start + a.pad) % a.stride,
    row: Math.floor((start + a.pad) / a.stride),
  }));

/** By source data and form: the same array for the same model, whatever its dimensions are bound to. */
const once = oncePer<TypedArray>();

const repeated = (data: TypedArray, times: number): TypedArray =>
  once(data, `×${times}`, () => {
    const out = new (data.constructor as new (n: number) => TypedArray)(data.length * times);
    for (let i = 0; i < times; i++) out.set(data as never, i * data.length);
    return out;
  });

/** W'[(ry, rx, o), ty, tx, c] of the phases of `y` and `z`. */
function rearranged(w: LowerTensor, [y, p]: Side, [z, q]: Side): TypedArray {
  const data = w.data as TypedArray;
  const key = [w.shape, y.stride, z.stride, "y", p.taps, p.phases, "x", q.taps, q.phases].join();
  return once(data, key, () => {
    const [inner, kh, kw, o] = w.shape as [number, number, number, number];
    const out = newArray(w.dtype, p.phases.length * q.phases.length * o * p.taps * q.taps * inner);
    const zeros = w.quant?.zeroPoint ?? [];
    let at = 0;
    for (const ry of p.phases)
      for (const rx of q.phases)
        for (let k = 0; k < o; k++) {
          const nothing = zeros[zeros.length > 1 ? k : 0] ?? 0;
          for (let ty = p.taps - 1; ty >= 0; ty--)
            for (let tx = q.taps - 1; tx >= 0; tx--) {
              const [ky, kx] = [ry + y.stride * ty, rx + z.stride * tx];
              for (let c = 0; c < inner; c++, at++)
                out[at] = (ky < kh && kx < kw ? data[((c * kh + ky) * kw + kx) * o + k] : nothing) as never;
            }
        }
    return out;
  });
}
