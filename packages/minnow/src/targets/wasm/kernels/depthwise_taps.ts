// The arithmetic of depth-wise kernels: how taps of a tile are multiplied and summed, apart from how
// rows and tiles are walked (depthwise_rows.ts, depthwise_tile.ts). Whatever the tile, an output's taps
// are summed input by input of its group, row by row and along x, so that all tiles give the same bits.
// Groups of few channels are the same sums over vectors in which an input meets all outputs of its group.
import type { FunctionBuilder, Local } from "../assembler.js";
import type { Engine } from "../engine.js";
import type { Packed } from "../kernel.js";
import { type Matrix, packTaps } from "./pack.js";

/** Who needs a column: the output along x, and at which kx. */
export interface Tap {
  readonly column: number;
  readonly tap: number;
}

/** A tile's outputs for one block of channels. */
export interface TapTile {
  /** [output row][output along x][vector of channels] */
  readonly acc: readonly (readonly (readonly Local[])[])[];
  readonly kernel: readonly [number, number];
  /** Input rows from one output row to the next. */
  readonly stride: number;
  /** Address of the block's weights. */
  readonly w: Local;
  /**
   * Goes along some input rows of the tile, from left to right: for each column that the taps kx = from…to−1
   * read, who needs it, and its address in each row.
   * @param outside visits columns outside the image too, which have no address
   */
  walk(
    rows: readonly number[],
    taps: readonly [number, number],
    visit: (users: readonly Tap[], at: readonly Local[]) => void,
    outside?: boolean,
  ): void;
  /** Moves all input rows on. */
  advance(bytes: number): void;
}

export interface TapMath {
  readonly name: string;
  /** Channels of a vector, vectors of a block. */
  readonly lanes: 4 | 16;
  readonly vectors: number;
  /** Bytes of input and of weights from one block to the next. */
  readonly inputStep: number;
  readonly weightStep: number;
  /** How input outside the image reads. */
  readonly outside: number;
  readonly packed?: Packed;
  /** What accumulators start from; absent: what the epilogue says. */
  readonly start?: (f: FunctionBuilder) => FunctionBuilder;
  /** Adds to the first value of an output, which all outputs share. @param w address of the block's weights */
  more?(f: FunctionBuilder, acc: readonly Local[], w: Local): void;
  /** Called once per function, before its loops; returns what emits a tile. */
  begin(f: FunctionBuilder, zeroPoint: () => void): (t: TapTile) => void;
}

/** Channels that a group reads and makes: 1 and 1 is depth-wise. */
export interface Group {
  readonly inner: number;
  readonly each: number;
}

/** Groups whose vectors of outputs a load makes, or a load and a shuffle; wider ones are matrix products. */
export const hasTaps = ({ inner, each }: Group): boolean =>
  each === 4 || each === 8 || (each <= 2 && inner <= 2);

/**
 * float32, weights [block][tap][input][4·vectors]. Two vectors: V8 pairs them into 256 bits.
 * @param pairs depth-wise: two vectors in any case
 */
export function floatTaps(
  m: Matrix,
  kernel: readonly [number, number],
  group: Group,
  engine: Pick<Engine, "fma" | "wide">,
  pairs = false,
): TapMath {
  const { inner, each } = group;
  const vectors = each === 8 || (inner * each === 1 && (engine.wide || pairs) && m.n > 4) ? 2 : 1;
  return {
    name: inner * each === 1 ? "f32_dw" : `f32_group${inner}x${each}`,
    lanes: 4,
    vectors,
    inputStep: (16 * vectors * inner) / each,
    weightStep: 16 * vectors * m.k,
    outside: 0,
    packed: packTaps(m, vectors === 1 ? 4 : 8),
    begin(f) {
      const taps = new FloatTaps(f, kernel, group, engine, vectors);
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
  readonly #w: Local;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly kernel: readonly [number, number],
    private readonly group: Group,
    private readonly engine: Pick<Engine, "fma" | "wide">,
    private readonly vectors: number,
  ) {
    this.#input = f.someLocals(vectors, "v128");
    this.#w = f.local();
  }

  tile(t: TapTile): void {
    const { f } = this;
    const { inner, each } = this.group;
    f.get(t.w).set(this.#w);
    if (each < 4 || inner === 1) {
      for (let j = 0; j < inner; j++) this.#taps(t, j);
      return;
    }
    const n = f.local();
    f.i32(inner).set(n);
    f.repeat(n, () => {
      this.#taps(t, 0);
      t.advance(4);
      f.inc(this.#w, 16 * this.vectors);
    });
    t.advance(-4 * inner);
    f.free("i32", n);
  }

  /** All taps of input j of each group. */
  #taps(t: TapTile, j: number): void {
    const [kh, kw] = this.kernel;
    const { fma, wide } = this.engine;
    const rows = (t.acc.length - 1) * t.stride + kh;
    const outputs = t.acc.length * (t.acc[0]?.length ?? 0);
    const width = wide ? 1 : this.vectors;
    this.#held = [];
    for (let y = 0; y < rows; y++) {
      const pairs = t.acc.map((_, row) => ({ row, ky: y - row * t.stride }));
      const meet = pairs.filter(({ ky }) => ky >= 0 && ky < kh);
      if (meet.length === 0) continue;
      const free = Math.floor((registers - (fma ? 1 : 2)) / width) - outputs;
      if (meet.length * kw <= free) {
        this.#row(t, y, j, meet, [0, kw]);
        continue;
      }
      // Kernel rows one by one, long ones in pieces.
      for (const pair of meet)
        for (let from = 0; from < kw; ) {
          const to = Math.min(kw, from + Math.max(1, free));
          this.#held = [];
          this.#row(t, y, j, [pair], [from, to]);
          from = to;
        }
    }
  }

  #row(t: TapTile, y: number, j: number, pairs: readonly Pair[], taps: readonly [number, number]): void {
    const vectors = t.acc[0]?.[0]?.length ?? 0;
    this.#hold(pairs, j, vectors, taps);
    t.walk([y], taps, (users, [at]) => {
      const x = this.#load(at as Local, j, vectors);
      for (const { row, ky } of pairs)
        for (const { column, tap } of users)
          for (let v = 0; v < vectors; v++) {
            const w = this.#weights[this.#held.indexOf(ky)]?.[tap - taps[0]]?.[v] as Local;
            this.#multiply(t.acc[row]?.[column]?.[v] as Local, x[v] as Local, w);
          }
    });
  }

  /** Input j of the group of each output, by vectors of outputs. */
  #load(at: Local, j: number, vectors: number): Local[] {
    const { f } = this;
    const { inner, each } = this.group;
    const x = this.#input.slice(0, vectors);
    const first = x[0] as Local;
    if (each >= 4) {
      f.get(at).mem("v128.load32_splat").set(first);
      return x.fill(first);
    }
    x.forEach((to, v) =>
      f
        .get(at)
        .vload(16 * v)
        .set(to),
    );
    if (inner * each === 1) return x;
    // Lane o of the vector reads input j of group o / each.
    const lanes = [0, 1, 2, 3].map((o) => Math.floor(o / each) * inner + j);
    f.get(first);
    if (each === 1) f.get(at).vload(16);
    else f.get(first);
    f.shuffle(lanes.flatMap((l) => [4 * l, 4 * l + 1, 4 * l + 2, 4 * l + 3])).set(first);
    return x;
  }

  /** Loads the kernel rows that no slot holds into slots that are not needed. */
  #hold(pairs: readonly Pair[], j: number, vectors: number, [from, to]: readonly [number, number]): void {
    const { f } = this;
    for (const { ky } of pairs) {
      if (this.#held.includes(ky)) continue;
      let slot = this.#held.findIndex((k) => pairs.every((p) => p.ky !== k));
      if (slot < 0) slot = this.#held.length;
      this.#held[slot] = ky;
      this.#weights[slot] ??= [];
      const weights = this.#weights[slot] as Local[][];
      for (let x = from; x < to; x++) {
        weights[x - from] ??= f.someLocals(this.vectors, "v128");
        const tap = (ky * this.kernel[1] + x) * this.group.inner + j;
        for (let v = 0; v < vectors; v++)
          f.get(this.#w)
            .vload(16 * (tap * this.vectors + v))
            .set(weights[x - from]?.[v] as Local);
      }
    }
  }

  #multiply(acc: Local, x: Local, w: Local): void {
    const { f } = this;
    if (this.engine.fma) f.get(x).get(w).get(acc).op("f32x4.relaxed_madd");
    else f.get(acc).get(x).get(w).op("f32x4.mul", "f32x4.add");
    f.set(acc);
  }
}
