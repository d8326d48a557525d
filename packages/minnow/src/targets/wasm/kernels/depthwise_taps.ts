// The arithmetic of depth-wise kernels: how taps of a tile are multiplied and summed, apart from how
// rows and tiles are walked (depthwise_rows.ts, depthwise_tile.ts). Whatever the tile, an output's taps
// are summed row by row and along x, so that all tiles give the same bits.
import type { FunctionBuilder, Local } from "../assembler.js";
import type { Packed } from "../kernel.js";
import { type Matrix, packTaps } from "./pack.js";

/** A tile's outputs for one block of channels. */
export interface TapTile {
  /** [output row][output along x][vector of 4 channels] */
  readonly acc: readonly (readonly (readonly Local[])[])[];
  /** Input rows from one output row to the next. */
  readonly stride: number;
  /** Address of the block's weights. */
  readonly w: Local;
  /**
   * Goes along some input rows of the tile, from left to right: for each column that is read, who needs it
   * at which kx, and its address in each row.
   */
  walk(
    rows: readonly number[],
    visit: (users: readonly { column: number; tap: number }[], at: readonly Local[]) => void,
  ): void;
}

export interface TapMath {
  readonly name: string;
  /** Vectors of 4 channels in a block. */
  readonly vectors: number;
  /** Bytes of an input element; of weights per vector of channels. */
  readonly inputBytes: number;
  readonly weightBytes: number;
  /** How input outside the image reads, as a byte. */
  readonly outside: number;
  readonly packed: Packed;
  /** Called once per function, before its loops; returns what emits a tile. */
  begin(f: FunctionBuilder, zeroPoint: () => void): (t: TapTile) => void;
}

/** float32, weights [block][tap][4·vectors]. @param vectors 2 lets V8 pair them into 256 bits */
export function floatTaps(
  m: Matrix,
  kernel: readonly [number, number],
  fma: boolean,
  vectors: 1 | 2,
): TapMath {
  return {
    name: "f32_dw",
    vectors,
    inputBytes: 4,
    weightBytes: 16 * kernel[0] * kernel[1],
    outside: 0,
    packed: packTaps(m, vectors === 1 ? 4 : 8),
    begin(f) {
      const taps = new FloatTaps(f, kernel, fma, vectors);
      return (t) => taps.tile(t);
    },
  };
}

/** A kernel row that meets an output row of the tile. */
interface Pair {
  readonly row: number;
  readonly ky: number;
}

/** Live vectors that leave x86 one register for the constants of an epilogue. */
const registers = 15;

/**
 * A column of inputs is one vector at a time; the weights of the kernel rows that meet it stay in registers
 * along x, and from one input row to the next where two output rows need them.
 */
class FloatTaps {
  readonly #input: Local[];
  /** Weights [slot][kx][vector], and the kernel row that a slot holds. */
  readonly #weights: Local[][][] = [];
  #held: (number | undefined)[] = [];

  constructor(
    private readonly f: FunctionBuilder,
    private readonly kernel: readonly [number, number],
    private readonly fma: boolean,
    private readonly vectors: number,
  ) {
    this.#input = f.someLocals(vectors, "v128");
  }

  tile(t: TapTile): void {
    const [kh, kw] = this.kernel;
    const rows = (t.acc.length - 1) * t.stride + kh;
    const outputs = t.acc.length * (t.acc[0]?.length ?? 0);
    this.#held = [];
    for (let y = 0; y < rows; y++) {
      const pairs = t.acc.map((_, row) => ({ row, ky: y - row * t.stride }));
      const meet = pairs.filter(({ ky }) => ky >= 0 && ky < kh);
      const together = outputs + meet.length * kw + (this.fma ? 1 : 2) <= registers;
      for (const some of together ? [meet] : meet.map((p) => [p])) if (some.length) this.#row(t, y, some);
    }
  }

  #row(t: TapTile, y: number, pairs: readonly Pair[]): void {
    const { f } = this;
    const vectors = t.acc[0]?.[0]?.length ?? 0;
    this.#hold(t.w, pairs, vectors);
    t.walk([y], (users, [at]) => {
      for (let v = 0; v < vectors; v++)
        f.get(at as Local)
          .vload(16 * v)
          .set(this.#input[v] as Local);
      for (const { row, ky } of pairs)
        for (const { column, tap } of users)
          for (let v = 0; v < vectors; v++) {
            const w = this.#weights[this.#held.indexOf(ky)]?.[tap]?.[v] as Local;
            this.#multiply(t.acc[row]?.[column]?.[v] as Local, this.#input[v] as Local, w);
          }
    });
  }

  /** Loads the kernel rows that no slot holds into slots that are not needed. */
  #hold(w: Local, pairs: readonly Pair[], vectors: number): void {
    const { f } = this;
    const kw = this.kernel[1];
    for (const { ky } of pairs) {
      if (this.#held.includes(ky)) continue;
      let slot = this.#held.findIndex((k) => pairs.every((p) => p.ky !== k));
      if (slot < 0) slot = this.#held.length;
      this.#held[slot] = ky;
      this.#weights[slot] ??= Array.from({ length: kw }, () => f.someLocals(this.vectors, "v128"));
      for (let x = 0; x < kw; x++)
        for (let v = 0; v < vectors; v++)
          f.get(w)
            .vload(16 * ((ky * kw + x) * this.vectors + v))
            .set(this.#weights[slot]?.[x]?.[v] as Local);
    }
  }

  #multiply(acc: Local, x: Local, w: Local): void {
    const { f } = this;
    if (this.fma) f.get(x).get(w).get(acc).op("f32x4.relaxed_madd");
    else f.get(acc).get(x).get(w).op("f32x4.mul", "f32x4.add");
    f.set(acc);
  }
}
