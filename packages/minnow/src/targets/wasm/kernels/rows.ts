// Row tables: where each output pixel's inputs lie. Filled for a chunk of pixels just before use, so
// they are small, and nothing depends on shapes but the argument block. Layout, per tile of mr pixels:
// [tap][mr] input addresses, then [mr] output pixel numbers. Taps outside the image point at zeros.
//
//   plain   one tap: pixel r is row r at a fixed pitch (1×1 convolution, dense)
//   window  one tap per kernel element
//   line    one tap per kernel *row*: its kw·C inputs are contiguous; where the window crosses the left
//           or right edge they are copied into a patch with zeros around (few pixels do)
//
// A tile whose windows lie side by side inside the image has its addresses at fixed steps: four are
// written at a time. Most tiles are such; the others go pixel by pixel.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Layout } from "./arguments.js";
import { type Fill, rowEdge, zeros } from "./row_edge.js";
import { WindowRows } from "./row_windows.js";

export type RowKind = "plain" | "window" | "line";

const [args, row0, rows, xOffset] = [0, 1, 2, 3];

/**
 * (args, first pixel, pixels ≥ 1, byte offset into x) → ()
 * @param family kernels whose shared words lie elsewhere say so
 */
export function rowTable(
  m: ModuleBuilder,
  kind: RowKind,
  mr: number,
  layout: Layout<string>,
  fill: Fill = zeros,
  family = "gemm",
): number {
  return m.once(`rows_${kind}_${mr}_${fill.key}_${family}`, () => {
    const edge = kind === "line" ? rowEdge(m, mr, layout, fill, family) : undefined;
    return m.func(["i32", "i32", "i32", "i32"], [], (f) => {
      if (kind === "plain") plain(f, mr, layout);
      else new WindowRows(f, mr, layout, edge).emit();
    });
  });
}

function plain(f: FunctionBuilder, mr: number, layout: Layout<string>): void {
  const pitch = layout.local(f, args, "xPitch");
  const table = layout.local(f, args, "scratch");
  const [x, tiles, n] = f.someLocals(3, "i32");
  layout.push(f, args, "x").get(xOffset).op("i32.add").get(row0).get(pitch).op("i32.mul", "i32.add").set(x);
  // A tile's words, four a vector, and what they rise by from tile to tile.
  const [rising, none, all, mask] = [
    [...Array(mr).keys()],
    ...[0, mr, -1].map((n) => Array<number>(mr).fill(n)),
  ];
  const vectors = Array.from({ length: Math.ceil(mr / 2) }, (_, v) => {
    const [words, step] = f.someLocals(2, "v128");
    const push = (addresses: readonly number[] = [], numbers: readonly number[] = []): FunctionBuilder =>
      f.i32x4(
        ...([...addresses, ...numbers, 0, 0].slice(4 * v, 4 * v + 4) as [number, number, number, number]),
      );
    f.get(pitch).op("i32x4.splat");
    push(rising, none).op("i32x4.mul").get(x).op("i32x4.splat").get(row0).op("i32x4.splat");
    push(mask, none).op("v128.bitselect", "i32x4.add");
    push(none, rising).op("i32x4.add").set(words);
    f.get(pitch).op("i32x4.splat");
    push(all, none).op("i32x4.mul");
    push(none, all).op("i32x4.add").set(step);
    return { words, step };
  });
  f.get(rows).ceilDiv(mr).set(tiles);
  f.get(rows).get(tiles).i32(mr).op("i32.mul", "i32.sub").set(n);
  f.repeat(tiles, () => {
    vectors.forEach(({ words, step }, v) => {
      f.get(table)
        .get(words)
        .vstore(16 * v);
      f.get(words).get(step).op("i32x4.add").set(words);
    });
    f.inc(table, 8 * mr);
  });
  repeatLast(f, mr, { table, x, pitch, n });
}

/** Behind the last row it is repeated: in the last `n` (≤ 0: minus so many) entries of the tile before `table`. */
function repeatLast(
  f: FunctionBuilder,
  mr: number,
  { table, x, pitch, n }: Readonly<Record<"table" | "x" | "pitch" | "n", Local>>,
): void {
  const last = f.local();
  f.get(rows).i32(1).op("i32.sub").tee(last).get(pitch).op("i32.mul").get(x).op("i32.add").set(x);
  f.get(row0).get(last).op("i32.add").set(last);
  f.block().loop().get(n).i32(0).op("i32.ge_s").brIf(1);
  f.get(table).get(n).i32(2).op("i32.shl", "i32.add").tee(pitch);
  f.get(last)
    .store()
    .get(pitch)
    .i32(4 * mr)
    .op("i32.sub")
    .get(x)
    .store();
  f.inc(n, 1).br(0).end().end();
}
