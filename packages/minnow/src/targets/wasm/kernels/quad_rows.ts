// Rows of x in the order of a tile's weights (quad_order.ts), as the unsigned bytes that they are multiplied as:
// [sixteen of all taps][row][16] in scratch. The next tile's rows take the place of what has just been multiplied:
// among multiplications, which wait for the two pipes that multiply, ordering them is all but free (before the
// tile it cost a sixth of its time with 8 channels, half as much with 16).
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Layout } from "./arguments.js";
import type { QuadCode } from "./quad_code.js";

/** The order of a tile's channels: [sixteen of all taps] of a shuffle and a bit mask. */
export const orderVectors = 32;

/** A function (args, table, to, order) that orders the rows of a tile of mr. */
export function orderTile(m: ModuleBuilder, layout: Layout<string>, mr: number): number {
  return m.once(`order_${mr}`, () =>
    m.func(["i32", "i32", "i32", "i32"], [], (f) => {
      const [table, to, order] = [1, 2, 3];
      const taps = layout.local(f, 0, "rowTaps");
      const n = f.local();
      const rows = f.someLocals(mr, "i32");
      f.repeat(taps, () => {
        rows.forEach((p, r) => {
          f.get(table)
            .load(4 * r)
            .set(p);
        });
        f.inc(table, 4 * mr);
        layout.push(f, 0, "tapK").i32(15).op("i32.add").i32(4).op("i32.shr_u").set(n);
        f.repeat(n, () => {
          orderSixteen(f, rows, order, to, 0);
          for (const p of rows) f.inc(p, 16);
          f.inc(order, orderVectors).inc(to, 16 * mr);
        });
      });
    }),
  );
}

/** Sixteen number `i` of some rows, to where it lies from `to` on. */
function orderSixteen(f: FunctionBuilder, rows: readonly Local[], order: Local, to: Local, i: number): void {
  const [shuffle, mask] = f.someLocals(2, "v128");
  f.get(order)
    .vload(orderVectors * i)
    .set(shuffle);
  f.get(order)
    .vload(orderVectors * i + 16)
    .set(mask);
  rows.forEach((p, r) => {
    f.get(to)
      .get(p)
      .vload(16 * i);
    f.get(shuffle)
      .op("i8x16.relaxed_swizzle")
      .get(mask)
      .op("v128.xor")
      .vstore(16 * (r + rows.length * i));
  });
  f.free("v128", shuffle, mask);
}

/** What a tile function does in its own way where rows are ordered. */
export class OrderedRows {
  /** Table of the tile whose rows are ordered: the next one, or the last one once more. */
  readonly table: Local;
  readonly #first: Local;
  readonly #at: Local;
  readonly #orders: Local;
  readonly #order: Local;
  readonly #step: Local;

  /** Orders the first tile's rows. @param order the function `orderTile` */
  constructor(
    private readonly f: FunctionBuilder,
    private readonly mr: number,
    arg: (name: string) => FunctionBuilder,
    { args, table, slot }: { readonly args: Local; readonly table: Local; readonly slot: Local },
    order: number,
  ) {
    [this.table, this.#first, this.#at, this.#orders, this.#order, this.#step] = f.someLocals(6, "i32");
    arg("scratch");
    arg("wide").op("i32.add").set(this.#first);
    arg("orders").get(slot);
    arg("orderBytes").op("i32.mul", "i32.add").set(this.#orders);
    arg("rowTaps").i32(1).op("i32.add");
    f.i32(4 * mr)
      .op("i32.mul")
      .set(this.#step);
    f.get(args).get(table).get(this.#first).get(this.#orders).call(order);
  }

  /** Before a tile is multiplied: what its lists hold, as long as all of its rows are there. */
  begin(acc: readonly (readonly Local[])[], quads: QuadCode, table: Local, tiles: Local): void {
    const { f, mr } = this;
    quads.correct(acc, (entry) => {
      f.get(this.#first).get(entry).load().i32(1).op("i32.sub");
      f.i32(16 * mr)
        .op("i32.mul", "i32.add")
        .set(this.#at);
      return (r) =>
        void f
          .get(this.#at)
          .i32(16 * r)
          .op("i32.add");
    });
    f.get(this.#first).set(this.#at).get(this.#orders).set(this.#order);
    f.get(table).get(this.#step).i32(0).get(tiles).i32(1);
    f.op("i32.gt_u", "select", "i32.add").set(this.table);
  }

  /** Row r's quad u, in all lanes. */
  splat(r: number, u: number): void {
    this.f.get(this.#at).mem("v128.load32_splat", 16 * (r + this.mr * (u >> 2)) + 4 * (u & 3));
  }

  /** The sixteen of quad u is multiplied: the next tile's takes its place. */
  replace(rows: readonly Local[], u: number): void {
    orderSixteen(this.f, rows, this.#order, this.#at, u >> 2);
  }

  advance(quads: number): void {
    this.f.inc(this.#at, 4 * this.mr * quads).inc(this.#order, (orderVectors / 4) * quads);
  }

  /** Behind a tile's taps are its pixels. */
  end(table: Local): void {
    const { f } = this;
    f.get(table)
      .get(this.#step)
      .i32(4 * this.mr)
      .op("i32.sub", "i32.add")
      .set(table);
  }
}

/** How tiles order rows. */
export interface OrderedCode {
  readonly order: typeof orderTile;
  readonly Rows: typeof OrderedRows;
}
export const orderedCode: OrderedCode = { order: orderTile, Rows: OrderedRows };
