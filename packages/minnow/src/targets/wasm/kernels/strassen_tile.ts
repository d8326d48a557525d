// The tile of strassen.ts: mr pixels of the upper half and mr of the lower, nr channels of the left half and nr of the
// right: seven products in registers, one after the other. What later ones need waits in the scratch.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Tile } from "../engine.js";
import type { Layout } from "./arguments.js";
import type { Epilogue } from "./epilogue.js";
import { EpilogueCode } from "./epilogue_code.js";
import { lowRows } from "./tiles.js";

/** What the code depends on. */
export interface Code {
  readonly layout: Layout<string>;
  readonly tile: Tile;
  /** Up to four rows that are left of a block's last tile are a tile of four. */
  readonly low: boolean;
  readonly fma: boolean;
  readonly unroll: number;
  readonly epilogue: Epilogue;
}

/** What a tile's entry in the table holds, mr words each: addresses of rows of A and S2, and of outputs. */
export const entry = { top: 0, bottom: 1, sums: 2, topOut: 3, bottomOut: 4, words: 5 } as const;

/** (args, rows of a half ≥ 1, weights, first channel) */
export function strassenTile(m: ModuleBuilder, c: Code): number {
  return m.func(["i32", "i32", "i32", "i32"], [], (f) => new StrassenTile(f, c).emit());
}

const [args, rows, weights, left] = [0, 1, 2, 3];

/** A half of the channels. */
interface Side {
  readonly code: EpilogueCode;
  /** Bytes from a pixel's output to its first channel here. */
  readonly bytes: Local;
}

class StrassenTile {
  /** [row][vector], those of the tile that is written. */
  #acc: Local[][];
  readonly #wv: Local[];
  readonly #splat: Local;
  readonly #pointers: Local[];
  /** Weights of channels 0–7 and 8–15. */
  readonly #w: Local[];
  readonly #table: Local;
  /** Where P1, then U2, then U3 wait; P5 behind it. */
  readonly #kept: Local;
  readonly #steps: Local;
  readonly #k: Local;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly c: Code,
  ) {
    const { mr, nr } = c.tile;
    this.#acc = Array.from({ length: mr }, () => f.someLocals(nr / 4, "v128"));
    this.#wv = f.someLocals(nr / 4, "v128");
    this.#splat = f.local("v128");
    this.#pointers = f.someLocals(mr, "i32");
    this.#w = f.someLocals(nr / 8, "i32");
    this.#k = f.local();
    this.#steps = c.layout.local(f, args, "steps");
    this.#table = f.local();
    this.#kept = f.local();
  }

  emit(): void {
    const { f, c } = this;
    const arg = (name: string): FunctionBuilder => c.layout.push(f, args, name);
    const [half, plane] = f.someLocals(2, "i32");
    const side = (plus: number): Side => {
      const [channel, bytes] = f.someLocals(2, "i32");
      f.get(left).i32(plus).op("i32.add").tee(channel).i32(c.epilogue.outBytes).op("i32.mul").set(bytes);
      return { code: new EpilogueCode(f, c.epilogue, arg, c, c.tile.nr / 4, channel, channel), bytes };
    };
    const sides = [side(0), side(16)] as const;
    arg("halfBytes").set(half);
    arg("planeS").set(plane);
    arg("scratch");
    arg("atTable").op("i32.add").set(this.#table);
    arg("scratch");
    arg("atKept").op("i32.add").set(this.#kept);
    const all = this.#acc;
    this.#tiles((n) => {
      this.#acc = all.slice(0, n);
      this.#w.forEach((w, i) => {
        f.get(weights);
        if (i) arg("panelBytes").i32(7).op("i32.mul", "i32.add");
        f.set(w);
      });
      this.#tile(sides, half, plane);
      f.inc(this.#table, 4 * c.tile.mr * entry.words);
    });
  }

  /** Whole tiles, then perhaps a low one. @param tile emits one of so many rows */
  #tiles(tile: (rows: number) => void): void {
    const { f, c } = this;
    const { mr } = c.tile;
    const n = f.local();
    f.get(rows)
      .i32(c.low ? mr - lowRows - 1 : mr - 1)
      .op("i32.add")
      .i32(mr)
      .op("i32.div_u");
    f.tee(n).if();
    if (c.low) f.get(rows).get(n).i32(mr).op("i32.mul", "i32.sub").set(rows);
    f.repeat(n, () => tile(mr)).end();
    if (!c.low) return;
    f.get(rows).i32(0).op("i32.gt_s").if();
    tile(lowRows);
    f.end();
  }

  /** Both kept sums are stored before they are read. */
  #tile([first, second]: readonly [Side, Side], half: Local, plane: Local): void {
    const { f } = this;
    const sums = f.local();
    const [u, p5] = [0, 16 * this.#acc.length * this.#wv.length];
    const next = (): void => {
      f.incBy(sums, plane);
      this.#product("sums", sums);
    };
    this.#zero();
    this.#product("top");
    this.#keep(u); // P1
    this.#start(first);
    this.#product("top", half);
    this.#store(first, "top");
    this.#load(u);
    this.#product("sums");
    this.#keep(u); // U2
    this.#zero();
    f.i32(0).set(sums);
    next();
    this.#keep(p5);
    this.#add(u);
    this.#start(second);
    next();
    this.#store(second, "top");
    this.#load(u);
    next();
    this.#keep(u); // U3
    this.#start(first);
    this.#product("bottom", half);
    this.#store(first, "bottom");
    this.#load(u);
    this.#add(p5);
    this.#start(second);
    this.#store(second, "bottom");
  }

  #each(visit: (acc: Local, offset: number) => void): void {
    this.#acc.flat().forEach((a, i) => visit(a, 16 * i));
  }
  #zero(): void {
    this.#each((a) => void this.f.i32x4(0).set(a));
  }
  #keep(at: number): void {
    this.#each(
      (a, offset) =>
        void this.f
          .get(this.#kept)
          .get(a)
          .vstore(at + offset),
    );
  }
  #load(at: number): void {
    this.#each(
      (a, offset) =>
        void this.f
          .get(this.#kept)
          .vload(at + offset)
          .set(a),
    );
  }
  #add(at: number): void {
    const { f } = this;
    this.#each(
      (a, offset) =>
        void f
          .get(a)
          .get(this.#kept)
          .vload(at + offset)
          .op("f32x4.add")
          .set(a),
    );
  }

  /** Adds what sums start from. */
  #start({ code }: Side): void {
    const { f } = this;
    if (this.c.epilogue.init === undefined) return;
    code.init([this.#wv]);
    for (const row of this.#acc)
      row.forEach((a, v) => {
        f.get(a)
          .get(this.#wv[v] as Local)
          .op("f32x4.add")
          .set(a);
      });
  }

  #store({ code, bytes }: Side, half: "top" | "bottom"): void {
    const { f, c } = this;
    const at = this.#pointers[0] as Local;
    code.load();
    for (const a of this.#acc) code.finish(a, () => undefined);
    this.#acc.forEach((a, row) => {
      this.#entry(`${half}Out`, row);
      f.get(bytes).op("i32.add").set(at);
      code.storeAt(a, c.tile.nr, at, 0);
    });
  }

  #entry(word: keyof typeof entry, row: number): void {
    this.f.get(this.#table).load(4 * (entry[word] * this.c.tile.mr + row));
  }

  /** Adds rows times the next matrix of weights. @param offset bytes behind the rows' addresses */
  #product(rows: "top" | "bottom" | "sums", offset?: Local): void {
    const { f } = this;
    const pointers = this.#pointers.slice(0, this.#acc.length);
    pointers.forEach((p, i) => {
      this.#entry(rows, i);
      if (offset !== undefined) f.get(offset).op("i32.add");
      f.set(p);
    });
    f.get(this.#steps).set(this.#k);
    f.repeat(this.#k, () => this.#block(pointers));
  }

  #block(pointers: readonly Local[]): void {
    const { f } = this;
    const { unroll, fma } = this.c;
    const t = this.#splat;
    for (let u = 0; u < unroll; u++) {
      this.#wv.forEach((v, i) => {
        f.get(this.#w[i >> 1] as Local)
          .vload(32 * u + 16 * (i & 1))
          .set(v);
      });
      this.#acc.forEach((row, r) => {
        f.get(pointers[r] as Local)
          .mem("v128.load32_splat", 4 * u)
          .set(t);
        row.forEach((a, v) => {
          const w = this.#wv[v] as Local;
          if (fma) f.get(t).get(w).get(a).op("f32x4.relaxed_madd").set(a);
          else f.get(a).get(t).get(w).op("f32x4.mul", "f32x4.add").set(a);
        });
      });
    }
    for (const w of this.#w) f.inc(w, 32 * unroll);
    for (const p of pointers) f.inc(p, 4 * unroll);
  }
}
