// Brings constants into memory: as the model stores them, or packed. Those of a file that is still coming are
// taken as it comes, each byte once, by the kernel that packs it or to its place.
import { bytesOf, type TypedArray } from "../../graph/dtype.js";
import type { Rest } from "../../graph/precompiled.js";
import { shrink } from "../../graph/released.js";
import type { Pack, Packed } from "./kernel.js";
import { type PackCode, Packing, placeOf, runPack } from "./packing.js";

interface Placed<T> {
  readonly what: T;
  /** Its address. */
  readonly at: number;
}

/** What a bind brings into memory. */
export interface Constants {
  /** As the model stores them. */
  readonly raw: Placed<TypedArray>[];
  readonly made: Placed<Extract<Packed, { pack?: never }>>[];
  readonly packs: Placed<Pack>[];
}

export interface Into {
  readonly memory: Uint8Array<ArrayBuffer>;
  /** Address of `stagingBytes` free bytes. */
  readonly staging: number;
  /** Packs of a key. */
  code(key: string): PackCode;
}

/** @param last sources are not needed again: their buffers are shrunk from the end */
export function bringIn({ raw, made, packs }: Constants, into: Into, last: boolean): void {
  const { memory, staging } = into;
  for (const { what, at } of raw) memory.set(bytesOf(what), at);
  for (const { what, at } of made) what.fill(memory.buffer, at);
  const end = ({ what: { source } }: Placed<Pack>): number => source.byteOffset + source.byteLength;
  packs.sort((a, b) => end(b) - end(a));
  for (const p of packs) {
    if (last) shrink(p.what.source.buffer, end(p));
    runPack(p.what, into.code(p.what.key), memory.buffer, p.at, staging);
  }
  if (last) for (const { what } of packs) shrink(what.source.buffer, 0);
}

/** Constants of a file that is still coming. @returns the others */
export async function takeIn(rest: Rest, { raw, made, packs }: Constants, into: Into): Promise<Constants> {
  const isHere = (data: TypedArray): boolean => data.buffer !== rest.bytes.buffer;
  const wants = [
    ...raw.filter((r) => !isHere(r.what)).map((r) => asStored(r, into)),
    ...packs.filter((p) => !isHere(p.what.source)).map((p) => packed(p, into)),
  ]
    .filter((w) => w.to > w.from)
    .sort((a, b) => a.from - b.from);
  // What two kernels pack in their own ways would have to come twice.
  if (wants.some((w, i) => i > 0 && w.from < (wants[i - 1] as Want).to)) {
    await rest.all();
    return { raw, made, packs };
  }
  let i = 0;
  await rest.pour(wants[0]?.from ?? rest.from, (piece, at) => {
    const end = at + piece.length;
    for (let want = wants[i]; want && want.from < end; want = wants[++i]) {
      const from = Math.max(want.from, at);
      want.take(piece.subarray(from - at, Math.min(want.to, end) - at), from);
      if (want.to > end) break;
    }
  });
  return {
    raw: raw.filter((r) => isHere(r.what)),
    made,
    packs: packs.filter((p) => isHere(p.what.source)),
  };
}

/** Bytes [from, to) of the file, and who takes them: pieces in order, and where they begin. */
interface Want {
  readonly from: number;
  readonly to: number;
  take(piece: Uint8Array, at: number): void;
}

function asStored({ what, at }: Placed<TypedArray>, { memory }: Into): Want {
  const from = what.byteOffset;
  return {
    from,
    to: from + what.byteLength,
    take: (piece, begin) => memory.set(piece, at + begin - from),
  };
}

function packed({ what: p, at }: Placed<Pack>, { memory, staging, code }: Into): Want {
  const packing = new Packing(p, code(p.key), memory.buffer, at, staging);
  return {
    from: p.source.byteOffset + p.begins(0),
    to: p.source.byteOffset + placeOf(p, p.extent),
    take: (piece) => packing.take(piece),
  };
}
