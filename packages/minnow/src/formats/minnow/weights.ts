// Where each constant's bytes go behind the header of a .minnow file: small ones first, so that all the others
// can be used as they come; in order of appearance, 64-byte aligned, equal bytes once (tied embeddings, constants
// that many nodes repeat).
import { type Data, dataOf, sameData, sampleOf } from "../../graph/deferred.js";
import type { Tensor } from "../../graph/graph.js";
import { isSmall } from "../../graph/released.js";
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
  /** Bytes of the small ones. */
  readonly early: number;
}

export function placeWeights(tensors: readonly Tensor[]): Placed {
  const offsets = new Map<Tensor, number>();
  const chunks: Chunk[] = [];
  const known = new Map<string, Chunk[]>();
  let [size, early] = [0, 0];
  const holds = tensors.flatMap((tensor) => {
    const data = dataOf(tensor);
    return data ? [{ tensor, data }] : [];
  });
  const small = holds.filter(({ data }) => isSmall(data));
  for (const { tensor, data } of [...small, ...holds.filter(({ data }) => !isSmall(data))]) {
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
    if (isSmall(data)) early = size;
    if (alike) alike.push(chunk);
    else known.set(key, [chunk]);
  }
  return { offsets, chunks, size, early };
}
