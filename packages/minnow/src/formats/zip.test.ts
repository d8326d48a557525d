import assert from "node:assert/strict";
import { test } from "node:test";
import { mutate, seededRng } from "./mutate.js";
import { readStoredZip } from "./zip.js";

const encode = (s: string): Uint8Array => new TextEncoder().encode(s);

/** An archive of stored entries behind `before`; offsets count from the archive's start or the file's. */
function archive(entries: Record<string, string>, before: number, fromFile: boolean, method = 0): Uint8Array {
  const out: number[] = Array<number>(before).fill(7);
  const u16 = (v: number) => [v & 255, (v >> 8) & 255];
  const u32 = (v: number) => [...u16(v), ...u16(v >>> 16)];
  const base = fromFile ? 0 : before;
  const central: number[] = [];
  for (const [name, text] of Object.entries(entries)) {
    const [n, data] = [encode(name), encode(text)];
    const sizes = [...u32(0), ...u32(data.length), ...u32(data.length), ...u16(n.length), ...u16(0)];
    central.push(...u32(0x02014b50), ...u16(20), ...u16(20), ...u16(0), ...u16(method), ...u32(0), ...sizes);
    central.push(...u16(0), ...u16(0), ...u16(0), ...u32(0), ...u32(out.length - base), ...n);
    out.push(...u32(0x04034b50), ...u16(20), ...u16(0), ...u16(method), ...u32(0), ...sizes, ...n, ...data);
  }
  const start = out.length - base;
  const count = Object.keys(entries).length;
  out.push(
    ...central,
    ...u32(0x06054b50),
    ...u32(0),
    ...u16(count),
    ...u16(count),
    ...u32(central.length),
    ...u32(start),
    ...u16(0),
  );
  return Uint8Array.from(out);
}

test("stored entries behind a model, with either way to count offsets", () => {
  for (const fromFile of [true, false]) {
    const entries = readStoredZip(archive({ "labels.txt": "cat\ndog", "b.txt": "" }, 100, fromFile));
    assert.deepEqual(
      [...entries].map(([k, v]) => [k, new TextDecoder().decode(v)]),
      [
        ["labels.txt", "cat\ndog"],
        ["b.txt", ""],
      ],
    );
  }
});

test("compressed entries and files without an archive give none", () => {
  assert.equal(readStoredZip(archive({ a: "x" }, 10, true, 8)).size, 0);
  assert.equal(readStoredZip(new Uint8Array(50)).size, 0);
  assert.equal(readStoredZip(new Uint8Array()).size, 0);
});

test("damaged archives are passed over", () => {
  const source = archive({ "labels.txt": "cat\ndog", b: "12345" }, 40, true);
  for (let i = 0; i < 3000; i++) readStoredZip(mutate(source, seededRng(i)));
});
