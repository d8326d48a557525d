// Rows of x in the order of a tile's weights (quad_order.ts), as the unsigned bytes that they are multiplied as:
// [tile][sixteen of all taps][row][16] in scratch, for as many tiles as stay in the first-level cache, so that what
// is read was written long before. It costs a sixth of an 8-bit tile of 8 channels, half as much of 16; 16-bit
// products, the other way with weights as large, take 1.45 times as long.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Layout } from "./arguments.js";

/** The order of a tile's channels: [sixteen of all taps] of a shuffle and a bit mask. */
export const orderVectors = 32;

/** What a tile of rows in order does in its own way. */
export interface OrderedRows {
  /** A function (args, table, tiles, order) that orders rows of mr. */
  order(m: ModuleBuilder, layout: Layout<string>, mr: number): number;
  /** Runs `tile` for all tiles, some at a time, with `at` where the tile's rows are. */
  batches(f: FunctionBuilder, l: Batches, tile: () => void): void;
  /** Where the sixteen is that a list's entry is about. */
  sixteen(f: FunctionBuilder, entry: Local, at: Local, to: Local, mr: number): void;
}

interface Batches {
  readonly arg: (name: string) => FunctionBuilder;
  /** The function `order`. */
  readonly order: number;
  readonly args: Local;
  readonly table: Local;
  readonly tiles: Local;
  readonly slot: Local;
  readonly at: Local;
}

export const orderedRows: OrderedRows = { order: emitOrder, batches: emitBatches, sixteen };

function emitOrder(m: ModuleBuilder, layout: Layout<string>, mr: number): number {
  return m.once(`order_${mr}`, () =>
    m.func(["i32", "i32", "i32", "i32"], [], (f) => {
      const [table, tiles, start] = [1, 2, 3];
      const [taps, to, order] = [layout.local(f, 0, "rowTaps"), layout.local(f, 0, "wide"), f.local()];
      const [tap, n] = f.someLocals(2, "i32");
      const rows = f.someLocals(mr, "i32");
      const [shuffle, mask] = f.someLocals(2, "v128");
      layout.push(f, 0, "scratch").get(to).op("i32.add").set(to);
      f.repeat(tiles, () => {
        f.get(start).set(order).get(taps).set(tap);
        f.repeat(tap, () => {
          rows.forEach(
            (p, r) =>
              void f
                .get(table)
                .load(4 * r)
                .set(p),
          );
          f.inc(table, 4 * mr);
          layout.push(f, 0, "tapK").i32(15).op("i32.add").i32(4).op("i32.shr_u").set(n);
          f.repeat(n, () => {
            f.get(order).vload().set(shuffle).get(order).vload(16).set(mask);
            rows.forEach((p, r) => {
              f.get(to).get(p).vload().get(shuffle).op("i8x16.relaxed_swizzle").get(mask).op("v128.xor");
              f.vstore(16 * r).inc(p, 16);
            });
            f.inc(order, orderVectors).inc(to, 16 * mr);
          });
        });
        // Behind a tile's taps are its pixels.
        f.inc(table, 4 * mr);
      });
    }),
  );
}

function emitBatches(f: FunctionBuilder, l: Batches, tile: () => void): void {
  const { arg, tiles, at } = l;
  const n = f.local();
  f.loop();
  arg("batch").get(tiles);
  arg("batch").get(tiles).op("i32.lt_u", "select").set(n);
  f.get(l.args).get(l.table).get(n);
  arg("orders").get(l.slot);
  arg("orderBytes").op("i32.mul", "i32.add").call(l.order);
  arg("scratch");
  arg("wide").op("i32.add").set(at);
  f.get(tiles).get(n).op("i32.sub").set(tiles);
  f.repeat(n, () => {
    tile();
    f.get(at);
    arg("rowWide").op("i32.add").set(at);
  });
  f.get(tiles).brIf(0).end();
}

function sixteen(f: FunctionBuilder, entry: Local, at: Local, to: Local, mr: number): void {
  f.get(at).get(entry).load().i32(1).op("i32.sub");
  f.i32(16 * mr)
    .op("i32.mul", "i32.add")
    .set(to);
}
