// References of products: convolution, transposed convolution, dense, matrix product. Written from their
// definitions, over real numbers; integers without output quantisation stay integers (scale 1).
import { count } from "../graph/dim.js";
import type { Quantization } from "../graph/graph.js";
import { transposedWindows } from "./conv_transpose.js";
import { int, type Reference, type RefTensor } from "./op.js";
import {
  arg,
  offsetIn,
  onReals,
  positions,
  type RefContext,
  reals,
  stridesOf,
  toQuantized,
} from "./reference_tools.js";
import { windows } from "./window.js";

/** Real operands; a bias of quantised operands counts in units of their scales' product. */
function products(f: (c: RefContext) => Float64Array): Reference {
  return (c) => {
    const [x, w, b] = c.inputs as [RefTensor, RefTensor, RefTensor | undefined];
    const out = c.outputs[0] as RefContext["outputs"][number];
    if (!x.quant || !w.quant) return onReals((r) => [f(r)])(c);
    const integer = !out.quant && out.dtype !== "float32";
    const unit = (t: RefTensor): RefTensor =>
      integer
        ? {
            ...t,
            quant: { ...(t.quant as Quantization), scale: (t.quant as Quantization).scale.map(() => 1) },
          }
        : t;
    const [ux, uw] = [unit(x), unit(w)];
    const sx = ux.quant?.scale[0] as number;
    const sw = uw.quant?.scale as readonly number[];
    const bias = b && {
      ...b,
      data: Float64Array.from(b.data, (v, i) => v * sx * (sw[sw.length > 1 ? i : 0] as number)),
    };
    const y = f({ ...c, inputs: [{ ...ux, data: reals(ux) }, { ...uw, data: reals(uw) }, bias] });
    return [out.quant ? toQuantized(y, out.quant, out.dtype, out.shape) : y];
  };
}

const conv = (c: RefContext): Float64Array => {
  const [x, w] = [arg(c, 0), arg(c, 1)];
  const b = c.inputs[2];
  const [, H, W, C] = x.shape as [number, number, number, number];
  const [O, kh, kw, I] = w.shape as [number, number, number, number];
  const shape = (c.outputs[0] as RefTensor).shape;
  const [v, h] = windows({ ...c, name: "" }, [kh, kw], [H, W]);
  const each = O / int(c.attrs, "group");
  const out = new Float64Array(count(shape));
  let n = 0;
  for (const [batch, y, z, o] of positions(shape) as Iterable<[number, number, number, number]>) {
    let sum = b ? (b.data[o] as number) : 0;
    const group = Math.floor(o / each);
    for (let ky = 0; ky < kh; ky++)
      for (let kx = 0; kx < kw; kx++) {
        const iy = y * v.stride + ky * v.dilation - (v.before as number);
        const ix = z * h.stride + kx * h.dilation - (h.before as number);
        if (iy < 0 || iy >= H || ix < 0 || ix >= W) continue;
        for (let i = 0; i < I; i++)
          sum +=
            (x.data[((batch * H + iy) * W + ix) * C + group * I + i] as number) *
            (w.data[((o * kh + ky) * kw + kx) * I + i] as number);
      }
    out[n++] = sum;
  }
  return out;
};

/** Scatters every input element through the kernel, as the definition says. */
const convTranspose = (c: RefContext): Float64Array => {
  const [x, w] = [arg(c, 0), arg(c, 1)];
  const b = c.inputs[2];
  const [kh, kw, each] = w.shape.slice(1) as [number, number, number];
  const shape = (c.outputs[0] as RefTensor).shape;
  const [, OH, OW, O] = shape as [number, number, number, number];
  const group = int(c.attrs, "group");
  const inner = (w.shape[0] as number) / group;
  const [v, h] = transposedWindows({ ...c, name: "" }, [kh, kw], x.shape.slice(1, 3));
  const out = new Float64Array(count(shape));
  if (b) for (let i = 0; i < out.length; i++) out[i] = b.data[i % O] as number;
  let n = 0;
  for (const [batch, y, z, i] of positions(x.shape) as Iterable<[number, number, number, number]>) {
    const value = x.data[n++] as number;
    for (let ky = 0; ky < kh; ky++)
      for (let kx = 0; kx < kw; kx++) {
        const oy = y * v.stride + ky * v.dilation - (v.before as number);
        const ox = z * h.stride + kx * h.dilation - (h.before as number);
        if (oy < 0 || oy >= OH || ox < 0 || ox >= OW) continue;
        const base = ((batch * OH + oy) * OW + ox) * O + Math.floor(i / inner) * each;
        for (let o = 0; o < each; o++)
          out[base + o] =
            (out[base + o] as number) + value * (w.data[((i * kh + ky) * kw + kx) * each + o] as number);
      }
  }
  return out;
};

const dense = (c: RefContext): Float64Array => {
  const [x, w] = [arg(c, 0), arg(c, 1)];
  const [N, K] = w.shape as [number, number];
  const out = new Float64Array(count((c.outputs[0] as RefTensor).shape));
  for (let i = 0; i < out.length; i++) {
    const [m, n] = [Math.floor(i / N), i % N];
    let sum = c.inputs[2] ? (c.inputs[2].data[n] as number) : 0;
    for (let k = 0; k < K; k++) sum += (x.data[m * K + k] as number) * (w.data[n * K + k] as number);
    out[i] = sum;
  }
  return out;
};

/** As a matrix: vectors gain an axis, transposed operands are read the other way round. */
function matrixView(t: RefTensor, transpose: boolean, vector: "row" | "column") {
  const strides = stridesOf(t.shape);
  if (t.shape.length === 1) {
    const shape = vector === "row" ? [1, t.shape[0] as number] : [t.shape[0] as number, 1];
    return { shape, strides: vector === "row" ? [0, 1] : [1, 0] };
  }
  const last = t.shape.length - 1;
  const swap = <T>(a: readonly T[]): T[] => [...a.slice(0, last - 1), a[last] as T, a[last - 1] as T];
  return transpose ? { shape: swap(t.shape), strides: swap(strides) } : { shape: [...t.shape], strides };
}

const matmul = (c: RefContext): Float64Array => {
  const [a, b] = [arg(c, 0), arg(c, 1)];
  const p = matrixView(a, Boolean(c.attrs.transposeA), "row");
  const q = matrixView(b, Boolean(c.attrs.transposeB), "column");
  const [M, K, N] = [p.shape.at(-2), p.shape.at(-1), q.shape.at(-1)] as [number, number, number];
  const shape = (c.outputs[0] as RefTensor).shape;
  const batch = shape.slice(0, shape.length - (a.shape.length > 1 ? 1 : 0) - (b.shape.length > 1 ? 1 : 0));
  const out = new Float64Array(count(shape));
  let n = 0;
  for (const at of positions([...batch, M, N])) {
    const outer = at.slice(0, -2);
    const pa =
      offsetIn(p.shape.slice(0, -2), p.strides, outer) + (at.at(-2) as number) * (p.strides.at(-2) as number);
    const qb =
      offsetIn(q.shape.slice(0, -2), q.strides, outer) + (at.at(-1) as number) * (q.strides.at(-1) as number);
    let sum = 0;
    for (let k = 0; k < K; k++)
      sum +=
        (a.data[pa + k * (p.strides.at(-1) as number)] as number) *
        (b.data[qb + k * (q.strides.at(-2) as number)] as number);
    out[n++] = sum;
  }
  return out;
};

export const references: Record<string, Reference> = {
  Conv2D: products(conv),
  ConvTranspose2D: products(convTranspose),
  Dense: products(dense),
  MatMul: products(matmul),
};
