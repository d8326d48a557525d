// Constants that are computed where they are used. Conversion moves and scales every weight: done at
// once, each step would hold another copy of the model. A deferred constant keeps a view of the source
// file and what is to be done to it; the writer computes it in its place in the new file, and whoever
// reads `data` before gets an array as always.
import { arrayFromBytes, bytesOf, type DType, newArray, type TypedArray } from "./dtype.js";
import type { Tensor } from "./graph.js";

/** A constant's elements: there, or to be computed. */
export type Data = TypedArray | Deferred;

export class Deferred {
  constructor(
    readonly dtype: DType,
    /** Elements; bytes for int4. */
    readonly length: number,
    /** What it is computed from: bytes at any alignment, or other data. */
    readonly source: Data,
    /** Tells most computations apart: equal ones have equal recipes. "" = the source's bytes as they are. */
    readonly recipe: string,
    /** Writes all elements. */
    readonly write: (out: TypedArray) => void,
  ) {}

  get byteLength(): number {
    return newArray(this.dtype, 0).BYTES_PER_ELEMENT * this.length;
  }
}

/** Below this an array is cheaper than its recipe. */
const smallBytes = 4096;

/** The bytes as elements of `t`: a view where alignment allows, else copied when somebody reads them. */
export function dataFromBytes(t: DType, bytes: Uint8Array): Data {
  const size = newArray(t, 0).BYTES_PER_ELEMENT;
  if (bytes.byteOffset % size === 0 || bytes.length < smallBytes) return arrayFromBytes(t, bytes);
  const length = Math.floor(bytes.length / size);
  return new Deferred(t, length, bytes, "", (out) => bytesOf(out).set(bytes.subarray(0, length * size)));
}

/** New elements from old ones, by a function that fills `out`: at once where they are few. */
export function derive(
  t: DType,
  length: number,
  source: Data,
  recipe: string,
  write: Deferred["write"],
): Data {
  const d = new Deferred(t, length, source, recipe, write);
  return d.byteLength < smallBytes ? materialize(d) : d;
}

export function materialize(d: Data): TypedArray {
  if (!(d instanceof Deferred)) return d;
  const out = newArray(d.dtype, 0).constructor as new (length: number) => TypedArray;
  const array = new out(d.length);
  d.write(array);
  return array;
}

export function copyInto(d: Data, out: TypedArray): void {
  if (d instanceof Deferred) d.write(out);
  else bytesOf(out).set(bytesOf(d));
}

let spare: ArrayBuffer | null = null;

/** Calls `use` with the elements, which are good until it returns: they may lie in memory used again. */
export function borrow<T>(d: Data, use: (elements: TypedArray) => T): T {
  if (!(d instanceof Deferred)) return use(d);
  const bytes = d.byteLength;
  const buffer = spare && spare.byteLength >= bytes ? spare : new ArrayBuffer(bytes);
  spare = null; // a source may borrow too
  const elements = arrayFromBytes(d.dtype, new Uint8Array(buffer, 0, bytes));
  d.write(elements);
  const result = use(elements);
  spare = buffer;
  return result;
}

/** Drops the memory that `borrow` uses again. */
export function releaseSpare(): void {
  spare = null;
}

const deferred = new WeakMap<Tensor, Deferred>();

/** Gives a tensor its elements; reading `data` of a deferred one computes them, once. */
export function setData(t: Tensor, data: Data): void {
  deferred.delete(t);
  const plain = (value: TypedArray | undefined): void => {
    deferred.delete(t);
    Object.defineProperty(t, "data", { value, writable: true, enumerable: true, configurable: true });
  };
  if (!(data instanceof Deferred)) return plain(data);
  deferred.set(t, data);
  Object.defineProperty(t, "data", {
    get() {
      plain(materialize(data));
      return t.data;
    },
    set: plain,
    enumerable: true,
    configurable: true,
  });
}

/** The elements as they are, without computing them. */
export const dataOf = (t: Tensor): Data | undefined => deferred.get(t) ?? t.data;

/** A few bytes of the contents, and how they are computed: what differs here differs. */
export function sampleOf(d: Data): string {
  if (d instanceof Deferred && d.recipe) return `${d.recipe} ${sampleOf(d.source)}`;
  const bytes = bytesOf(d instanceof Deferred ? (d.source as Uint8Array) : d);
  const step = Math.max(1, Math.floor(bytes.length / 16));
  let text = `${bytes.length}`;
  for (let i = 0; i < bytes.length; i += step) text += ` ${bytes[i]}`;
  return text;
}

/** Whether two constants of one type hold the same bits. */
export function sameData(a: Data, b: Data): boolean {
  if (a === b) return true;
  if (a.byteLength !== b.byteLength) return false;
  return withBytes(a, (x) => withBytes(b, (y) => equalBytes(x, y)));
}

const withBytes = <T>(d: Data, use: (bytes: Uint8Array) => T): T =>
  d instanceof Deferred && d.recipe === ""
    ? use(d.source as Uint8Array)
    : borrow(d, (elements) => use(bytesOf(elements)));

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.buffer === b.buffer && a.byteOffset === b.byteOffset) return true;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
