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
import type { FunctionBuilder, ModuleBuilder } from "../assembler.js";
import type { Layout } from "./arguments.js";
import { Ramp } from "./row_ramp.js";
import { type Fill, WindowRows, zeros } from "./row_windows.js";

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
  return m.once(`rows_${kind}_${mr}_${fill.key}_${family}`, () =>
    m.func(["i32", "i32", "i32", "i32"], [], (f) => {
      if (kind === "plain") plain(f, mr, layout);
      else new WindowRows(f, mr, layout, kind === "line", fill).emit();
    }),
  );
}

function plain(f: FunctionBuilder, mr: number, layout: Layout<string>): void {
  const pitch = layout.local(f, args, "xPitch");
  const table = layout.local(f, args, "scratch");
  const x = f.local();
  const r = f.local();
  const last = f.local();
  const tiles = f.local();
  f.get(row0).get(rows).op("i32.add").i32(1).op("i32.sub").set(last);
  f.get(row0).set(r);
  layout.push(f, args, "x").get(xOffset).op("i32.add").get(r).get(pitch).op("i32.mul", "i32.add").set(x);
  f.get(rows).ceilDiv(mr).set(tiles);
  const addresses = new Ramp(f, mr, () => f.get(pitch));
  const numbers = new Ramp(f, mr, () => f.i32(1));
  f.repeat(tiles, () => {
    f.get(r).i32(mr).op("i32.add").get(last).op("i32.le_u").if();
    addresses.store(table, 0, x);
    numbers.store(table, 4 * mr, r);
    f.inc(r, mr).get(x).get(pitch).i32(mr).op("i32.mul", "i32.add").set(x).else();
    for (let i = 0; i < mr; i++) {
      f.get(table)
        .get(x)
        .store(4 * i)
        .get(table)
        .get(r)
        .store(4 * (mr + i));
      // r and x stay at the last row.
      f.get(r).get(last).op("i32.lt_u").if();
      f.inc(r, 1).incBy(x, pitch);
      f.end();
    }
    f.end().inc(table, 8 * mr);
  });
}
