// NumPy's .npy files: magic, version, a header that is a Python literal, then the elements.
import type { DType, TensorData } from "minnow";

interface Kind {
  readonly bytes: number;
  read(v: DataView, at: number): number | bigint;
  make(n: number): TensorData | Float64Array;
}

const kinds: Readonly<Record<string, Kind>> = {
  f4: { bytes: 4, read: (v, at) => v.getFloat32(at, true), make: (n) => new Float32Array(n) },
  f8: { bytes: 8, read: (v, at) => v.getFloat64(at, true), make: (n) => new Float64Array(n) },
  f2: { bytes: 2, read: (v, at) => half(v.getUint16(at, true)), make: (n) => new Float32Array(n) },
  i1: { bytes: 1, read: (v, at) => v.getInt8(at), make: (n) => new Int8Array(n) },
  u1: { bytes: 1, read: (v, at) => v.getUint8(at), make: (n) => new Uint8Array(n) },
  b1: { bytes: 1, read: (v, at) => (v.getUint8(at) ? 1 : 0), make: (n) => new Uint8Array(n) },
  i2: { bytes: 2, read: (v, at) => v.getInt16(at, true), make: (n) => new Int16Array(n) },
  u2: { bytes: 2, read: (v, at) => v.getUint16(at, true), make: (n) => new Int32Array(n) },
  i4: { bytes: 4, read: (v, at) => v.getInt32(at, true), make: (n) => new Int32Array(n) },
  i8: { bytes: 8, read: (v, at) => v.getBigInt64(at, true), make: (n) => new BigInt64Array(n) },
};

export function half(h: number): number {
  const exponent = (h >> 10) & 31;
  const sign = h & 0x8000 ? -1 : 1;
  const fraction = h & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return exponent === 31
    ? fraction
      ? Number.NaN
      : sign * Number.POSITIVE_INFINITY
    : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

export interface NpyArray {
  readonly data: TensorData | Float64Array;
  readonly shape: number[];
}

export const isNpy = (b: Uint8Array): boolean =>
  b[0] === 0x93 && String.fromCharCode(...b.subarray(1, 6)) === "NUMPY";

/** @throws Error when it is broken or holds a type that no tensor has */
export function readNpy(b: Uint8Array): NpyArray {
  const v = new DataView(b.buffer, b.byteOffset, b.byteLength);
  if (!isNpy(b) || b.length < 12) throw new Error("not a .npy file");
  const wide = (b[6] as number) > 1;
  const length = wide ? v.getUint32(8, true) : v.getUint16(8, true);
  const start = (wide ? 12 : 10) + length;
  const header = new TextDecoder("latin1").decode(b.subarray(wide ? 12 : 10, start));
  const descr = /'descr':\s*'([<>|=])([a-z]\d)'/.exec(header);
  const dims = /'shape':\s*\(([^)]*)\)/.exec(header);
  const kind = descr && Object.hasOwn(kinds, descr[2] as string) ? kinds[descr[2] as string] : undefined;
  if (!descr || !dims || !kind) throw new Error(`the .npy header ${header.trim().slice(0, 120)} is not read`);
  if (descr[1] === ">" && kind.bytes > 1) throw new Error("big-endian .npy files are not read");
  if (/'fortran_order':\s*True/.test(header))
    throw new Error("the .npy array is in Fortran order: save np.ascontiguousarray(x)");
  const shape = (dims[1] as string)
    .split(",")
    .filter((s) => s.trim())
    .map(Number);
  const n = shape.reduce((a, d) => a * d, 1);
  if (!Number.isSafeInteger(n) || n < 0 || start + n * kind.bytes > b.length)
    throw new Error("the .npy file is cut off");
  const data = kind.make(n);
  for (let i = 0; i < n; i++) (data as Float64Array)[i] = kind.read(v, start + i * kind.bytes) as number;
  return { data, shape };
}

const descrs: Partial<Record<DType, string>> = {
  float32: "<f4",
  float16: "<f4",
  int8: "|i1",
  int4: "|i1",
  uint8: "|u1",
  bool: "|b1",
  int16: "<i2",
  int32: "<i4",
  int64: "<i8",
};

/** @throws Error for strings */
export function writeNpy(value: { data: TensorData; shape: readonly number[]; dtype: DType }): Uint8Array {
  const descr = descrs[value.dtype];
  if (!descr || Array.isArray(value.data)) throw new Error(`${value.dtype} has no .npy form`);
  const tuple = value.shape.length === 1 ? `${value.shape[0]},` : value.shape.join(", ");
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${tuple}), }`;
  const length = Math.ceil((text.length + 11) / 64) * 64 - 10;
  const out = new Uint8Array(10 + length + value.data.byteLength);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, length & 255, length >> 8]);
  out.set(new TextEncoder().encode(`${text.padEnd(length - 1)}\n`), 10);
  out.set(new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength), 10 + length);
  return out;
}
