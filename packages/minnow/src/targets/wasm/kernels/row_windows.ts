// Row tables of windows that slide over an image (see rows.ts): one tap per kernel element, or per kernel row.
import type { FunctionBuilder, Local } from "../assembler.js";
import { imageWords, type Layout } from "./arguments.js";
import { Ramp } from "./row_ramp.js";

/** Strides in bytes; "plain" needs only xPitch. */
export const windowWords = [
  ...imageWords,
  "strideY",
  "strideX",
  "dilationY",
  "dilationX",
  "padTop",
  "padLeft",
  "kh",
  "kw",
  "lineBytes", // kw · pixel bytes
  "patches", // offset of patches in the scratch
] as const;

const [args, row0, rows, xOffset] = [0, 1, 2, 3];

export class WindowRows {
  private readonly a: Record<(typeof windowWords)[number], Local>;
  readonly #zero: Local;
  readonly #table: Local;
  readonly #patch: Local;
  private readonly pixel: Local;
  private readonly oy: Local;
  private readonly ox: Local;
  private readonly image: Local;
  /** First input row and column under the window, and its address. */
  private readonly iy: Local;
  private readonly ix: Local;
  readonly #at: Local;
  /** All kernel rows lie inside the image. */
  readonly #tall: Local;
  readonly #tapRow: Local;
  readonly #tapColumn: Local;
  /** Bytes from one output pixel's window to the next. */
  readonly #stepX: Local;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly mr: number,
    private readonly layout: Layout<string>,
    /** The function for lines that cross an edge (row_edge.ts): one tap per kernel row. */
    private readonly edge: number | undefined,
  ) {
    this.a = Object.fromEntries(windowWords.map((n) => [n, layout.local(f, args, n)])) as typeof this.a;
    this.#zero = layout.local(f, args, "zero");
    this.#table = layout.local(f, args, "scratch");
    [this.#patch, this.pixel, this.oy, this.ox, this.image, this.iy, this.ix] = f.someLocals(7, "i32");
    [this.#at, this.#tall, this.#tapRow, this.#tapColumn, this.#stepX] = f.someLocals(5, "i32");
  }

  emit(): void {
    const { f, a, mr, pixel, ox, oy, image, layout } = this;
    const last = f.local();
    const tiles = f.local();
    const t = f.local();
    f.get(a.strideX).get(a.xPitch).op("i32.mul").set(this.#stepX);
    f.get(a.dilationY).get(a.xRow).op("i32.mul").set(this.#tapRow);
    f.get(a.dilationX).get(a.xPitch).op("i32.mul").set(this.#tapColumn);
    f.get(this.#table).get(a.patches).op("i32.add").set(this.#patch);
    f.get(row0).get(rows).op("i32.add").i32(1).op("i32.sub").set(last);
    f.get(row0).set(pixel);
    f.get(row0).get(a.ow).op("i32.rem_u").set(ox);
    f.get(row0).get(a.ow).op("i32.div_u").tee(t).get(a.oh).op("i32.rem_u").set(oy);
    layout.push(f, args, "x").get(xOffset).op("i32.add");
    f.get(t).get(a.oh).op("i32.div_u").get(a.xImage).op("i32.mul", "i32.add").set(image);
    this.#startRow();
    f.get(rows).ceilDiv(mr).set(tiles);
    this.#tiles(tiles, last);
  }

  /** A tile, pixel by pixel. */
  #tile(last: Local): void {
    const { f, a, mr } = this;
    const [n, one] = f.someLocals(2, "i32");
    f.i32(1).set(one).i32(mr).set(n);
    f.repeat(n, () => {
      this.#taps();
      f.inc(this.#table, 4).get(this.pixel).get(last).op("i32.lt_u").if();
      this.#advance(one);
      f.end();
    });
    // The table stands behind tap 0; skip the other taps and the pixel numbers.
    f.get(this.#table).get(a.kh);
    if (this.edge === undefined) f.get(a.kw).op("i32.mul");
    f.i32(4 * mr)
      .op("i32.mul", "i32.add")
      .set(this.#table);
  }

  /** `pixels` on, which lie in one row. */
  #advance(pixels: Local): void {
    const { f, a, ox, oy } = this;
    f.incBy(this.pixel, pixels).incBy(ox, pixels);
    for (const [to, step] of [
      [this.ix, a.strideX],
      [this.#at, this.#stepX],
    ] as const)
      f.get(pixels).get(step).op("i32.mul").get(to).op("i32.add").set(to);
    f.get(ox).get(a.ow).op("i32.eq").if();
    f.i32(0).set(ox).inc(oy, 1).get(oy).get(a.oh).op("i32.eq").if();
    f.i32(0).set(oy).incBy(this.image, a.xImage).end();
    this.#startRow();
    f.end();
  }

  /**
   * All tiles: runs of those whose windows lie side by side inside the image at fixed steps, others pixel by pixel.
   * Lines may cross the left or right edge: the pixels whose lines do are written once more.
   */
  #tiles(tiles: Local, last: Local): void {
    const { f, a, mr, pixel } = this;
    const [run, pixels, start] = f.someLocals(3, "i32");
    const least = (other: () => void): void => {
      other();
      f.tee(pixels).get(run).get(pixels).get(run).op("i32.lt_u", "select").set(run);
    };
    const ramps = this.#ramps(run);
    f.loop().i32(0).set(run).get(this.#tall).if();
    f.get(a.ow).get(this.ox).op("i32.sub").set(run);
    least(() => f.get(last).i32(1).op("i32.add").get(pixel).op("i32.sub"));
    if (this.edge === undefined) least(() => this.#windowsInside());
    f.get(run).i32(mr).op("i32.div_u").set(run).end();
    f.get(run).if().get(this.#table).set(start).get(tiles).get(run).op("i32.sub").set(tiles);
    f.get(run).i32(mr).op("i32.mul").set(pixels);
    ramps();
    if (this.edge !== undefined) this.#crossing(start, pixels);
    this.#advance(pixels);
    f.else();
    this.#tile(last);
    f.inc(tiles, -1).end().get(tiles).brIf(0).end();
  }

  /** Pushes how many windows side by side, from this one on, lie between the left and right edge. */
  #windowsInside(): void {
    const { f, a, ix } = this;
    const room = f.local();
    f.get(a.w).get(ix).op("i32.sub").get(a.kw).i32(1).op("i32.sub").get(a.dilationX).op("i32.mul", "i32.sub");
    f.set(room).get(room).get(a.strideX).op("i32.add").i32(1).op("i32.sub").get(a.strideX).op("i32.div_u");
    f.i32(0).get(ix).i32(0).op("i32.ge_s").get(room).i32(0).op("i32.gt_s", "i32.and", "select");
    f.free("i32", room);
  }

  /** What writes `run` tiles, addresses at fixed steps, tap by tap, and numbers. */
  #ramps(run: Local): () => void {
    const { f, a, mr } = this;
    const table = this.#table;
    const addresses = new Ramp(f, mr, () => f.get(this.#stepX));
    const numbers = new Ramp(f, mr, () => f.i32(1));
    const [first, step, row, at, number, n, k] = f.someLocals(7, "i32");
    const store = (from: Local): void => {
      addresses.store(table, 0, from);
      f.inc(table, 4 * mr);
    };
    f.get(this.#stepX).i32(mr).op("i32.mul").set(step);
    return () => {
      f.get(this.#at).set(first).get(this.pixel).set(number);
      f.repeat(run, () => {
        f.get(a.kh).set(n).get(first).set(row);
        f.repeat(n, () => {
          if (this.edge !== undefined) store(row);
          else {
            f.get(row).set(at).get(a.kw).set(k);
            f.repeat(k, () => {
              store(at);
              f.incBy(at, this.#tapColumn);
            });
          }
          f.incBy(row, this.#tapRow);
        });
        numbers.store(table, 0, number);
        f.inc(table, 4 * mr)
          .inc(number, mr)
          .incBy(first, step);
      });
    };
  }

  /** Of `pixels` side by side, those at either end whose lines cross an edge. @param table where theirs begins */
  #crossing(table: Local, pixels: Local): void {
    const { f, a, mr, ix } = this;
    const [first, end, i, x] = f.someLocals(4, "i32");
    const cut = (): void => {
      f.get(args).get(table).get(i).i32(mr).op("i32.div_u");
      f.get(a.kh)
        .i32(1)
        .op("i32.add")
        .i32(4 * mr)
        .op("i32.mul", "i32.mul", "i32.add");
      f.get(i).i32(mr).op("i32.rem_u").i32(2).op("i32.shl", "i32.add");
      f.get(this.#at).get(i).get(this.#stepX).op("i32.mul", "i32.add").get(x);
      this.#cut();
    };
    f.i32(0).set(first).get(pixels).set(end);
    for (const right of [false, true]) {
      f.block().loop().get(first).tee(i).get(end).op("i32.ge_s").brIf(1);
      if (right) f.get(end).i32(1).op("i32.sub").set(i);
      f.get(ix).get(i).get(a.strideX).op("i32.mul", "i32.add").tee(x);
      if (right) f.get(a.kw).op("i32.add").get(a.w).op("i32.le_s").brIf(1);
      else f.i32(0).op("i32.ge_s").brIf(1);
      cut();
      if (right) f.get(i).set(end);
      else f.inc(first, 1);
      f.br(0).end().end();
    }
    f.free("i32", first, end, i, x);
  }

  /** The lines of a window that an edge cuts; on the stack: arguments, entry, address, column. */
  #cut(): void {
    const { f, iy } = this;
    f.get(iy)
      .get(this.#patch)
      .call(this.edge as number)
      .set(this.#patch);
  }

  /** iy, ix, at and tall from oy and ox. */
  #startRow(): void {
    const { f, a, iy, ix } = this;
    f.get(this.oy).get(a.strideY).op("i32.mul").get(a.padTop).op("i32.sub").set(iy);
    f.get(this.ox).get(a.strideX).op("i32.mul").get(a.padLeft).op("i32.sub").set(ix);
    f.get(this.image)
      .get(iy)
      .get(a.xRow)
      .op("i32.mul", "i32.add")
      .get(ix)
      .get(a.xPitch)
      .op("i32.mul", "i32.add");
    f.set(this.#at);
    f.get(iy)
      .i32(0)
      .op("i32.ge_s")
      .get(a.kh)
      .i32(1)
      .op("i32.sub")
      .get(a.dilationY)
      .op("i32.mul")
      .get(iy)
      .op("i32.add");
    f.get(a.h).op("i32.lt_s", "i32.and").set(this.#tall);
  }

  /** Writes one pixel's taps and its number. */
  #taps(): void {
    const { f } = this;
    const [at, p, n] = f.someLocals(3, "i32");
    f.get(this.#at).set(at).get(this.#table).set(p).get(this.a.kh).set(n);
    if (this.edge === undefined) this.#windowRows(at, p, n);
    else this.#lines(at, p, n);
    f.get(p).get(this.pixel).store();
    f.free("i32", at, p, n);
  }

  #lines(at: Local, p: Local, n: Local): void {
    const { f, a, ix } = this;
    const step = 4 * this.mr;
    // All of it is inside: addresses at fixed steps.
    f.get(this.#tall).get(ix).i32(0).op("i32.ge_s", "i32.and").get(ix).get(a.kw).op("i32.add");
    f.get(a.w).op("i32.le_s", "i32.and").if();
    f.repeat(n, () => {
      f.get(p).get(at).store();
      f.inc(p, step).incBy(at, this.#tapRow);
    });
    f.else().get(args).get(p).get(at).get(ix);
    this.#cut();
    f.get(p).get(n).i32(step).op("i32.mul", "i32.add").set(p).end();
  }

  #windowRows(at: Local, p: Local, n: Local): void {
    const { f, a, mr } = this;
    const [iy, ix, k, q] = f.someLocals(4, "i32");
    f.get(this.iy).set(iy);
    f.repeat(n, () => {
      f.get(this.ix).set(ix).get(at).set(q).get(a.kw).set(k);
      f.repeat(k, () => {
        f.get(p).get(q).get(this.#zero).get(iy).get(a.h).op("i32.lt_u");
        f.get(ix).get(a.w).op("i32.lt_u", "i32.and", "select").store();
        f.inc(p, 4 * mr)
          .incBy(ix, a.dilationX)
          .incBy(q, this.#tapColumn);
      });
      f.incBy(iy, a.dilationY).incBy(at, this.#tapRow);
    });
    f.free("i32", iy, ix, k, q);
  }
}
