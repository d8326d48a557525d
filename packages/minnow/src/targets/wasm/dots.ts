// Which 8-bit products this engine makes, and which of them are right: each is tried on the ends of what it is
// used for. WebAssembly leaves open what relaxed dot products do with a second operand's top bit, and with sums of
// two products that 16 bits cannot hold (relaxed SIMD, "dot product").
import type { FunctionBuilder } from "./assembler.js";
import type { Dot } from "./engine.js";

/** Weights and bytes of x. */
type Case = readonly [w: readonly number[], x: readonly number[]];

/** Pairs that 16 bits cannot hold where x is unsigned; pairs that they just hold where it is signed. */
const cases: readonly Case[] = [
  [
    [127, 127, -128, -128, 127, 127, 127, 127, 100, -100, -128, 0, 3, 125, 0, 127],
    [255, 255, 255, 255, 255, 255, 255, 255, 200, 100, 255, 9, 128, 255, 7, 129],
  ],
  [
    [-127, -127, -127, -127, 127, 127, 127, 127, -127, 127, -127, 127, 1, -1, 127, -127],
    [128, 128, 128, 128, 128, 128, 128, 128, 127, 128, 128, 127, 200, 100, 129, 255],
  ],
];
const start = [5, -7, 1000, -100000];
/** w, x, start, sums of pairs, sums of four. */
const caseBytes = 80;

/** Multiplies what `dotTest` has put at an address. */
export function emitDots(f: FunctionBuilder, address: number): void {
  cases.forEach((_, i) => {
    const at = address + i * caseBytes;
    f.i32(at).i32(at).vload().i32(at).vload(16).op("i16x8.relaxed_dot_i8x16_i7x16_s").vstore(48);
    f.i32(at).i32(at).vload().i32(at).vload(16).i32(at).vload(32);
    f.op("i32x4.relaxed_dot_i8x16_i7x16_add_s").vstore(64);
  });
}

/** A function that tells what the products made since its last call were right for, the fastest first. */
export function dotTest(memory: ArrayBuffer, address: number): () => Dot[] {
  const places = cases.map(([w, x], i) => {
    const at = address + i * caseBytes;
    new Int8Array(memory, at, 16).set(w);
    new Uint8Array(memory, at + 16, 16).set(x);
    new Int32Array(memory, at + 32, 4).set(start);
    return { pairs: new Int16Array(memory, at + 48, 8), fours: new Int32Array(memory, at + 64, 4) };
  });
  return () => {
    const right = dots.filter((dot) => places.every(({ pairs, fours }, i) => isRight[dot](pairs, fours, i)));
    for (const { pairs, fours } of places) {
      pairs.fill(1);
      fours.fill(1);
    }
    return right;
  };
}

/** The fastest first. */
const dots = ["sdot", "usdot", "relaxed"] as const;

const isRight: Record<(typeof dots)[number], (pairs: Int16Array, fours: Int32Array, i: number) => boolean> = {
  sdot: (_, fours, i) =>
    sums(i, 4, Int8Array).every((s, lane) => fours[lane] === s + (start[lane] as number)),
  usdot: (_, fours, i) =>
    sums(i, 4, Uint8Array).every((s, lane) => fours[lane] === s + (start[lane] as number)),
  relaxed: (pairs, _, i) =>
    sums(i, 2, Uint8Array).every((s, lane) => pairs[lane] === Math.max(-32768, Math.min(32767, s))),
};

/** Of `n` products, lane by lane. */
function sums(i: number, n: number, Bytes: typeof Int8Array | typeof Uint8Array): number[] {
  const [w, x] = cases[i] as Case;
  const bytes = Bytes.from(x);
  const lanes = new Array<number>(16 / n).fill(0);
  bytes.forEach((b, j) => {
    lanes[Math.floor(j / n)] = (lanes[Math.floor(j / n)] as number) + b * (w[j] as number);
  });
  return lanes;
}
