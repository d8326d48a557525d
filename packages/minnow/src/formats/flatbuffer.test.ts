// The checked FlatBuffer reader against Google's writer, and against references that lie.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Builder } from "flatbuffers";
import { ModelError } from "../error.js";
import { FlatBuffer, type Table } from "./flatbuffer.js";

const isBadFile = (e: unknown): boolean => e instanceof ModelError && e.code === "bad_file";

function sample(): Uint8Array {
  const b = new Builder(16);
  const text = b.createString("Fischlein ä");
  b.startVector(4, 3, 4);
  for (const v of [3, 2, 1]) b.addInt32(v);
  const ints = b.endVector();
  b.startObject(1);
  b.addFieldInt8(0, -7, 0);
  const child = b.endObject();
  b.startVector(4, 2, 4);
  b.addOffset(child);
  b.addOffset(child);
  const children = b.endVector();
  b.startObject(8);
  b.addFieldInt8(0, 200, 0);
  b.addFieldInt64(1, 2n ** 40n, 0n);
  b.addFieldFloat32(2, 0.5, 0);
  b.addFieldFloat64(3, 0.1, 0);
  b.addFieldOffset(4, text, 0);
  b.addFieldOffset(5, ints, 0);
  b.addFieldOffset(6, child, 0);
  b.addFieldOffset(7, children, 0);
  b.finish(b.endObject());
  return b.asUint8Array().slice();
}

const root = (bytes: Uint8Array): Table => new FlatBuffer(bytes, "test").root();

test("reads what the library wrote", () => {
  const t = root(sample());
  assert.deepEqual(
    [t.num(0, "u8"), t.num(0, "i8"), t.num(1, "u64"), t.num(2, "f32"), t.num(3, "f64")],
    [200, -56, 2 ** 40, 0.5, 0.1],
  );
  assert.equal(t.string(4), "Fischlein ä");
  assert.deepEqual(t.nums(5, "i32"), [1, 2, 3]);
  assert.equal(t.table(6)?.num(0, "i8"), -7);
  assert.deepEqual(
    t.tables(7).map((c) => c.num(0, "i8")),
    [-7, -7],
  );
  assert.deepEqual(
    [t.num(20, "i32", 9), t.string(20), t.nums(20, "i32"), t.tables(20)],
    [9, undefined, undefined, []],
  );
});

test("every 32-bit word may hold anything", () => {
  const bytes = sample();
  const values = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff, bytes.length, bytes.length - 1];
  const visit = (t: Table, depth: number): void => {
    for (let slot = 0; slot < 12; slot++) {
      for (const f of [
        () => t.num(slot, "u64"),
        () => t.string(slot),
        () => t.nums(slot, "f64"),
        () => t.bytes(slot),
        () => t.strings(slot),
      ])
        try {
          f();
        } catch (e) {
          if (!isBadFile(e)) throw e;
        }
      if (depth > 0)
        try {
          for (const c of t.tables(slot)) visit(c, depth - 1);
        } catch (e) {
          if (!isBadFile(e)) throw e;
        }
    }
  };
  for (let at = 0; at + 4 <= bytes.length; at++)
    for (const v of values) {
      const broken = bytes.slice();
      new DataView(broken.buffer).setUint32(at, v >>> 0, true);
      try {
        visit(root(broken), 3);
      } catch (e) {
        if (!isBadFile(e)) throw e;
      }
    }
});

test("a vector of a thousand million elements allocates nothing", () => {
  const bytes = sample();
  const file = new FlatBuffer(bytes, "test");
  const t = file.root();
  const at = t.position(5, 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(at + view.getUint32(at, true), 10 ** 9, true);
  assert.throws(() => t.nums(5, "i32"), /4000000000 bytes/);
});

test("work is limited by the file's size, however often tables refer to each other", () => {
  const b = new Builder(16);
  b.startObject(1);
  let list = b.endObject();
  for (let depth = 0; depth < 5; depth++) {
    b.startVector(4, 100, 4);
    for (let i = 0; i < 100; i++) b.addOffset(list);
    const v = b.endVector();
    b.startObject(1);
    b.addFieldOffset(0, v, 0);
    list = b.endObject();
  }
  b.finish(list);
  const walk = (t: Table): void => t.tables(0).forEach(walk);
  assert.throws(() => walk(root(b.asUint8Array())), /far more than its size/);
});

test("64-bit numbers beyond exactness are refused", () => {
  const b = new Builder(16);
  b.startObject(1);
  b.addFieldInt64(0, 2n ** 60n, 0n);
  b.finish(b.endObject());
  assert.throws(() => root(b.asUint8Array()).num(0, "i64"), isBadFile);
});
