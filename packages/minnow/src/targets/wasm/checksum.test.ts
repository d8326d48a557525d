// The checksum against its definition, and its code against what is emitted for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { checksum, checksumBase64 } from "./checksum.js";
import { checksumCode } from "./checksum_code.js";

test("checksum.ts holds what checksum_code.ts emits", () => {
  assert.equal(checksumBase64, Buffer.from(checksumCode()).toString("base64"));
});

function plain(parts: readonly Uint8Array[]): number {
  let h = 0;
  const turn = (x: number, n: number): number => (x << n) | (x >>> (32 - n));
  const mix = (k: number): void => {
    h ^= Math.imul(turn(Math.imul(k, 0xcc9e2d51), 15), 0x1b873593);
    h = (Math.imul(turn(h, 13), 5) + 0xe6546b64) | 0;
  };
  for (const p of parts) {
    const padded = new Uint8Array(Math.ceil(p.length / 4) * 4);
    padded.set(p);
    const words = new DataView(padded.buffer);
    for (let i = 0; i < padded.length; i += 4) mix(words.getInt32(i, true));
    mix(p.length);
  }
  return h >>> 0;
}

test("as defined, whatever the lengths", () => {
  const bytes = (n: number): Uint8Array => Uint8Array.from({ length: n }, (_, i) => (i * 131 + n) & 255);
  for (const lengths of [[], [0], [1], [4, 3], [65536, 5], [70000, 65533, 0]]) {
    const parts = lengths.map(bytes);
    assert.equal(checksum(parts), plain(parts), `${lengths}`);
  }
  assert.notEqual(checksum([bytes(9), bytes(1)]), checksum([bytes(9), bytes(2)]));
});
