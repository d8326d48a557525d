// The functions around the tile of strassen.ts: blocks and panels, the table of rows, the sums of a block's halves.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import { markAt } from "../driver.js";
import type { Tile } from "../engine.js";
import { roundUp } from "./operands.js";
import type { Halves } from "./strassen_cost.js";
import { type Code, entry, strassenTile } from "./strassen_tile.js";

export const strassenWords = [
  "x",
  "weights",
  "out",
  "outPitch",
  "scratch",
  "xPitch",
  "pixels", // of an image
  "blocks", // of an image
  "half", // pixels of half a block
  "pairs", // of panels of nr channels
  "steps", // blocks of k in a product
  "halfBytes", // half a row of x
  "panelBytes", // weights of 8 channels in a product
  "planeS", // bytes from one sum of a tile's rows to the next
  "atKept", // in the scratch
  "atTable",
  "atS",
] as const;

/** Where things lie in a thread's scratch. */
export function scratchOf(
  h: Halves,
  k: number,
  { mr, nr }: Tile,
): { args: Record<string, number>; bytes: number } {
  const atKept = 64;
  const atTable = atKept + 8 * mr * nr;
  const tiles = Math.ceil(h.rows / mr);
  const atS = roundUp(atTable + 4 * entry.words * tiles * mr, 64);
  const planeS = 2 * k * mr;
  return { args: { atKept, atTable, atS, planeS }, bytes: atS + 4 * planeS * tiles + 64 };
}

/** (args, first unit, end); a unit is a pair of panels over a block. */
export function emitBlocks(m: ModuleBuilder, c: Code): number {
  const tile = strassenTile(m, c);
  const prepare = m.func(["i32", "i32", "i32"], [], (f) => emitPrepare(f, c));
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const [begin, end] = [1, 2];
    const arg = (name: string): FunctionBuilder => c.layout.push(f, 0, name);
    const [block, pair, n, first, rows] = f.someLocals(5, "i32");
    f.block().get(begin).get(end).op("i32.ge_u").brIf(0).loop();
    f.get(begin);
    arg("pairs").op("i32.div_u").set(block).get(begin);
    arg("pairs").op("i32.rem_u").set(pair);
    // Its first pixel and its pixels: two halves, or of an image's last block what is left.
    f.get(block);
    arg("blocks").op("i32.rem_u");
    arg("half").i32(1).op("i32.shl").tee(rows).op("i32.mul").set(first);
    f.get(rows);
    arg("pixels").get(first).op("i32.sub").tee(n).get(rows).get(n).op("i32.lt_u", "select").set(rows);
    // The table and the sums are there when the chunk before was of the same block.
    f.get(block).i32(1).op("i32.add");
    arg("scratch").load(markAt).op("i32.ne").if();
    f.get(0).get(rows).get(block);
    arg("blocks").op("i32.div_u");
    arg("pixels").op("i32.mul").get(first).op("i32.add").call(prepare);
    arg("scratch").get(block).i32(1).op("i32.add").store(markAt).end();
    arg("pairs").get(pair).op("i32.sub").tee(n).get(end).get(begin).op("i32.sub").tee(first);
    f.get(n).get(first).op("i32.lt_u", "select").set(n);
    f.incBy(begin, n);
    f.repeat(n, () => {
      f.get(0).get(rows).ceilDiv(2);
      emitPanel(f, c, pair);
      f.call(tile).inc(pair, 1);
    });
    f.get(begin).get(end).op("i32.lt_u").brIf(0).end().end();
  });
}

/** Pushes the address of a pair's weights, and its first channel. */
function emitPanel(f: FunctionBuilder, { layout, tile }: Code, pair: Local): void {
  layout.push(f, 0, "weights").get(pair);
  layout
    .push(f, 0, "panelBytes")
    .i32((7 * tile.nr) / 8)
    .op("i32.mul", "i32.mul", "i32.add");
  if (tile.nr === 16) return void f.get(pair).i32(32).op("i32.mul");
  // 0 8 32 40 64 …
  f.get(pair).i32(4).op("i32.shl").i32(-32).op("i32.and");
  f.get(pair).i32(3).op("i32.shl").i32(8).op("i32.and", "i32.add");
}

/** (args, pixels of the block, the first one): the table, rows beyond the last of a half repeat it, and the sums. */
function emitPrepare(f: FunctionBuilder, c: Code): void {
  const { layout, tile } = c;
  const [pixels, pixel] = [1, 2];
  const arg = (name: string): FunctionBuilder => layout.push(f, 0, name);
  const [pitch, outPitch, half, rows] = f.someLocals(4, "i32");
  const [table, sums, i, n, tiles] = f.someLocals(5, "i32");
  const [top, bottom, topOut, bottomOut] = f.someLocals(4, "i32");
  f.get(pixels).ceilDiv(2).set(rows);
  for (const [name, by, step, at, across] of [
    ["x", "xPitch", pitch, top, bottom],
    ["out", "outPitch", outPitch, topOut, bottomOut],
  ] as const) {
    arg(name).get(pixel);
    arg(by).tee(step).op("i32.mul", "i32.add").tee(at);
    // One pixel is its own other half.
    f.get(rows).get(pixels).i32(1).op("i32.eq", "i32.sub").get(step).op("i32.mul", "i32.add").set(across);
  }
  arg("halfBytes").set(half);
  arg("scratch");
  arg("atTable").op("i32.add").set(table);
  arg("scratch");
  arg("atS").op("i32.add").set(sums);
  const sum = sumsOf(f, c, half);
  f.get(rows).ceilDiv(tile.mr).set(tiles);
  f.repeat(tiles, () => {
    f.i32(tile.mr).set(n);
    f.repeat(n, () => {
      Object.entries({ top, bottom, sums, topOut, bottomOut }).forEach(([name, from]) => {
        f.get(table)
          .get(from)
          .store(4 * tile.mr * entry[name as keyof typeof entry]);
      });
      sum(top, bottom, sums);
      f.inc(table, 4).incBy(sums, half).inc(i, 1).get(i).get(rows).op("i32.lt_u").if();
      f.incBy(top, pitch).incBy(topOut, outPitch).end();
      f.get(i).get(rows).op("i32.add").get(pixels).op("i32.lt_u").if();
      f.incBy(bottom, pitch).incBy(bottomOut, outPitch).end();
    });
    layout.push(f, 0, "planeS").i32(3).op("i32.mul").get(sums).op("i32.add").set(sums);
    f.inc(table, 4 * tile.mr * (entry.words - 1));
  });
}

/** Makes S2, S1, S4 and S3 of a row of the upper half and of the lower. */
function sumsOf(
  f: FunctionBuilder,
  { layout }: Code,
  half: Local,
): (top: Local, bottom: Local, to: Local) => void {
  const [a, b, s, t, plane, n] = f.someLocals(6, "i32");
  const [a11, a12, a21, s1, s2] = f.someLocals(5, "v128");
  layout.push(f, 0, "planeS").set(plane);
  return (top, bottom, to) => {
    f.get(top).set(a).get(bottom).set(b).get(to).set(s).get(half).i32(5).op("i32.shr_u").set(n);
    f.repeat(n, () => {
      for (const at of [0, 16]) {
        f.get(a).vload(at).set(a11).get(b).vload(at).tee(a21);
        f.get(b).get(half).op("i32.add").vload(at).op("f32x4.add").set(s1);
        f.get(a).get(half).op("i32.add").vload(at).set(a12);
        f.get(s).get(s1).get(a11).op("f32x4.sub").tee(s2).vstore(at);
        f.get(s).get(plane).op("i32.add").tee(t).get(s1).vstore(at);
        f.get(t).get(plane).op("i32.add").tee(t).get(a12).get(s2).op("f32x4.sub").vstore(at);
        f.get(t).get(plane).op("i32.add").get(a11).get(a21).op("f32x4.sub").vstore(at);
      }
      f.inc(a, 32).inc(b, 32).inc(s, 32);
    });
  };
}
