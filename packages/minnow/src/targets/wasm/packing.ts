// Runs packing code: a source's bytes are staged in linear memory, a slab at a time, and generated code
// turns them into what a kernel reads. A slab stays in the second-level cache between copy and packing.
import { bytesOf } from "../../graph/dtype.js";
import type { Pack } from "./kernel.js";

const slab = 1 << 18;
/** Where the code's own bytes begin, behind the argument block. */
export const ownBytes = 64;
const head = 256; // both, before the staged bytes
const slack = 64;

/** Bytes of staging that these packs need. */
export function stagingBytes(packs: readonly Pack[]): number {
  let most = 0;
  for (const p of packs)
    for (let u = 0; u < p.extent; u = nextUnit(p, u))
      most = Math.max(most, p.begins(nextUnit(p, u)) - p.begins(u));
  return head + most + slack;
}

/** The end of the slab that begins with a unit: one unit at least. Most units are as large as the one before. */
function nextUnit(p: Pack, unit: number): number {
  const first = p.begins(unit);
  const limit = first + slab;
  let end = unit + 1;
  const guess = Math.min(p.extent, unit + Math.floor(slab / (p.begins(end) - first)));
  if (guess > end && p.begins(guess) <= limit) end = guess;
  while (end < p.extent && p.begins(end + 1) <= limit) end++;
  return end;
}

export type PackCode = (args: number, begin: number, end: number) => void;

/** One pack under way: takes the source's bytes in order, in pieces of any length. */
export class Packing {
  #unit = 0;
  #end: number;
  /** Of the slab, staged so far. */
  #staged = 0;

  /** Packs to `at`; `staging` is the address of `stagingBytes` bytes, its own from the first byte to the last. */
  constructor(
    private readonly pack: Pack,
    private readonly code: PackCode,
    private readonly buffer: ArrayBuffer,
    private readonly at: number,
    private readonly staging: number,
  ) {
    this.#end = nextUnit(pack, 0);
  }

  take(bytes: Uint8Array): void {
    const { pack, staging } = this;
    const memory = new Uint8Array(this.buffer);
    if (this.#unit + this.#staged === 0) this.#begin();
    for (let from = 0; from < bytes.length && this.#unit < pack.extent; ) {
      const slab = placeOf(pack, this.#end) - pack.begins(this.#unit);
      const n = Math.min(slab - this.#staged, bytes.length - from);
      memory.set(bytes.subarray(from, from + n), staging + head + this.#staged);
      this.#staged += n;
      from += n;
      if (this.#staged < slab) break;
      this.code(staging, this.#unit, this.#end);
      this.#unit = this.#end;
      this.#staged = 0;
      if (this.#unit < pack.extent) this.#end = nextUnit(pack, this.#unit);
    }
  }

  #begin(): void {
    const args = [this.staging + head, ...this.pack.words(this.at)];
    new Int32Array(this.buffer, this.staging, args.length).set(args);
    this.pack.prepare?.(this.buffer, this.at);
  }
}

/** Where a unit begins, or the source ends: the last unit may be short. */
export const placeOf = (p: Pack, unit: number): number => Math.min(p.begins(unit), p.source.byteLength);

/** Packs a source that is there. */
export function runPack(p: Pack, code: PackCode, buffer: ArrayBuffer, at: number, staging: number): void {
  const source = bytesOf(p.source).subarray(p.begins(0), placeOf(p, p.extent));
  new Packing(p, code, buffer, at, staging).take(source);
}
