// Depth-wise taps of 8-bit tensors: eight channels widen to int16 minus the zero point; two kernel rows
// are interleaved, so that one i32x4.dot_i16x8_s does two taps of four channels; a last odd row pairs
// with nothing. The interleaved column serves every output of the tile that needs it. Outside the image
// reads the zero point. Weights: [C/8][row pair][kx][8 channels][2].
import { dataId } from "./operands.js";
import type { FunctionBuilder, Local } from "../assembler.js";
import type { Op } from "../opcodes.js";
import type { Packed } from "../kernel.js";
import type { TapMath, TapTile } from "./depthwise_taps.js";
import type { Matrix } from "./pack.js";
import type { IntegerProduct } from "./products.js";

export function int8Taps(
  m: Matrix,
  kernel: readonly [number, number],
  signed: boolean,
  product: IntegerProduct,
): TapMath {
  const [kh, kw] = kernel;
  const pairs = Math.ceil(kh / 2);
  return {
    name: signed ? "s8_dw" : "u8_dw",
    lanes: 4,
    vectors: 2,
    inputStep: 8,
    weightStep: 32 * pairs * kw,
    outside: product.zx,
    packed: packRowPairs(m, kernel, product.zw),
    begin(f, zeroPoint) {
      const taps = new Int8Taps(f, kernel, signed, zeroPoint);
      return (t) => taps.tile(t);
    },
  };
}

function packRowPairs(m: Matrix, [kh, kw]: readonly [number, number], zero: readonly number[]): Packed {
  const pairs = Math.ceil(kh / 2);
  const blocks = Math.ceil(m.n / 8);
  const size = blocks * pairs * kw * 16;
  return {
    key: `rowpairs:${dataId(m.data)}:${m.offset}:${m.n}x${kh}x${kw}:${zero.some((z) => z !== 0) ? zero.join() : ""}`,
    bytes: 2 * size,
    source: m.data,
    fill(memory, at) {
      const source = m.data as Int8Array | Uint8Array;
      const out = new Int16Array(memory as ArrayBuffer, at, size).fill(0);
      for (let c = 0; c < m.n; c++)
        for (let y = 0; y < kh; y++)
          for (let x = 0; x < kw; x++) {
            const w =
              (source[m.offset + (c * kh + y) * kw + x] as number) - (zero[zero.length === 1 ? 0 : c] ?? 0);
            out[(((c >> 3) * pairs + (y >> 1)) * kw + x) * 16 + (c & 7) * 2 + (y & 1)] = w;
          }
    },
  };
}

const low = [0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23];
const high = low.map((b) => b + 8);

class Int8Taps {
  readonly #zero: Local;
  private readonly a: Local;
  private readonly b: Local;
  readonly #lo: Local;
  readonly #hi: Local;
  readonly #load: Op;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly kernel: readonly [number, number],
    signed: boolean,
    zeroPoint: () => void,
  ) {
    this.#load = signed ? "v128.load8x8_s" : "v128.load8x8_u";
    [this.#zero, this.a, this.b, this.#lo, this.#hi] = f.someLocals(5, "v128") as [
      Local,
      Local,
      Local,
      Local,
      Local,
    ];
    zeroPoint();
    f.op("i16x8.splat").set(this.#zero);
  }

  tile({ acc: [acc = []], w, walk }: TapTile): void {
    const { f } = this;
    const [kh, kw] = this.kernel;
    for (let y = 0; y < kh; y += 2)
      walk(y + 1 < kh ? [y, y + 1] : [y], [0, kw], (users, [first, second]) => {
        this.#column(
          () => void f.get(first as Local).mem(this.#load),
          second !== undefined && (() => void f.get(second).mem(this.#load)),
        );
        for (const { column, tap } of users)
          this.#multiply(acc[column] as readonly Local[], w, (y >> 1) * kw + tap);
      });
  }

  /** lo, hi = two rows of a column, channel by channel; `second` false: zeros. */
  #column(first: () => void, second: (() => void) | false): void {
    const { f, a, b } = this;
    first();
    f.get(this.#zero).op("i16x8.sub").set(a);
    if (second) {
      second();
      f.get(this.#zero).op("i16x8.sub");
    } else f.i32x4(0);
    f.set(b);
    f.get(a).get(b).shuffle(low).set(this.#lo).get(a).get(b).shuffle(high).set(this.#hi);
  }

  #multiply(acc: readonly Local[], w: Local, tap: number): void {
    const { f } = this;
    acc.forEach((a, v) => {
      f.get(a)
        .get(v ? this.#hi : this.#lo)
        .get(w)
        .vload(32 * tap + 16 * v)
        .op("i32x4.dot_i16x8_s", "i32x4.add")
        .set(a);
    });
  }
}
