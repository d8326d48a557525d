// Where each constant's bytes go behind the header of a .minnow file: in order of appearance, 64-byte
// aligned, equal bytes once (tied embeddings, constants that many nodes repeat).
import { bytesOf } from "../../graph/dtype.js";
import type { Tensor } from "../../graph/graph.js";
import { alignment } from "./schema.js";

export interface Placed {
  readonly offsets: ReadonlyMap<Tensor, number>;
  readonly chunks: readonly (readonly [bytes: Uint8Array, offset: number])[];
  /** Bytes from the first chunk to the end of the last. */
  readonly size: number;
}

export function placeWeights(tensors: readonly Tensor[]): Placed {
  const lengths = new Map<number, number>();
  for (const { data } of tensors)
    if (data) lengths.set(data.byteLength, (lengths.get(data.byteLength) ?? 0) + 1);
  const offsets = new Map<Tensor, number>();
  const chunks: [Uint8Array, number][] = [];
  const known = new Map<string, [Uint8Array, number][]>();
  let size = 0;
  for (const t of tensors) {
    if (!t.data) continue;
    const bytes = bytesOf(t.data);
    // Hashing costs a pass over the weights; a length that comes once needs none.
    const alone = lengths.get(bytes.length) === 1;
    const key = alone ? "" : `${bytes.length} ${hash(bytes)}`;
    const alike = alone ? [] : (known.get(key) ?? []);
    const twin = alike.find(([other]) => equal(other, bytes));
    if (twin) {
      offsets.set(t, twin[1]);
      continue;
    }
    const offset = Math.ceil(size / alignment) * alignment;
    offsets.set(t, offset);
    const chunk: [Uint8Array, number] = [bytes, offset];
    chunks.push(chunk);
    size = offset + bytes.length;
    if (!alone) known.set(key, [...alike, chunk]);
  }
  return { offsets, chunks, size };
}

/** FNV-1a over 32-bit words, then the bytes left. */
function hash(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let h = 0x811c9dc5;
  const words = bytes.length & ~3;
  for (let i = 0; i < words; i += 4) h = Math.imul(h ^ view.getInt32(i, true), 0x01000193);
  for (let i = words; i < bytes.length; i++) h = Math.imul(h ^ (bytes[i] as number), 0x01000193);
  return h >>> 0;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.buffer === b.buffer && a.byteOffset === b.byteOffset) return true;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
