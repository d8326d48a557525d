// Transposed convolution as convolution. With u = y + pad = s·m + r, output row y takes taps ky = r + s·t
// from input rows m − t, t in 0…T−1, T = ⌈k/s⌉. So a stride-1 convolution of T·T taps over the rows m gives
// all phases (ry, rx) of a pixel as s·s·O channels:
//   W'[(ry, rx, o), ty, tx, c] = w[c, ry + s·(T−1−ty), rx + s·(T−1−tx), o],   nothing where k ends
// and copies interleave them. It needs constant weights, which are rearranged once.
import * as e from "../compiler/expr.js";
import { at, type Access, scalarOf } from "../compiler/nest.js";
import { newArray, type TypedArray } from "../graph/dtype.js";
import type { Quantization } from "../graph/graph.js";
import { affine, walk } from "./lowering.js";
import { int, type LowerContext, type LowerTensor } from "./op.js";
import { product } from "./requantize.js";
import type { Window } from "./window.js";

/** One axis: phases, taps, and the rows m0…m0 + rows − 1 that outputs need. */
interface Axis {
  readonly stride: number;
  readonly pad: number;
  readonly out: number;
  readonly size: number;
  readonly taps: number;
  readonly first: number;
  readonly rows: number;
}

function axisOf(w: Window): Axis {
  const { stride, size } = w;
  const [pad, out] = [w.before as number, w.out as number];
  const first = Math.floor(pad / stride);
  const rows = Math.floor((pad + out - 1) / stride) - first + 1;
  return { stride, pad, out, size, taps: Math.ceil(size / stride), first, rows };
}

/** Lowers the node; false where its weights are not constant or its form has no such convolution. */
export function lowerSubPixel(c: LowerContext, spans: readonly [Window, Window]): boolean {
  const [x, w, b] = c.inputs as [LowerTensor, LowerTensor, LowerTensor | undefined];
  if (int(c.attrs, "group") !== 1 || spans.some((s) => s.dilation !== 1) || !w.data || (b && !b.data))
    return false;
  const [y, z] = [axisOf(spans[0]), axisOf(spans[1])];
  if ([y, z].some((a) => a.out === 0 || a.first > a.taps - 1) || w.dtype === "int4") return false;
  const [inner, , , o] = w.shape as [number, number, number, number];
  const phases = y.stride * z.stride;
  const n = x.shape[0] as number;
  const out = c.outputs[0] as LowerTensor;
  const to = phases === 1 ? c.output(0) : c.temp(out.dtype, [n, y.rows, z.rows, phases * o]);
  const zero = x.quant?.zeroPoint[0] ?? 0;
  const window = (loop: number, a: Axis) =>
    affine(
      [
        [loop, 1],
        [3 + loop, 1],
      ],
      a.first - (a.taps - 1),
      true,
    );
  const operands: Access[] = [
    {
      value: c.input(0),
      index: [at(0), window(1, y), window(2, z), at(6)],
      ...(zero !== 0 && { fill: zero }),
    },
    {
      value: c.table(rearranged(w, y, z), [phases * o, y.taps, z.taps, inner], w.dtype),
      index: [at(3), at(4), at(5), at(6)],
    },
  ];
  if (b)
    operands.push({
      value: c.table(repeated(b.data as TypedArray, phases), [phases * o], b.dtype),
      index: [at(3)],
    });
  const quant = w.quant && w.quant.scale.length > 1 ? perPhase(w.quant, phases) : w.quant;
  const p = product(c, x, quant ? { ...w, quant } : w, b ? 2 : -1, operands.length, at(3));
  c.kernel(
    "conv2d",
    {
      kh: y.taps,
      kw: z.taps,
      strideY: 1,
      strideX: 1,
      dilationY: 1,
      dilationX: 1,
      padTop: y.taps - 1 - y.first,
      padLeft: z.taps - 1 - z.first,
      group: 1,
    },
    {
      loops: [n, y.rows, z.rows, phases * o],
      reduce: [y.taps, z.taps, inner],
      operands: [...operands, ...p.operands],
      body: p.body,
      combine: "sum",
      result: p.result,
      out: { value: to, index: walk(4) },
    },
  );
  if (phases > 1) interleave(c, to, y, z, o);
  return true;
}

const perPhase = (q: Quantization, phases: number): Quantization => ({
  scale: Array.from({ length: phases }, () => q.scale).flat(),
  zeroPoint: Array.from({ length: phases }, () =>
    q.scale.map((_, i) => q.zeroPoint[i] ?? q.zeroPoint[0] ?? 0),
  ).flat(),
  axis: 0,
});

/** Moves the phases from channels to their pixels: one copy where they fit exactly, else one a phase. */
function interleave(c: LowerContext, from: number, y: Axis, z: Axis, o: number): void {
  const out = c.outputs[0] as LowerTensor;
  const n = out.shape[0] as number;
  const result = e.input(0, scalarOf(out.dtype));
  const whole = (a: Axis): boolean => a.pad % a.stride === 0 && a.out % a.stride === 0;
  if (whole(y) && whole(z)) {
    const channel = affine([
      [2, z.stride * o],
      [4, o],
      [5, 1],
    ]);
    c.nest({
      loops: [n, y.rows, y.stride, z.rows, z.stride, o],
      reduce: [],
      operands: [{ value: from, index: [at(0), at(1), at(3), channel] }],
      result,
      out: {
        value: c.output(0),
        index: [
          at(0),
          affine([
            [1, y.stride],
            [2, 1],
          ]),
          affine([
            [3, z.stride],
            [4, 1],
          ]),
          at(5),
        ],
      },
    });
    return;
  }
  for (const p of starts(y))
    for (const q of starts(z))
      c.nest({
        loops: [n, p.length, q.length, o],
        reduce: [],
        operands: [
          {
            value: from,
            index: [at(0), at(1, 1, p.row), at(2, 1, q.row), at(3, 1, (p.phase * z.stride + q.phase) * o)],
          },
        ],
        result,
        out: {
          value: c.output(0),
          index: [at(0), at(1, y.stride, p.start), at(2, z.stride, q.start), at(3)],
        },
      });
}

/** Outputs start, start + s, …: their phase, and the first one's row. */
const starts = (a: Axis) =>
  Array.from({ length: Math.min(a.stride, a.out) }, (_, start) => ({
    start,
    length: Math.ceil((a.out - start) / a.stride),
    phase: (start + a.pad) % a.stride,
    row: Math.floor((start + a.pad) / a.stride) - a.first,
  }));

/** By source data and form: the same array for the same model, whatever its dimensions are bound to. */
const made = new WeakMap<TypedArray, Map<string, TypedArray>>();

function once(source: TypedArray, key: string, make: () => TypedArray): TypedArray {
  const forms = made.get(source) ?? new Map<string, TypedArray>();
  made.set(source, forms);
  const form = forms.get(key) ?? make();
  forms.set(key, form);
  return form;
}

const repeated = (data: TypedArray, times: number): TypedArray =>
  once(data, `×${times}`, () => {
    const out = new (data.constructor as new (n: number) => TypedArray)(data.length * times);
    for (let i = 0; i < times; i++) out.set(data as never, i * data.length);
    return out;
  });

function rearranged(w: LowerTensor, y: Axis, z: Axis): TypedArray {
  const data = w.data as TypedArray;
  return once(data, [w.shape, y.stride, y.taps, z.stride, z.taps].join(), () => {
    const [inner, kh, kw, o] = w.shape as [number, number, number, number];
    const out = newArray(w.dtype, y.stride * z.stride * o * y.taps * z.taps * inner);
    const zeros = w.quant?.zeroPoint ?? [];
    let at = 0;
    for (let ry = 0; ry < y.stride; ry++)
      for (let rx = 0; rx < z.stride; rx++)
        for (let k = 0; k < o; k++)
          for (let ty = 0; ty < y.taps; ty++)
            for (let tx = 0; tx < z.taps; tx++) {
              const ky = ry + y.stride * (y.taps - 1 - ty);
              const kx = rx + z.stride * (z.taps - 1 - tx);
              const nothing = zeros.length > 1 ? zeros[k] : zeros[0];
              for (let c = 0; c < inner; c++, at++)
                out[at] = (
                  ky < kh && kx < kw ? data[((c * kh + ky) * kw + kx) * o + k] : (nothing ?? 0)
                ) as never;
            }
    return out;
  });
}
