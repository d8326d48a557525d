// Where each constant's bytes go behind the header of a .minnow file: in order of appearance, 64-byte
// aligned, equal bytes once (tied embeddings, constants that many nodes repeat).
import { type Data, dataOf, sameData, sampleOf } from "../../graph/deferred.js";
import type { Tensor } from "../../graph/graph.js";
import { alignment } from "./schema.js";

export interface Chunk {
  /** The first of the tensors that hold these bytes. */
  readonly tensor: Tensor;
  readonly data: Data;
  readonly offset: number;
}

export interface Placed {
  readonly offsets: ReadonlyMap<Tensor, number>;
  readonly chunks: readonly Chunk[];
  /** Bytes from the first chunk to the end of the last. */
  readonly size: number;
}

export function placeWeights(tensors: readonly Tensor[]): Placed {
  const offsets = new Map<Tensor, number>();
  const chunks: Chunk[] = [];
  const known = new Map<string, Chunk[]>();
  let size = 0;
  for (const tensor of tensors) {
    const data = dataOf(tensor);
    if (!data) continue;
    const key = `${data.byteLength} ${sampleOf(data)}`;
    const alike = known.get(key);
    const twin = alike?.find((other) => sameData(other.data, data));
    if (twin) {
      offsets.set(tensor, twin.offset);
      continue;
    }
    const chunk = { tensor, data, offset: Math.ceil(size / alignment) * alignment };
    offsets.set(tensor, chunk.offset);
    chunks.push(chunk);
    size = chunk.offset + data.byteLength;
    if (alike) alike.push(chunk);
    else known.set(key, [chunk]);
  }
  return { offsets, chunks, size };
}
