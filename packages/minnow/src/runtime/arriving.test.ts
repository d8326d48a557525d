// Bytes that come in pieces of any length: each is given once, in order, and the source is let go at the end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ModelError } from "../error.js";
import { Arriving, type Pieces, type ReadOptions } from "./arriving.js";
import type { Progress } from "./types.js";

const size = 100_000;
const file = Uint8Array.from({ length: size }, (_, i) => (i * 131) & 255);

interface Source extends Pieces {
  closed: number;
}

/** Pieces of changing lengths in one buffer, which the next one overwrites. */
function source(lengths: readonly number[], total: number, fail = false): Source {
  const buffer = new Uint8Array(Math.max(...lengths));
  let [at, i] = [0, 0];
  return {
    closed: 0,
    total,
    reuses: true,
    close() {
      this.closed++;
    },
    async read() {
      buffer.fill(0);
      if (at >= size && fail) throw new Error("the line was cut");
      if (at >= size) return undefined;
      const piece = file.subarray(at, at + (lengths[i++ % lengths.length] as number));
      at += piece.length;
      buffer.set(piece);
      return buffer.subarray(0, piece.length);
    },
  };
}

const explain = (cause: unknown): ModelError => new ModelError("io", String(cause));
const arriving = (from: Pieces, options: ReadOptions = {}): Arriving => new Arriving(from, options, explain);

/** What a sink is given. */
function collector() {
  const got = new Uint8Array(size);
  let next = -1;
  return {
    got,
    take(piece: Uint8Array, at: number): void {
      assert.ok(next < 0 || at === next, `${at}, not ${next}`);
      got.set(piece, at);
      next = at + piece.length;
    },
  };
}

for (const lengths of [[1 << 20], [1000], [7, 4096, 1, 333]])
  for (const total of [size, 0]) {
    const name = `pieces of ${lengths}, total ${total}`;
    test(`${name}: all at once`, async () => {
      const from = source(lengths, total);
      const seen: Progress[] = [];
      const bytes = await arriving(from, { onProgress: (p) => seen.push(p) }).all();
      assert.deepEqual(bytes, file);
      assert.equal(from.closed, 1);
      assert.deepEqual(seen.at(-1), { phase: "read", loaded: size, total: size });
    });

    test(`${name}: the beginning, then the rest in pieces`, async () => {
      for (const [early, begin] of [
        [100, 100],
        [5000, 200],
        [size, 0],
        [10, 60_000],
      ] as const) {
        const from = source(lengths, total);
        const a = arriving(from);
        await a.upTo(8);
        assert.ok(a.reserve(size));
        const head = await a.upTo(early);
        assert.ok(head.length >= size);
        assert.deepEqual(head.subarray(0, early), file.subarray(0, early));
        const { got, take } = collector();
        await a.pour(begin, size, take);
        assert.deepEqual(got.subarray(begin), file.subarray(begin));
        assert.equal(from.closed, 1);
      }
    });
  }

test("a file that was cut off, a source that fails, a signal", async () => {
  const rejects = async (a: Arriving, code: string, message: RegExp): Promise<void> => {
    await a.upTo(10);
    await assert.rejects(
      a.pour(10, size + 1, () => {}),
      (e: ModelError) => e.code === code && message.test(e.message),
    );
  };
  const cut = source([1000], 0);
  await rejects(arriving(cut), "bad_file", /ends after 100000 of 100001 bytes/);
  assert.equal(cut.closed, 1);
  const broken = source([1000], 0, true);
  await rejects(arriving(broken), "io", /the line was cut/);
  assert.equal(broken.closed, 1);
  const stop = new AbortController();
  const slow = source([1000], 0);
  const a = arriving(slow, { signal: stop.signal });
  await a.upTo(5000);
  stop.abort();
  await assert.rejects(a.all(), (e: ModelError) => e.code === "aborted");
});

test("no room is made for more than can be there", () => {
  const a = arriving(source([10], 0));
  assert.equal(a.reserve(2 ** 40), false);
});
