// Element types: size, array class, and half-precision conversion.

export type DType =
  | "float32"
  | "float16" // storage; arithmetic is float32 on targets that lack it
  | "int8"
  | "uint8"
  | "int16"
  | "int32"
  | "int64"
  | "bool" // one byte, 0 or 1
  | "int4" // storage, two in a byte, low nibble first
  | "string";

/** Constant data as stored: float16 as Uint16Array, bool as Uint8Array, int4 packed in Uint8Array. */
export type TypedArray =
  | Float32Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Int32Array
  | BigInt64Array;

interface DTypeInfo {
  readonly bytes: number; // per element; int4 counts 0.5
  readonly array: {
    new (length: number): TypedArray;
    new (buffer: ArrayBufferLike, offset?: number, length?: number): TypedArray;
  } | null;
  readonly float: boolean;
}

const info: Record<DType, DTypeInfo> = {
  float32: { bytes: 4, array: Float32Array, float: true },
  float16: { bytes: 2, array: Uint16Array, float: true },
  int8: { bytes: 1, array: Int8Array, float: false },
  uint8: { bytes: 1, array: Uint8Array, float: false },
  int16: { bytes: 2, array: Int16Array, float: false },
  int32: { bytes: 4, array: Int32Array, float: false },
  int64: { bytes: 8, array: BigInt64Array, float: false },
  bool: { bytes: 1, array: Uint8Array, float: false },
  int4: { bytes: 0.5, array: Uint8Array, float: false },
  string: { bytes: 0, array: null, float: false },
};

export const dtypes = Object.keys(info) as DType[];
export const isDType = (s: string): s is DType => Object.hasOwn(info, s);
export const isFloat = (t: DType): boolean => info[t].float;
/** Bytes of `count` elements, whole bytes. */
export const byteSize = (t: DType, count: number): number => Math.ceil(info[t].bytes * count);
export const elementBytes = (t: DType): number => info[t].bytes;

/** A zeroed array that can hold `count` elements of `t` (int4: packed bytes). */
export function newArray(t: DType, count: number): TypedArray {
  const { array, bytes } = info[t];
  if (!array) throw new TypeError(`no typed array for ${t}`);
  return new array(bytes < 1 ? Math.ceil(count * bytes) : count);
}

/** The bytes as an array of `t`: a view where alignment allows, else a copy. */
export function arrayFromBytes(t: DType, bytes: Uint8Array): TypedArray {
  const { array, bytes: size } = info[t];
  if (!array) throw new TypeError(`no typed array for ${t}`);
  const step = Math.max(1, size);
  const whole = Math.floor(bytes.byteLength / step) * step;
  if (bytes.byteOffset % step === 0) return new array(bytes.buffer, bytes.byteOffset, whole / step);
  const copy = new Uint8Array(bytes.subarray(0, whole)); // not slice: a Node Buffer would not copy
  return new array(copy.buffer, copy.byteOffset, whole / step);
}

export const bytesOf = (a: TypedArray): Uint8Array => new Uint8Array(a.buffer, a.byteOffset, a.byteLength);

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** IEEE 754 binary16 bits to a number. */
export function halfToFloat(h: number): number {
  const sign = h & 0x8000 ? -1 : 1;
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A number to IEEE 754 binary16 bits, rounding to nearest even. */
export function floatToHalf(x: number): number {
  f32[0] = x;
  const bits = u32[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  const exponent = (bits >>> 23) & 255;
  const fraction = bits & 0x7fffff;
  if (exponent === 255) return sign | 0x7c00 | (fraction ? 0x200 | (fraction >> 13) : 0);
  const e = exponent - 112;
  if (e >= 31) return sign | 0x7c00;
  if (e <= 0) {
    if (e < -10) return sign;
    const m = fraction | 0x800000;
    const shift = 14 - e;
    const half = m >> shift;
    const rest = m & ((1 << shift) - 1);
    const middle = 1 << (shift - 1);
    return sign | (half + (rest > middle || (rest === middle && half & 1) ? 1 : 0));
  }
  const half = (e << 10) | (fraction >> 13);
  const rest = fraction & 0x1fff;
  return sign | (half + (rest > 0x1000 || (rest === 0x1000 && half & 1) ? 1 : 0));
}

/** float16 bits to float32, whole array. */
export function halfArrayToFloat(h: Uint16Array): Float32Array {
  const out = new Float32Array(h.length);
  const bits = new Uint32Array(out.buffer);
  for (let i = 0; i < h.length; i++) {
    const v = h[i] as number;
    const exponent = (v >> 10) & 31;
    if (exponent !== 0 && exponent !== 31) {
      bits[i] = ((v & 0x8000) << 16) | ((exponent + 112) << 23) | ((v & 1023) << 13);
    } else out[i] = halfToFloat(v);
  }
  return out;
}
