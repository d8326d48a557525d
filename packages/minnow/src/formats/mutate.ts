// Damages a file the way files get damaged, and the way an attacker would: for tests and the fuzz
// command. A seed gives the same mutants on every machine.

/** A number in [0, 1). */
export type Rng = () => number;

/** Mulberry32: small, fast, and the same everywhere. */
export function seededRng(seed: number): Rng {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Mutation = (bytes: Uint8Array, rng: Rng) => Uint8Array;

const below = (rng: Rng, n: number): number => Math.floor(rng() * n);

/** A place in the file; half of the time near an end, where headers and tables lie. */
function place(bytes: Uint8Array, rng: Rng): number {
  const n = bytes.length;
  const near = Math.min(n, 2048);
  const side = rng();
  if (side < 0.25) return below(rng, near);
  return side < 0.5 ? n - 1 - below(rng, near) : below(rng, n);
}

const absurd = [0, 1, 2, 0x7f, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

const mutations: readonly Mutation[] = [
  function flipBits(bytes, rng) {
    for (let i = 1 + below(rng, 8); i > 0; i--) {
      const at = place(bytes, rng);
      bytes[at] = (bytes[at] as number) ^ (1 << below(rng, 8));
    }
    return bytes;
  },
  function setByte(bytes, rng) {
    bytes[place(bytes, rng)] = below(rng, 256);
    return bytes;
  },
  function truncate(bytes, rng) {
    return bytes.slice(0, rng() < 0.5 ? place(bytes, rng) : below(rng, bytes.length));
  },
  /** Counts, offsets and sizes: mostly aligned 32-bit words. */
  function setWord(bytes, rng) {
    for (let i = 1 + below(rng, 3); i > 0; i--) {
      const at = rng() < 0.8 ? place(bytes, rng) & ~3 : place(bytes, rng);
      if (at + 4 > bytes.length) continue;
      const v =
        rng() < 0.2 ? bytes.length + below(rng, 9) - 4 : (absurd[below(rng, absurd.length)] as number);
      new DataView(bytes.buffer, bytes.byteOffset).setUint32(at, v >>> 0, true);
    }
    return bytes;
  },
  /** One word becomes another one of the file, perhaps a little off: shared and cyclic references. */
  function copyWord(bytes, rng) {
    const [from, to] = [place(bytes, rng) & ~3, place(bytes, rng) & ~3];
    if (Math.max(from, to) + 4 > bytes.length) return bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    view.setUint32(to, view.getUint32(from, true) + (rng() < 0.5 ? to - from : 0), true);
    return bytes;
  },
  function splice(bytes, rng) {
    const length = 1 + below(rng, Math.min(256, bytes.length));
    const from = below(rng, bytes.length - length + 1);
    bytes.copyWithin(place(bytes, rng), from, from + length);
    return bytes;
  },
  function repeatBlock(bytes, rng) {
    const at = place(bytes, rng);
    const block = bytes.slice(at, at + 1 + below(rng, 128));
    const times = 1 + below(rng, 8);
    const out = new Uint8Array(bytes.length + block.length * times);
    out.set(bytes.subarray(0, at));
    for (let i = 0; i < times; i++) out.set(block, at + i * block.length);
    out.set(bytes.subarray(at), at + block.length * times);
    return out;
  },
  function removeBlock(bytes, rng) {
    const at = place(bytes, rng);
    const length = 1 + below(rng, 64);
    const out = bytes.slice(0, Math.max(0, bytes.length - length));
    out.set(bytes.subarray(at + length), Math.min(at, out.length));
    return out;
  },
  function fillBlock(bytes, rng) {
    const at = place(bytes, rng);
    return bytes.fill(rng() < 0.5 ? 0 : 255, at, at + 1 + below(rng, 64));
  },
];

/** A damaged copy of `bytes`: one thing is wrong with half of them, two or three with the others. */
export function mutate(bytes: Uint8Array, rng: Rng): Uint8Array {
  let out: Uint8Array = bytes.slice();
  for (let i = rng() < 0.5 ? 1 : 2 + below(rng, 2); i > 0 && out.length > 0; i--)
    out = (mutations[below(rng, mutations.length)] as Mutation)(out, rng);
  return out;
}
