// Constants whose bytes have been given back. Once weights lie in a device's memory as kernels want
// them, the file they came from is dead weight: a constant is then an empty array of the same identity,
// by which what was packed is found again for other shapes. A file that Minnow itself has read lies in a
// buffer that can shrink, so its end goes back to the system while its beginning is still being packed.
import { dataOf, setData } from "./deferred.js";
import { newArray, type TypedArray } from "./dtype.js";
import type { Graph, Tensor } from "./graph.js";

/** Constants below this many bytes are kept: shapes, tables, biases. */
const small = 1 << 14;

export const isSmall = (data: { readonly byteLength: number }): boolean => data.byteLength < small;

const ids = new WeakMap<TypedArray, string>();
const standIns = new WeakMap<TypedArray, TypedArray>();
const empty = new WeakSet<TypedArray>();
let nextId = 0;

/** "#" and a number, for the identity of constant data: equal arrays are packed once. */
export function dataId(data: TypedArray): string {
  let id = ids.get(data);
  if (id === undefined) {
    id = `#${nextId++}`;
    ids.set(data, id);
  }
  return id;
}

export const isReleased = (data: TypedArray): boolean => empty.has(data);

/** An empty array with the identity of a large one; small ones as they are. */
export function released(data: TypedArray): TypedArray {
  if (isSmall(data)) return data;
  const made = standIns.get(data) ?? (data.subarray(0, 0).slice() as TypedArray);
  ids.set(made, dataId(data));
  standIns.set(data, made);
  empty.add(made);
  return made;
}

const constants = (g: Graph): Tensor[] => g.tensors().filter((t) => t.kind === "constant");

/** Copies small constants out of the buffer that they share with large ones. */
export function ownSmallConstants(graph: Graph): void {
  const copies = new Map<TypedArray, TypedArray>();
  for (const t of constants(graph)) {
    if ((dataOf(t)?.byteLength ?? small) >= small) continue;
    const data = t.data as TypedArray;
    if (data.buffer.byteLength === data.byteLength) continue;
    const copy = copies.get(data) ?? data.slice();
    copies.set(data, copy);
    t.data = copy;
  }
}

/** Drops the bytes of large constants. */
export function releaseConstants(graph: Graph): void {
  for (const t of constants(graph)) {
    const data = dataOf(t);
    if (data && data.byteLength >= small)
      setData(t, ArrayBuffer.isView(data) ? released(data) : newArray(data.dtype, 0));
  }
}

const shrinking = new WeakSet<ArrayBufferLike>();

/** Whether a file's first bytes are those of a .minnow file. */
export const isMinnow = (bytes: Uint8Array): boolean =>
  String.fromCharCode(...bytes.subarray(4, 8)) === "MNOW";

/** `n` bytes of Minnow's own, whose end can be given back where the engine can do that. */
export function shrinkable(n: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(resizable(n, n), 0, n);
}

/** An empty buffer that grows in place up to `most` bytes; undefined where the engine has none. */
export function growable(most: number): Resizable | undefined {
  try {
    const buffer = resizable(0, most);
    return shrinking.has(buffer) ? buffer : undefined;
  } catch {
    return; // no such stretch of addresses is free
  }
}

type Resizable = ArrayBuffer & { resize(n: number): void };

function resizable(n: number, most: number): Resizable {
  const Buffer = ArrayBuffer as new (n: number, options: { maxByteLength: number }) => ArrayBuffer;
  const buffer = new Buffer(n, { maxByteLength: most });
  if ("resize" in buffer) shrinking.add(buffer);
  return buffer as Resizable;
}

/** Shrinking clears and unmaps: not for every small constant. */
const leastStep = 1 << 20;

/** Gives back what lies behind `end`, if the buffer is one that shrinks. */
export function shrink(buffer: ArrayBufferLike, end: number): void {
  if (shrinking.has(buffer) && (end === 0 || buffer.byteLength - end >= leastStep))
    (buffer as Resizable).resize(end);
}

/** Gives back all of a buffer of Minnow's own that was hardly used: to shrink it would clear, and so touch, the rest. */
export function drop(buffer: ArrayBufferLike): void {
  (buffer as { transfer?(n: number): unknown }).transfer?.(0); // where an engine has that; else when it is collected
}
