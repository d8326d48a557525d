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
  const [x, tiles] = f.someLocals(2, "i32");
  // Behind the last row it is repeated.
  const [lastAddress, last] = f.someLocals(2, "v128");
  layout.push(f, args, "x").get(xOffset).op("i32.add").get(row0).get(pitch).op("i32.mul", "i32.add").tee(x);
  f.get(rows).i32(1).op("i32.sub").get(pitch).op("i32.mul", "i32.add", "i32x4.splat").set(lastAddress);
  f.get(row0).get(rows).op("i32.add").i32(1).op("i32.sub", "i32x4.splat").set(last);
  const addresses = new Ramp(f, mr, () => f.get(pitch));
  const numbers = new Ramp(f, mr, () => f.i32(1));
  f.get(rows).ceilDiv(mr).set(tiles);
  f.repeat(tiles, () => {
    addresses.store(table, 0, x, lastAddress);
    numbers.store(table, 4 * mr, row0, last);
    f.inc(row0, mr).get(x).get(pitch).i32(mr).op("i32.mul", "i32.add").set(x);
    f.inc(table, 8 * mr);
  });
}
