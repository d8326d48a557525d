// The inner kernel of everything that is a matrix product: a tile of mr pixels × up to 16 channels stays
// in registers while k runs. The left side is a table of row pointers, [tile][tap][mr] and then the mr
// output pixel numbers, so convolution, strided and transposed convolution and dense are one code;
// rows beyond the last repeat it (same values stored twice), so there is no code for row tails.
//
// Versions (MR×NR, Node 24 = V8 13.6, one core of an AMD EPYC 7003 at ≈3 GHz, 128-bit FMA peak 49 GFLOPS;
// bench/kernels.mjs prints them for any machine):
//   f32 fma      4×8 47   6×8 47   2×16 48   (4×16 30, 6×16 21 unless V8 pairs vectors: then 6×16 wins)
//   f32 mul+add  4×8 40   5×8 38   6×8 24
//   i16 dot      as f32, two multiply-adds a lane and step
// Sums run over taps then k, in order, in every version: all give equal bits.
import { isLong } from "../../../compiler/expand.js";
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Dot } from "../engine.js";
import type { Layout } from "./arguments.js";
import { type Epilogue, hasPitch } from "./epilogue.js";
import { EpilogueCode } from "./epilogue_code.js";
import type { QuadCode } from "./quad_code.js";
import type { OrderedCode, OrderedRows } from "./quad_rows.js";
import { type Ahead, aheadOf, type Streams } from "./gemm_ahead.js";
import { lowRows } from "./tiles.js";

/** Words that every matrix kernel has; the epilogue's follow. */
export const gemmWords = [
  "x",
  "weights",
  "out",
  "outPitch", // bytes from one output pixel to the next
  "scratch",
  "zero",
  "steps", // whole blocks of k in one tap
  "taps",
  "panelBytes", // weights of 8 channels
  "panels", // whole tiles of nr channels
  "chunk", // rows whose table fits the scratch
  "sums", // where in the scratch a tile's sums wait for a long epilogue
] as const;

export interface TileSpec {
  /** i16: pairs of int16 by dot product into i32. u8, s8: four bytes by signed weights (quad_code.ts). */
  readonly kind: "f32" | "i16" | "u8" | "s8";
  readonly fma: boolean;
  readonly mr: number;
  /** Up to four rows that are left of the last tile are a tile of four. */
  readonly low?: boolean;
  /** Channels, 1…16: vectors of 4, the last one partly stored. */
  readonly channels: number;
  /** k (i16: pairs, u8 and s8: quads) in a block. */
  readonly unroll: number;
  /** k left after the whole blocks. */
  readonly rest: number;
  /** There are whole blocks. */
  readonly blocks: boolean;
  /** Never more than one tap. */
  readonly single?: boolean;
  readonly epilogue: Epilogue;
  /** Reads the lines of panels to come: for weights that come from memory. */
  readonly ahead?: Streams | undefined;
  /** Arithmetic of u8 and s8, for so many panels. */
  readonly quads?: (f: FunctionBuilder, panels: number) => QuadCode;
  /** What they are multiplied by. */
  readonly dot?: Dot | undefined;
  /** Their products are summed two quads at a time. */
  readonly joined?: boolean | undefined;
  /** Rows are brought into the weights' order (quad_rows.ts). */
  readonly ordered?: OrderedCode | undefined;
}

export const tileKey = (s: TileSpec): string =>
  `${s.kind}_tile_${s.mr}${s.low ? "low" : ""}x${s.channels}_${s.fma ? "fma" : "muladd"}_k${s.blocks ? s.unroll : 0}+${s.rest}${s.single ? "_1" : ""}${s.ahead ? `_ahead_${s.ahead}` : ""}${s.ordered ? "_ordered" : ""}${s.joined ? "_joined" : ""}${s.dot ? `_${s.dot}` : ""}_${s.epilogue.key}`;

/**
 * (args, table, rows ≥ 1, weights, slot, start): `slot` is the first channel's place in packed channel
 * operands, `start` in the output.
 */
export function gemmTile(m: ModuleBuilder, s: TileSpec, layout: Layout<string>): number {
  // The place of the epilogue's words is part of the code.
  return m.once(`${tileKey(s)}@${layout.names.join()}`, () => {
    const order = s.ordered?.order(m, layout, s.mr) ?? -1;
    return m.func(["i32", "i32", "i32", "i32", "i32", "i32"], [], (f) =>
      new Tile(f, s, layout, order).emit(),
    );
  });
}

/** Bytes of scratch for the sums of a tile. */
export const sumsBytes = 64 * 8;

/** exp and what is made of it, in float32: 3–8 % of such layers. Integer tiles lose 1 %. */
const byRows = (s: TileSpec): boolean => s.kind === "f32" && isLong(s.epilogue.expr);

const [argsParam, tableParam, rowsParam, weightsParam, slotParam, startParam] = [0, 1, 2, 3, 4, 5];

class Tile {
  readonly #vectors: number;
  readonly #pointers: Local[];
  /** Weights of channels 0–7 and 8–15. */
  readonly #w: Local[];
  readonly #acc: Local[][];
  /** Weights and left side of a step, or of two that are joined. */
  readonly #wv: Local[][];
  readonly #splats: Local[];
  readonly #quads: QuadCode | undefined;
  readonly #ahead: Ahead | undefined;
  #ordered: OrderedRows | undefined;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly s: TileSpec,
    private readonly layout: Layout<string>,
    /** The function that orders rows. */
    private readonly order: number,
  ) {
    this.#vectors = Math.ceil(s.channels / 4);
    this.#pointers = f.someLocals(s.mr, "i32");
    this.#w = f.someLocals(this.#vectors > 2 ? 2 : 1, "i32");
    this.#acc = Array.from({ length: s.mr }, () => f.someLocals(this.#vectors, "v128"));
    this.#splats = f.someLocals(s.joined ? 2 : 1, "v128");
    this.#wv = this.#splats.map(() => f.someLocals(this.#vectors, "v128"));
    this.#ahead = s.ahead && aheadOf(f, s.ahead);
    this.#quads = s.quads?.(f, this.#w.length);
  }

  emit(): void {
    const { f, s, layout } = this;
    const arg = (name: string): FunctionBuilder => layout.push(f, argsParam, name);
    const epilogue = new EpilogueCode(f, s.epilogue, arg, s, this.#vectors, slotParam, startParam);
    const steps = layout.local(f, argsParam, "steps");
    const taps = s.single ? undefined : layout.local(f, argsParam, "taps");
    const panelBytes = layout.local(f, argsParam, "panelBytes");
    const tiles = f.local();
    const tap = f.local();
    const k = f.local();
    const places = { args: argsParam, table: tableParam, slot: slotParam };
    const ordered = s.ordered && new s.ordered.Rows(f, s.mr, arg, places, this.order);
    this.#ordered = ordered;
    f.get(rowsParam);
    if (s.low)
      f.i32(s.mr - lowRows - 1)
        .op("i32.add")
        .i32(s.mr)
        .op("i32.div_u");
    else f.ceilDiv(s.mr);
    f.set(tiles);
    this.#ahead?.start(weightsParam, panelBytes, this.#w.length);
    const tile = (rows: number): void => {
      const acc = this.#acc.slice(0, rows);
      f.get(weightsParam).set(this.#w[0] as Local);
      if (this.#w[1] !== undefined) f.get(weightsParam).get(panelBytes).op("i32.add").set(this.#w[1]);
      const quads = this.#quads;
      epilogue.init(acc, quads && ((row) => quads.start(row, this.#w)));
      if (quads) ordered?.begin(acc, quads, tableParam, tiles);
      const table = ordered?.table ?? tableParam;
      const oneTap = (): void => {
        this.#pointers.slice(0, rows).forEach((p, i) =>
          f
            .get(table)
            .load(4 * i)
            .set(p),
        );
        f.inc(table, 4 * s.mr);
        if (s.blocks) {
          f.get(steps).set(k);
          f.repeat(k, () => this.#block(acc, this.s.unroll, true));
        }
        if (s.rest) this.#block(acc, s.rest, false);
      };
      if (taps === undefined) oneTap();
      else {
        f.get(taps).set(tap);
        f.repeat(tap, oneTap);
      }
      if (ordered) ordered.end(tableParam);
      else
        quads?.correct(acc, (at) => {
          f.get(tableParam)
            .get(at)
            .load()
            .i32(4 * s.mr)
            .op("i32.mul", "i32.sub")
            .set(tap);
          return (r) => void f.get(tap).load(4 * r);
        });
      epilogue.load();
      if (byRows(s)) return this.#finishRows(acc, epilogue, arg);
      const pixel = (row: number) => () => void f.get(tableParam).load(4 * row);
      acc.forEach((a, row) => epilogue.finish(a, pixel(row)));
      acc.forEach((a, row) => epilogue.store(a, s.channels, pixel(row)));
    };
    const whole = (): void =>
      void f.repeat(tiles, () => {
        tile(s.mr);
        f.inc(tableParam, 4 * s.mr);
      });
    if (!s.low) return whole();
    const left = f.local();
    f.get(rowsParam).get(tiles).i32(s.mr).op("i32.mul", "i32.sub").set(left);
    f.get(tiles).if();
    whole();
    f.end().get(left).i32(0).op("i32.gt_s").if();
    tile(lowRows);
    f.end();
  }

  /** The epilogue as a loop over rows, on sums in memory: in registers they would be spilled, in the loop over k too. */
  #finishRows(acc: readonly Local[][], epilogue: EpilogueCode, arg: (name: string) => FunctionBuilder): void {
    const { f, s } = this;
    const [sums, row, left] = f.someLocals(3, "i32");
    const one = acc[0] as Local[];
    const pixel = (): void => void f.get(row).load();
    const eachRow = (body: () => void): void => {
      arg("scratch");
      arg("sums").op("i32.add").set(sums);
      f.get(tableParam).set(row).i32(acc.length).set(left);
      f.repeat(left, () => {
        one.forEach((a, v) =>
          f
            .get(sums)
            .vload(16 * v)
            .set(a),
        );
        body();
        f.inc(sums, 16 * one.length).inc(row, 4);
      });
    };
    arg("scratch");
    arg("sums").op("i32.add").set(sums);
    acc.flat().forEach((a, i) =>
      f
        .get(sums)
        .get(a)
        .vstore(16 * i),
    );
    // A row that repeats the last one reads its operand again, which may lie where the output does.
    const apart = s.epilogue.operands.some(hasPitch);
    eachRow(() => {
      epilogue.finish(one, pixel);
      if (apart)
        one.forEach((a, v) =>
          f
            .get(sums)
            .get(a)
            .vstore(16 * v),
        );
      else epilogue.store(one, s.channels, pixel);
    });
    if (apart) eachRow(() => epilogue.store(one, s.channels, pixel));
    for (const l of [sums, row, left]) f.free("i32", l);
  }

  /** `n` steps of k. */
  #block(acc: readonly Local[][], n: number, advance: boolean): void {
    const { f } = this;
    const ordered = this.#ordered;
    const pointers = this.#pointers.slice(0, acc.length);
    const joined = this.#splats.length;
    for (let u = 0; u < n; u += joined) {
      const [wv, splats] = [this.#wv.slice(0, n - u), this.#splats.slice(0, n - u)];
      wv.forEach((vectors, q) =>
        vectors.forEach((v, i) =>
          f
            .get(this.#w[i >> 1] as Local)
            .vload(32 * (u + q) + 16 * (i & 1))
            .set(v),
        ),
      );
      acc.forEach((row, r) => {
        splats.forEach((x, q) => {
          if (ordered) ordered.splat(r, u);
          else {
            f.get(pointers[r] as Local).mem("v128.load32_splat", 4 * (u + q));
            this.#quads?.prepare();
          }
          f.set(x);
        });
        row.forEach((a, v) =>
          this.#multiply(
            a,
            splats,
            wv.map((vectors) => vectors[v] as Local),
          ),
        );
      });
      if ((u & 3) === 3 || u === n - 1) ordered?.replace(pointers, u);
    }
    for (const w of this.#w) f.inc(w, 32 * n);
    ordered?.advance(n);
    if (!advance) return;
    for (const p of pointers) f.inc(p, 4 * n);
    this.#ahead?.read();
  }

  #multiply(acc: Local, x: readonly Local[], w: readonly Local[]): void {
    const { f, s } = this;
    if (this.#quads) return this.#quads.multiply(acc, x, w);
    const [splat, wv] = [x[0] as Local, w[0] as Local];
    if (s.kind === "i16") f.get(acc).get(splat).get(wv).op("i32x4.dot_i16x8_s", "i32x4.add");
    else if (s.fma) f.get(splat).get(wv).get(acc).op("f32x4.relaxed_madd");
    else f.get(acc).get(splat).get(wv).op("f32x4.mul", "f32x4.add");
    f.set(acc);
  }
}
