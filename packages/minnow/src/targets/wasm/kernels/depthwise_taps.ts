// The arithmetic of depth-wise kernels: how taps of a tile are multiplied and summed, apart from how
// rows and tiles are walked (depthwise.ts).
import type { FunctionBuilder, Local } from "../assembler.js";
import type { Packed } from "../kernel.js";
import { type Matrix, packTaps } from "./pack.js";

/** A tile's outputs along x for one block of channels. */
export interface TileTaps {
  /** [output][vector of 4 channels] */
  readonly acc: readonly (readonly Local[])[];
  /** One a kernel row, at the tile's column `lo`. */
  readonly pointers: readonly Local[];
  /** Address of the block's weights. */
  readonly w: Local;
  /** Columns lo…hi−1 of the tile's window are inside the image. */
  readonly lo: number;
  readonly hi: number;
  readonly pitch: number;
  readonly stride: number;
  readonly dilation: number;
}

export interface TapEmitter {
  tile(t: TileTaps): void;
  /** One output: tap t's input is at table[t] + at. */
  single(acc: readonly Local[], table: Local, at: Local, w: Local): void;
}

export interface TapMath {
  readonly name: string;
  readonly key: string;
  /** Vectors of 4 channels in a block, and in the blocks after the last whole one. */
  readonly vectors: number;
  readonly tailVectors: number;
  /** Bytes of an input element; of weights per vector of channels. */
  readonly inputBytes: number;
  readonly weightBytes: number;
  /** How input outside the image reads, as a byte. */
  readonly outside: number;
  readonly packed: Packed;
  /** Called once per function, before its loops. */
  begin(f: FunctionBuilder, zeroPoint: () => void): TapEmitter;
}

/** float32, weights [C/4][tap][4]. @param vectors 2 lets V8 pair them into 256 bits */
export function floatTaps(
  m: Matrix,
  kernel: readonly [number, number],
  fma: boolean,
  vectors: number,
): TapMath {
  const taps = kernel[0] * kernel[1];
  return {
    name: "f32_dw",
    key: `b${vectors}`,
    vectors,
    tailVectors: 1,
    inputBytes: 4,
    weightBytes: 16 * taps,
    outside: 0,
    packed: packTaps(m),
    begin: (f) => new FloatTaps(f, kernel, fma),
  };
}

class FloatTaps implements TapEmitter {
  readonly #inputs: Local[] = [];
  readonly #weights: Local[] = [];

  constructor(
    private readonly f: FunctionBuilder,
    private readonly kernel: readonly [number, number],
    private readonly fma: boolean,
  ) {}

  tile({ acc, pointers, w, lo, hi, pitch, stride, dilation }: TileTaps): void {
    const { f } = this;
    const [kh, kw] = this.kernel;
    const vectors = acc[0]?.length ?? 0;
    const input = (i: number, v: number): Local => slot(f, this.#inputs, i * vectors + v);
    for (let y = 0; y < kh; y++) {
      const loaded = new Set<number>();
      for (let x = 0; x < kw; x++) {
        const users = acc
          .map((a, t) => ({ a, i: t * stride + x * dilation }))
          .filter(({ i }) => i >= lo && i < hi);
        if (users.length === 0) continue;
        for (const { i } of users) {
          if (loaded.has(i)) continue;
          loaded.add(i);
          for (let v = 0; v < vectors; v++)
            f.get(pointers[y] as Local)
              .vload((i - lo) * pitch + 16 * v)
              .set(input(i, v));
        }
        for (let v = 0; v < vectors; v++)
          f.get(w)
            .vload(16 * (v * kh * kw + y * kw + x))
            .set(slot(f, this.#weights, v));
        for (const { a, i } of users)
          for (let v = 0; v < vectors; v++)
            this.#multiply(a[v] as Local, input(i, v), slot(f, this.#weights, v));
      }
    }
  }

  single(acc: readonly Local[], table: Local, at: Local, w: Local): void {
    const { f } = this;
    const taps = this.kernel[0] * this.kernel[1];
    const x = slot(f, this.#inputs, 0);
    const wv = slot(f, this.#weights, 0);
    for (let t = 0; t < taps; t++)
      acc.forEach((a, v) => {
        f.get(table)
          .load(4 * t)
          .get(at)
          .op("i32.add")
          .vload(16 * v)
          .set(x);
        f.get(w)
          .vload(16 * (v * taps + t))
          .set(wv);
        this.#multiply(a, x, wv);
      });
  }

  #multiply(acc: Local, x: Local, w: Local): void {
    const { f } = this;
    if (this.fma) f.get(x).get(w).get(acc).op("f32x4.relaxed_madd");
    else f.get(acc).get(x).get(w).op("f32x4.mul", "f32x4.add");
    f.set(acc);
  }
}

/** The i-th of a growing list of vector locals. */
export function slot(f: FunctionBuilder, list: Local[], i: number): Local {
  while (list.length <= i) list.push(f.local("v128"));
  return list[i] as Local;
}
