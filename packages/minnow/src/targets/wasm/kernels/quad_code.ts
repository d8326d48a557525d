// The arithmetic of 8-bit tiles: bytes of x by signed weights. i32x4.relaxed_dot_add is one instruction (sdot, vpdpbusd)
// where it is exact. Elsewhere on x86 bytes of x are unsigned, two products are summed into int16 with saturation, then
// two of those into int32 by ones: four multiply-adds a lane in three instructions, or eight in five where two quads
// are joined, which multiply three times, not four. Where the weights of a pair could leave int16 they
// are split (quads.ts), and the rest comes again after the loop, from a list. int8 becomes unsigned, or unsigned
// int8, by flipping its top bit; what that and the zero point add to the sum is one number a channel.
import type { FunctionBuilder, Local } from "../assembler.js";
import type { Dot, Engine } from "../engine.js";

/** A panel begins with: sums of 8 channels (int32), the place of its list from here (int32), and 12 bytes. */
export const quadHeader = 48;
/**
 * Bytes of a list's entry: taps from here to the last one (0: the list ends), a place in that tap, and a quad. Where
 * rows are ordered (quad_rows.ts) the first is the number of the sixteen, from 1.
 */
export const quadEntry = 48;

type QuadDot = Exclude<Dot, "i16">;
/** One that has 8-bit products. */
export type QuadEngine = Engine & { readonly dot: QuadDot };
export const hasQuads = (engine: Engine): engine is QuadEngine => (engine.dot ?? "i16") !== "i16";

/** Four products a lane are summed in 32 bits. */
export const isWhole = (dot: Dot | undefined): dot is "sdot" | "usdot" => dot === "sdot" || dot === "usdot";

/** Whether bytes of x change their top bit to be what the engine multiplies. */
export const flips = (dot: Dot, signed: boolean): boolean => (dot === "sdot" ? !signed : signed);

export class QuadCode {
  readonly #ones: Local;
  readonly #flip: Local;
  readonly #splat: Local;
  readonly #w: readonly Local[];
  readonly #place: Local;
  /** Where each panel's list is. */
  readonly #lists: readonly Local[];

  constructor(
    private readonly f: FunctionBuilder,
    private readonly dot: QuadDot,
    private readonly flip: boolean,
    panels: number,
  ) {
    this.#ones = f.local("v128");
    this.#flip = f.local("v128");
    this.#splat = f.local("v128");
    this.#w = f.someLocals(2, "v128");
    this.#place = f.local();
    this.#lists = f.someLocals(panels, "i32");
    if (!isWhole(dot)) f.i32x4(0x00010001).set(this.#ones);
    if (flip) f.i32x4(0x80808080 | 0).set(this.#flip);
  }

  /** Adds each panel's sums to a row of accumulators and steps over its header. */
  start(row: readonly Local[], panels: readonly Local[]): void {
    const { f } = this;
    row.forEach((a, v) => {
      f.get(a)
        .get(panels[v >> 1] as Local)
        .vload(16 * (v & 1))
        .op("i32x4.add")
        .set(a);
    });
    panels.forEach((w, i) => {
      f.get(w)
        .load(32)
        .get(w)
        .op("i32.add")
        .set(this.#lists[i] as Local);
      f.inc(w, quadHeader);
    });
  }

  /** Bytes of x on the stack become what is multiplied. */
  prepare(): void {
    if (this.flip) this.f.get(this.#flip).op("v128.xor");
  }

  /** Quads of x and of weights, two where they are joined. */
  multiply(acc: Local, x: readonly Local[], w: readonly Local[]): void {
    const { f } = this;
    if (isWhole(this.dot)) {
      f.get(w[0] as Local)
        .get(x[0] as Local)
        .get(acc);
      f.op("i32x4.relaxed_dot_i8x16_i7x16_add_s").set(acc);
      return;
    }
    f.get(acc);
    w.forEach((v, i) => {
      f.get(v)
        .get(x[i] as Local)
        .op("i16x8.relaxed_dot_i8x16_i7x16_s");
      if (i) f.op("i16x8.add");
    });
    f.get(this.#ones).op("i32x4.dot_i16x8_s", "i32x4.add").set(acc);
  }

  /**
   * What the lists hold.
   * @param tap finds the tap of the entry at a place; what it returns pushes the tap's address in a row
   */
  correct(acc: readonly (readonly Local[])[], tap: (at: Local) => (r: number) => void): void {
    const { f } = this;
    this.#lists.forEach((at, panel) => {
      const rows = acc.map((a) => a.slice(2 * panel, 2 * panel + 2));
      f.block().get(at).load().op("i32.eqz").brIf(0).loop();
      rows[0]?.forEach((_, v) => {
        f.get(at)
          .vload(16 + 16 * v)
          .set(this.#w[v] as Local);
      });
      const row = tap(at);
      f.get(at).load(4).set(this.#place);
      rows.forEach((a, r) => {
        row(r);
        f.get(this.#place).op("i32.add").mem("v128.load32_splat");
        this.prepare();
        f.set(this.#splat);
        a.forEach((x, v) => this.multiply(x, [this.#splat], [this.#w[v] as Local]));
      });
      f.inc(at, quadEntry).get(at).load().brIf(0).end().end();
    });
  }
}
