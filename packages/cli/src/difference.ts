// How far two tensors are apart, and whether that is within what float and integer arithmetic allow.
import type { DType, Quantization } from "minnow";

export interface Numbers {
  readonly data: ArrayLike<number | bigint | string>;
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly quantization?: Quantization | undefined;
}

export interface Tolerance {
  /** Of the largest reference value; default 1e-4. */
  readonly relative: number;
  /** Floats: always allowed; default 1e-5. */
  readonly absolute: number;
}

export interface Difference {
  readonly ok: boolean;
  /** Why not, when numbers do not tell: shapes, lengths. */
  readonly reason?: string;
  readonly max: number;
  readonly mean: number;
  /** max over the largest reference value. */
  readonly relative: number;
  /** Index of the largest difference, in the tensor's shape. */
  readonly at: readonly number[];
  readonly got: number;
  readonly want: number;
}

const bad = (reason: string): Difference => ({
  ok: false,
  reason,
  max: Number.NaN,
  mean: Number.NaN,
  relative: Number.NaN,
  at: [],
  got: Number.NaN,
  want: Number.NaN,
});

/**
 * Floats: every element within relative·peak or absolute. Quantised integers: 99 % within one step, all
 * within three (kernels round differently). Other integers: equal.
 */
export function difference(got: Numbers, want: Numbers, tolerance: Tolerance): Difference {
  const n = want.data.length;
  const shapes = `[${got.shape.join(", ")}], not [${want.shape.join(", ")}]`;
  if (got.data.length !== n) return bad(`${got.data.length} elements for ${n}: shape ${shapes}`);
  if (dropOnes(got.shape) !== dropOnes(want.shape)) return bad(`shape ${shapes}`);
  // Stored numbers compare with stored numbers unless their scales are known to differ.
  const scales = [got, want].map((t) => t.quantization?.scale[0]);
  const rescaled = scales.every((s) => s !== undefined) && scales[0] !== scales[1];
  const real = got.dtype !== want.dtype || rescaled;
  const a = real ? dequantize(got) : got.data;
  const b = real ? dequantize(want) : want.data;
  let peak = 0;
  let sum = 0;
  let max = 0;
  let worst = -1;
  let near = 0;
  for (let i = 0; i < n; i++) {
    const w = Number(b[i]);
    if (Number.isFinite(w)) peak = Math.max(peak, Math.abs(w));
  }
  const float = real || want.dtype.startsWith("float");
  const limit = float ? Math.max(tolerance.relative * peak, tolerance.absolute) : 1;
  for (let i = 0; i < n; i++) {
    const x = a[i] as number;
    const y = b[i] as number;
    const d = x === y || (Number.isNaN(x) && Number.isNaN(y)) ? 0 : Math.abs(Number(x) - Number(y));
    sum += d;
    if (d <= limit) near++;
    if (!(d <= max) || worst < 0) [max, worst] = [d, i];
  }
  const steps = want.quantization !== undefined || ["int8", "uint8", "int4"].includes(want.dtype);
  const ok = float ? near === n : steps ? near >= 0.99 * n && max <= 3 : max === 0;
  return {
    ok: ok && !Number.isNaN(max),
    max,
    mean: n ? sum / n : 0,
    relative: max === 0 ? 0 : max / (peak || 1),
    at: worst < 0 ? [] : indexOf(worst, want.shape),
    got: worst < 0 ? Number.NaN : Number(a[worst]),
    want: worst < 0 ? Number.NaN : Number(b[worst]),
  };
}

const dropOnes = (s: readonly number[]): string => s.filter((d) => d !== 1).join();

function dequantize(t: Numbers): ArrayLike<number | bigint | string> {
  const q = t.quantization;
  if (!q || t.dtype.startsWith("float")) return t.data;
  const inner = t.shape.slice(q.axis + 1).reduce((x, d) => x * d, 1);
  const channels = q.scale.length;
  return Float64Array.from({ length: t.data.length }, (_, i) => {
    const c = channels > 1 ? Math.floor(i / inner) % channels : 0;
    return (q.scale[c] as number) * (Number(t.data[i]) - (q.zeroPoint[c] ?? q.zeroPoint[0] ?? 0));
  });
}

function indexOf(flat: number, shape: readonly number[]): number[] {
  const out: number[] = [];
  for (const d of [...shape].reverse()) {
    out.unshift(flat % d);
    flat = Math.floor(flat / d);
  }
  return out;
}
