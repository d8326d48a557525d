// The code that packs weights: four 32-bit words of each of 8 (or 4) rows are loaded, transposed in
// registers and stored in order, so both sides stream. A word is a float32 (widened from float16 on the
// way), a pair of 8-bit weights widened to int16 less their zero point, or four bytes.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import { hoistConstants, loadVectors } from "../elements.js";

/** Element type of the source. */
export type Source = "float32" | "float16" | "int8" | "uint8";
/** What rows become words of; bytes: 8 bits that stay so, four a word. */
export type RowSource = Source | "bytes";

const isPairs = (t: RowSource): boolean => t === "int8" || t === "uint8";

/** New locals that hold the words of the argument block at these places. */
export const argLocals = <const P extends readonly number[]>(f: FunctionBuilder, ...places: P) =>
  places.map((p) => {
    const l = f.local();
    f.get(0)
      .load(4 * p)
      .set(l);
    return l;
  }) as { [K in keyof P]: Local };

/** Words of the block: see packRows. A group's last panel repeats its last row where rows are missing. */
export function emitRows(m: ModuleBuilder, type: RowSource, lanes: 4 | 8, side: number): number {
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const [unit, last] = [1, 2];
    const [source, start, each, panels, words, rowBytes, zero] = argLocals(f, 0, 1, 2, 3, 4, 5, 6);
    const [left, n, out] = f.someLocals(3, "i32");
    const rows = f.someLocals(lanes, "i32");
    const rowOut = 4 * lanes * side;
    const block = new Block(f, type, rows, out, zero);
    f.block().get(unit).get(last).op("i32.ge_u").brIf(0).loop();
    f.get(start).get(unit).i32(side).op("i32.div_u").get(words).op("i32.mul").i32(rowOut);
    f.op("i32.mul", "i32.add").get(unit).i32(side).op("i32.rem_u");
    f.i32(4 * lanes)
      .op("i32.mul", "i32.add")
      .set(out);
    f.get(each).get(unit).get(panels).op("i32.rem_u").i32(lanes).op("i32.mul", "i32.sub").set(left);
    rows.forEach((r, i) => {
      if (i === 0) f.get(source).set(r);
      else {
        f.get(rows[i - 1] as Local)
          .get(rowBytes)
          .i32(0)
          .get(left)
          .i32(i)
          .op("i32.gt_s", "select");
        f.op("i32.add").set(r);
      }
    });
    f.get(rows[lanes - 1] as Local)
      .get(rowBytes)
      .op("i32.add")
      .set(source);
    f.get(words).i32(2).op("i32.shr_u").tee(n).if();
    f.repeat(n, () => {
      block.load();
      for (let t = 0; t < 4; t++) block.store(t, t * rowOut);
      f.inc(out, 4 * rowOut);
    });
    f.end();
    f.get(words).i32(3).op("i32.and").tee(n).if();
    block.load();
    for (let t = 0; t < 3; t++) {
      if (t) f.get(n).i32(t).op("i32.gt_u").if();
      block.store(t, 0);
      f.inc(out, rowOut);
      if (t) f.end();
    }
    f.end();
    if (isPairs(type) || type === "bytes")
      for (let at = -rowOut; at < 0; at += 16)
        f.get(out).i32(at).op("i32.add").tee(n).get(n).vload().get(0).vload(28).op("v128.and").vstore();
    f.inc(unit, 1).get(unit).get(last).op("i32.lt_u").brIf(0).end().end();
  });
}

/** Four words of each row, as columns. */
class Block {
  readonly #v: Local[];
  readonly #t: Local[];

  constructor(
    private readonly f: FunctionBuilder,
    private readonly type: RowSource,
    private readonly rows: readonly Local[],
    private readonly out: Local,
    zero: Local,
  ) {
    this.#v = f.someLocals(rows.length, "v128");
    this.#t = f.someLocals(4, "v128");
    this.#words = type === "bytes" ? "float32" : type;
    hoistConstants(f, [this.#words], "float32", true);
    this.#zero = f.local("v128");
    f.get(zero).op("i16x8.splat").set(this.#zero);
  }
  readonly #zero: Local;
  readonly #words: Source;

  /** Loads, advances the rows and transposes. */
  load(): void {
    const { f, type, rows } = this;
    rows.forEach((r, i) => {
      const v = this.#v[i] as Local;
      if (isPairs(type)) {
        f.get(r).mem(type === "int8" ? "v128.load8x8_s" : "v128.load8x8_u");
        f.get(this.#zero).op("i16x8.sub").set(v);
      } else loadVectors(f, this.#words, r, [v]);
      f.inc(r, this.#words === "float32" ? 16 : 8);
    });
    for (let q = 0; q < rows.length; q += 4) this.#transpose(this.#v.slice(q, q + 4));
  }

  /** Word t of every row, to `out` + offset. */
  store(t: number, offset: number): void {
    const { f } = this;
    for (let q = 0; 4 * q < this.rows.length; q++) {
      const v = this.#v[4 * q + t] as Local;
      f.get(this.out).get(v);
      // Bytes: pairs of each channel, then the second pairs.
      if (this.type === "bytes") f.get(v).shuffle([0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15]);
      f.vstore(offset + 16 * q);
    }
  }

  #transpose(v: readonly Local[]): void {
    const { f } = this;
    const join = (a: Local, b: Local, words: readonly number[], to: Local): void => {
      f.get(a)
        .get(b)
        .shuffle(words.flatMap((w) => [4 * w, 4 * w + 1, 4 * w + 2, 4 * w + 3]))
        .set(to);
    };
    const [a, b, c, d] = v as [Local, Local, Local, Local];
    const [ab, cd, ab2, cd2] = this.#t as [Local, Local, Local, Local];
    join(a, b, [0, 4, 1, 5], ab);
    join(c, d, [0, 4, 1, 5], cd);
    join(a, b, [2, 6, 3, 7], ab2);
    join(c, d, [2, 6, 3, 7], cd2);
    join(ab, cd, [0, 1, 4, 5], a);
    join(ab, cd, [2, 3, 6, 7], b);
    join(ab2, cd2, [0, 1, 4, 5], c);
    join(ab2, cd2, [2, 3, 6, 7], d);
  }
}

/** Rows of n → their places in panels of 8: panel after panel, so that writes stream. See packColumns. */
export function emitColumns(m: ModuleBuilder, type: Source, side: number): number {
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const [first, last] = [1, 2];
    const [source, out, panels, panelBytes, rowBytes] = argLocals(f, 0, 1, 2, 3, 4);
    const [from, to, n, done] = f.someLocals(4, "i32");
    const v = f.someLocals(2, "v128");
    hoistConstants(f, [type], "float32", true);
    f.get(out)
      .get(first)
      .i32(32 * side)
      .op("i32.mul", "i32.add")
      .set(out);
    f.repeat(panels, () => {
      f.get(source).set(from).get(out).set(to).get(last).get(first).op("i32.sub").set(n);
      f.repeat(n, () => {
        loadVectors(f, type, from, v);
        v.forEach((x, i) =>
          f
            .get(to)
            .get(x)
            .vstore(16 * i),
        );
        f.incBy(from, rowBytes).inc(to, 32 * side);
      });
      f.inc(source, type === "float32" ? 32 : 16);
      if (side === 1) f.incBy(out, panelBytes);
      else {
        f.inc(out, 32).inc(done, 1).get(done).i32(side).op("i32.rem_u", "i32.eqz").if();
        f.incBy(out, panelBytes)
          .inc(out, -32 * side)
          .end();
      }
    });
  });
}
