// Runs packing code: a source's bytes are staged in linear memory, a slab at a time, and generated code
// turns them into what a kernel reads. A slab stays in the second-level cache between copy and packing.
import { bytesOf } from "../../graph/dtype.js";
import type { Pack } from "./kernel.js";

const slab = 1 << 18;
const words = 64; // bytes of the argument block, before the staged bytes
const slack = 64;

/** Bytes of staging that these packs need. */
export function stagingBytes(packs: readonly Pack[]): number {
  let most = 0;
  for (const p of packs)
    for (let u = 0; u < p.extent; u = nextUnit(p, u))
      most = Math.max(most, p.begins(nextUnit(p, u)) - p.begins(u));
  return words + most + slack;
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

/** Packs to `at`; `staging` is the address of `stagingBytes` free bytes. */
export function runPack(
  p: Pack,
  code: (args: number, begin: number, end: number) => void,
  buffer: ArrayBuffer,
  at: number,
  staging: number,
): void {
  const memory = new Uint8Array(buffer);
  const source = bytesOf(p.source);
  const args = [staging + words, ...p.words(at)];
  new Int32Array(buffer, staging, args.length).set(args);
  for (let u = 0; u < p.extent; ) {
    const end = nextUnit(p, u);
    memory.set(source.subarray(p.begins(u), p.begins(end)), staging + words);
    code(staging, u, end);
    u = end;
  }
}
