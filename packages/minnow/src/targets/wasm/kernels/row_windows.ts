// Row tables of windows that slide over an image (see rows.ts): one tap per kernel element, or per kernel row.
import type { FunctionBuilder, Local } from "../assembler.js";
import type { Op } from "../opcodes.js";
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

/** How the outside of the image reads in patches: bytes of zero, or of the argument "fill". */
export interface Fill {
  readonly key: string;
  push(f: FunctionBuilder, layout: Layout<string>): void;
}
export const zeros: Fill = { key: "0", push: (f) => void f.i32(0) };
export const fillByte: Fill = { key: "byte", push: (f, layout) => void layout.push(f, args, "fill") };

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
  /** What patches hold outside the image. */
  readonly #outside: Local;
  /** Bytes from one output pixel's window to the next. */
  readonly #stepX: Local;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly mr: number,
    private readonly layout: Layout<string>,
    private readonly line: boolean,
    private readonly fill: Fill,
  ) {
    this.a = Object.fromEntries(windowWords.map((n) => [n, layout.local(f, args, n)])) as typeof this.a;
    this.#zero = layout.local(f, args, "zero");
    this.#table = layout.local(f, args, "scratch");
    this.#patch = f.local();
    this.#outside = f.local("v128");
    this.pixel = f.local();
    this.oy = f.local();
    this.ox = f.local();
    this.image = f.local();
    this.iy = f.local();
    this.ix = f.local();
    this.#at = f.local();
    this.#tall = f.local();
    this.#tapRow = f.local();
    this.#tapColumn = f.local();
    this.#stepX = f.local();
  }

  emit(): void {
    const { f, a, mr, pixel, ox, oy, image, layout } = this;
    const last = f.local();
    const tiles = f.local();
    const m = f.local();
    const t = f.local();
    f.get(a.strideX).get(a.xPitch).op("i32.mul").set(this.#stepX);
    f.get(a.dilationY).get(a.xRow).op("i32.mul").set(this.#tapRow);
    f.get(a.dilationX).get(a.xPitch).op("i32.mul").set(this.#tapColumn);
    f.get(this.#table).get(a.patches).op("i32.add").set(this.#patch);
    if (this.line) {
      this.fill.push(f, layout);
      f.op("i8x16.splat").set(this.#outside);
    }
    f.get(row0).get(rows).op("i32.add").i32(1).op("i32.sub").set(last);
    f.get(row0).set(pixel);
    f.get(row0).get(a.ow).op("i32.rem_u").set(ox);
    f.get(row0).get(a.ow).op("i32.div_u").tee(t).get(a.oh).op("i32.rem_u").set(oy);
    layout.push(f, args, "x").get(xOffset).op("i32.add");
    f.get(t).get(a.oh).op("i32.div_u").get(a.xImage).op("i32.mul", "i32.add").set(image);
    this.#startRow();
    f.get(rows).ceilDiv(mr).set(tiles);
    const slow = (): void => {
      f.i32(mr).set(m);
      f.repeat(m, () => {
        this.#taps();
        f.inc(this.#table, 4);
        f.get(pixel).get(last).op("i32.lt_u").if();
        this.#advance(1);
        f.end();
      });
      // The table stands behind tap 0; skip the other taps and the pixel numbers.
      f.get(this.#table).get(a.kh);
      if (!this.line) f.get(a.kw).op("i32.mul");
      f.i32(4 * mr)
        .op("i32.mul", "i32.add")
        .set(this.#table);
    };
    if (mr < 4) f.repeat(tiles, slow);
    else this.#tiles(tiles, last, slow);
  }

  /** `pixels` on, which lie in one row. */
  #advance(pixels: number): void {
    const { f, a, ox, oy } = this;
    const by = (to: Local, step: Local): void => {
      f.get(to).get(step);
      if (pixels > 1) f.i32(pixels).op("i32.mul");
      f.op("i32.add").set(to);
    };
    f.inc(this.pixel, pixels).inc(ox, pixels);
    by(this.ix, a.strideX);
    by(this.#at, this.#stepX);
    f.get(ox).get(a.ow).op("i32.eq").if();
    f.i32(0).set(ox).inc(oy, 1).get(oy).get(a.oh).op("i32.eq").if();
    f.i32(0).set(oy).incBy(this.image, a.xImage).end();
    this.#startRow();
    f.end();
  }

  /** Every tile: at fixed steps where its windows lie side by side inside the image, else `slow`. */
  #tiles(tiles: Local, last: Local, slow: () => void): void {
    const { f, a, mr, ix, pixel } = this;
    const table = this.#table;
    const addresses = new Ramp(f, mr, () => f.get(this.#stepX));
    const numbers = new Ramp(f, mr, () => f.i32(1));
    const at = f.local();
    const n = f.local();
    /** Columns from the first window's first to the last one's last. */
    const span = f.local();
    f.get(a.kw).i32(1).op("i32.sub").get(a.dilationX).op("i32.mul");
    f.get(a.strideX).i32(mr - 1);
    f.op("i32.mul", "i32.add").set(span);
    const store = (): void => {
      addresses.store(table, 0, at);
      f.inc(table, 4 * mr);
    };
    f.repeat(tiles, () => {
      f.get(this.#tall).get(ix).i32(0).op("i32.ge_s", "i32.and");
      f.get(ix).get(span).op("i32.add").get(a.w).op("i32.lt_s", "i32.and");
      f.get(this.ox).i32(mr).op("i32.add").get(a.ow).op("i32.le_u", "i32.and");
      f.get(pixel).i32(mr).op("i32.add").get(last).op("i32.le_u", "i32.and").if();
      f.get(a.kh).set(n);
      const row = f.local();
      f.get(this.#at).set(row);
      f.repeat(n, () => {
        f.get(row).set(at);
        if (this.line) store();
        else {
          const k = f.local();
          f.get(a.kw).set(k);
          f.repeat(k, () => {
            store();
            f.incBy(at, this.#tapColumn);
          });
          f.free("i32", k);
        }
        f.incBy(row, this.#tapRow);
      });
      f.free("i32", row);
      numbers.store(table, 0, pixel);
      f.inc(table, 4 * mr);
      this.#advance(mr);
      f.else();
      slow();
      f.end();
    });
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
    const { f, a, mr, ix } = this;
    const at = f.local();
    const p = f.local();
    const n = f.local();
    f.get(this.#at).set(at).get(this.#table).set(p).get(a.kh).set(n);
    // The whole window is inside (ix ≥ 0 and its last column < w): addresses at fixed steps.
    f.get(this.#tall).get(ix).i32(0).op("i32.ge_s", "i32.and").get(ix).get(a.kw).i32(1).op("i32.sub");
    f.get(a.dilationX).op("i32.mul", "i32.add").get(a.w).op("i32.lt_s", "i32.and").if();
    f.repeat(n, () => {
      if (this.line)
        f.get(p)
          .get(at)
          .store()
          .inc(p, 4 * mr);
      else {
        const q = f.local();
        const k = f.local();
        f.get(at).set(q).get(a.kw).set(k);
        f.repeat(
          k,
          () =>
            void f
              .get(p)
              .get(q)
              .store()
              .inc(p, 4 * mr)
              .incBy(q, this.#tapColumn),
        );
        f.free("i32", q, k);
      }
      f.incBy(at, this.#tapRow);
    });
    f.else();
    this.#edge(at, p, n);
    f.end().get(p).get(this.pixel).store();
    f.free("i32", at, p, n);
  }

  /** The same where part of the window may be outside. */
  #edge(at: Local, p: Local, n: Local): void {
    const { f, a, mr, ix } = this;
    const [iy, lo, hi] = f.someLocals(3, "i32");
    f.get(this.iy).set(iy);
    if (this.line) this.#bounds(lo, hi);
    f.repeat(n, () => {
      const inside = (): FunctionBuilder => f.get(iy).get(a.h).op("i32.lt_u");
      if (this.line) {
        f.get(p);
        inside().if("i32");
        f.get(hi).get(lo).op("i32.sub").get(a.lineBytes).op("i32.ne").if("i32").get(this.#patch);
        this.#writeLine(at, lo, hi);
        f.else().get(at).end().else().get(this.#zero).end().store();
        f.inc(p, 4 * mr);
      } else this.#windowRow(inside, ix, at, p);
      f.incBy(iy, a.dilationY).incBy(at, this.#tapRow);
    });
    f.free("i32", iy, lo, hi);
  }

  #windowRow(inside: () => FunctionBuilder, ix0: Local, at: Local, p: Local): void {
    const { f, a, mr } = this;
    const n = f.local();
    const ix = f.local();
    const q = f.local();
    f.get(ix0).set(ix).get(at).set(q).get(a.kw).set(n);
    f.repeat(n, () => {
      f.get(p).get(q).get(this.#zero);
      inside().get(ix).get(a.w).op("i32.lt_u", "i32.and", "select").store();
      f.inc(p, 4 * mr)
        .incBy(ix, a.dilationX)
        .incBy(q, this.#tapColumn);
    });
    f.free("i32", n, ix, q);
  }

  /** Bytes lo…hi−1 of the lines under this window are inside the image. */
  #bounds(lo: Local, hi: Local): void {
    const { f, a } = this;
    const clamp = (into: Local, limit: () => void, op: Op): void => {
      f.get(into);
      limit();
      f.get(into);
      limit();
      f.op(op, "select").set(into);
    };
    f.i32(0).get(this.ix).op("i32.sub").tee(lo).get(a.w).op("i32.add").set(hi);
    for (const l of [lo, hi]) {
      clamp(l, () => f.i32(0), "i32.gt_s");
      clamp(l, () => f.get(a.kw), "i32.lt_s");
      f.get(l).get(a.xPitch).op("i32.mul").set(l);
    }
  }

  /**
   * Appends the line at `at` to the patches, its bytes before lo and from hi on filled. Whole vectors go there:
   * what one of them brings too much is overwritten by what follows (memory.copy and memory.fill are
   * calls: they made 10×4 over 49×10×1 by 2 a third slower).
   */
  #writeLine(at: Local, lo: Local, hi: Local): void {
    const { f, a } = this;
    const to = this.#patch;
    const [start, end] = [f.local(), f.local()];
    f.get(to).set(start);
    const until = (bytes: Local, value: () => void): void => {
      f.get(start).get(bytes).op("i32.add").set(end);
      f.block().loop().get(to).get(end).op("i32.ge_u").brIf(1).get(to);
      value();
      f.vstore().inc(to, 16).br(0).end().end().get(end).set(to);
    };
    until(lo, () => f.get(this.#outside));
    until(hi, () => f.get(to).get(start).op("i32.sub").get(at).op("i32.add").vload());
    until(a.lineBytes, () => f.get(this.#outside));
    f.free("i32", start, end);
  }
}
