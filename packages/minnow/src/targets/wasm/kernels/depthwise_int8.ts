// Depth-wise taps of 8-bit tensors: eight channels widen to int16, two taps are interleaved, so that one
// i32x4.dot_i16x8_s does both for four channels: kernel rows in pairs, and along x in a last odd row (nine
// taps are five products). What is interleaved serves every output of the tile that needs it. The zero
// point's share of the sum, −zx·Σw, is packed before a block's weights; outside the image reads zx.
// Weights: [C/8] of −zx·Σw [8], then [row pair][kx][8 channels][2], then [pair of kx][8 channels][2].
import type { Step } from "../../../compiler/program.js";
import type { FunctionBuilder, Local } from "../assembler.js";
import type { Engine } from "../engine.js";
import type { Packed, PlannedKernel, Planning, TunedKernel } from "../kernel.js";
import type { Op } from "../opcodes.js";
import { convGeometry } from "./conv.js";
import { planWindow } from "./depthwise_plan.js";
import type { Tap, TapMath, TapTile } from "./depthwise_taps.js";
import { epilogueOf } from "./epilogue.js";
import { dataId } from "./operands.js";
import type { Matrix } from "./pack.js";
import { type IntegerProduct, integerProduct, weightMatrix } from "./products.js";
import { requantizing } from "./requantize.js";
import { depthwiseTile, heldTaps, mostTaps } from "./tiles.js";

export const depthwiseInt8: TunedKernel = { kernels: ["conv2d"], plan: planDepthwise };

function planDepthwise(step: Step, engine: Engine, program: Planning): PlannedKernel | null {
  const g = convGeometry(step);
  const nest = step.nest;
  if (!g || !nest || g.group === 1) return null;
  const { window, kernel } = g;
  const [channels, inner] = [g.w.view.shape[0], g.w.view.shape[3]] as [number, number];
  const work = kernel[0] * kernel[1];
  if (work > mostTaps || inner !== 1 || channels !== g.group) return null;
  const product = integerProduct(step, nest, program, channels);
  const weights = weightMatrix(program, g.w, channels, work);
  const epilogue = epilogueOf(step, nest, program, { channelLoop: 3, ...requantizing(engine) });
  if (!product || !weights || !epilogue) return null;
  const math = int8Taps(weights, kernel, window.dilation[1], g.x.dtype === "int8", product);
  const tile = depthwiseTile(window, engine, 2);
  return planWindow({ geometry: g, nest, math, suffix: "", epilogue, channels, tile, work }, engine, program);
}

function int8Taps(
  m: Matrix,
  kernel: readonly [number, number],
  dilation: number,
  signed: boolean,
  product: IntegerProduct,
): TapMath {
  const shape = tapPairs(kernel, dilation);
  const packed = packTapPairs(m, kernel, shape, product);
  return {
    name: signed ? "s8_dw" : "u8_dw",
    lanes: 4,
    vectors: 2,
    inputStep: 8,
    weightStep: 32 * (1 + shape.count),
    outside: product.zx,
    packed,
    begin(f, zeroPoint) {
      const taps = new Int8Taps(f, kernel, shape, signed, zeroPoint);
      return (t) => taps.tile(t);
    },
    more: (f, row, w) =>
      row.forEach((a, v) => {
        f.get(a)
          .get(w)
          .vload(16 * v)
          .op("i32x4.add")
          .set(a);
      }),
  };
}

/** How taps are multiplied two at a time. */
interface TapPairs {
  readonly count: number;
  /** Taps of a pair in a last odd kernel row: 2, or 1 where the next column is not the next tap. */
  readonly step: 1 | 2;
  /** Pair and half of a tap. */
  place(ky: number, kx: number): readonly [pair: number, half: number];
}

function tapPairs([kh, kw]: readonly [number, number], dilation: number): TapPairs {
  const step = dilation === 1 ? 2 : 1;
  const paired = kw * (kh >> 1);
  return {
    count: paired + (kh & 1) * Math.ceil(kw / step),
    step,
    place: (ky, kx) =>
      ky === kh - 1 && kh & 1 ? [paired + Math.floor(kx / step), kx % step] : [(ky >> 1) * kw + kx, ky & 1],
  };
}

function packTapPairs(
  m: Matrix,
  [kh, kw]: readonly [number, number],
  { count, step, place }: TapPairs,
  { zx, zw }: IntegerProduct,
): Packed {
  const size = Math.ceil(m.n / 8) * 16 * (1 + count);
  return {
    key: `tappairs:${dataId(m.data)}:${m.offset}:${m.n}x${kh}x${kw}:${step}:${zx}:${zw.some((z) => z !== 0) ? zw.join() : ""}`,
    bytes: 2 * size,
    source: m.data,
    fill(memory, at) {
      const source = m.data as Int8Array | Uint8Array;
      const out = new Int16Array(memory as ArrayBuffer, at, size).fill(0);
      const sums = new Int32Array(memory as ArrayBuffer, at, size / 2);
      const taps = Array.from({ length: kh * kw }, (_, t) => place(Math.floor(t / kw), t % kw));
      const places = taps.map(([pair, half]) => 16 * (1 + pair) + half);
      for (let c = 0; c < m.n; c++) {
        const block = (c >> 3) * 16 * (1 + count);
        const zero = zw[zw.length === 1 ? 0 : c] ?? 0;
        let sum = 0;
        for (let t = 0; t < places.length; t++) {
          const w = (source[m.offset + c * places.length + t] as number) - zero;
          out[block + (places[t] as number) + 2 * (c & 7)] = w;
          sum += w;
        }
        sums[block / 2 + (c & 7)] = -zx * sum;
      }
    },
  };
}

const low = [0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23];
const high = low.map((b) => b + 8);

class Int8Taps {
  readonly #zero: Local;
  /** Widened inputs: of two rows, or of a column and the one before. */
  readonly #x: readonly [Local, Local];
  readonly #lo: Local;
  readonly #hi: Local;
  readonly #load: Op;
  /** First half of the weights of the pairs that are being multiplied, where they fit registers; by pair. */
  readonly #held = new Map<number, Local>();
  readonly #holders: readonly Local[];

  constructor(
    private readonly f: FunctionBuilder,
    private readonly kernel: readonly [number, number],
    private readonly pairs: TapPairs,
    signed: boolean,
    zeroPoint: () => void,
  ) {
    this.#load = signed ? "v128.load8x8_s" : "v128.load8x8_u";
    const [zero, a, b, lo, hi] = f.someLocals(5, "v128");
    this.#x = [a, b];
    [this.#zero, this.#lo, this.#hi] = [zero, lo, hi];
    this.#holders = f.someLocals(kernel[1] <= heldTaps ? kernel[1] : 0, "v128");
    zeroPoint();
    f.op("i16x8.splat").set(zero);
  }

  tile({ acc: [acc = []], w, walk }: TapTile): void {
    const { pairs } = this;
    const [kh, kw] = this.kernel;
    const multiply = (users: readonly Tap[], ky: number): void => {
      for (const { column, tap } of users)
        this.#multiply(acc[column] as readonly Local[], w, 1 + pairs.place(ky, tap)[0]);
    };
    const [a, b] = this.#x;
    for (let y = 0; y + 1 < kh; y += 2) {
      this.#hold(w, 1 + pairs.place(y, 0)[0]);
      walk(
        [y, y + 1],
        [0, kw],
        (users, [first, second]) => {
          this.#interleave(this.#widen(first, a), this.#widen(second, b));
          multiply(users, y);
        },
        true,
      );
    }
    if (kh % 2 === 0) return;
    this.#hold(w, 1 + pairs.place(kh - 1, 0)[0], Math.ceil(kw / pairs.step));
    // Each column with the next.
    let before: { x: Local; users: readonly Tap[] } | undefined;
    let turn = 0;
    const both = (next: Local): void => {
      const users = before?.users.filter(({ tap }) => tap % pairs.step === 0) ?? [];
      if (!before || users.length === 0) return;
      this.#interleave(before.x, next);
      multiply(users, kh - 1);
    };
    walk(
      [kh - 1],
      [0, kw],
      (users, [at]) => {
        const x = this.#widen(at, this.#x[turn++ & 1] as Local);
        both(x);
        before = { x, users };
      },
      true,
    );
    if (before) both(before.x);
  }

  /** Loads what serves several outputs: pairs from `first` on. */
  #hold(w: Local, first: number, count = this.#holders.length): void {
    this.#held.clear();
    this.#holders.slice(0, count).forEach((v, i) => {
      this.f
        .get(w)
        .vload(32 * (first + i))
        .set(v);
      this.#held.set(first + i, v);
    });
  }

  /** Eight channels at an address, or of the outside. */
  #widen(at: Local | undefined, to: Local): Local {
    if (at === undefined) return this.#zero;
    this.f.get(at).mem(this.#load).set(to);
    return to;
  }

  /** lo, hi = a and b, channel by channel. */
  #interleave(a: Local, b: Local): void {
    const { f } = this;
    f.get(a).get(b).shuffle(low).set(this.#lo).get(a).get(b).shuffle(high).set(this.#hi);
  }

  #multiply(acc: readonly Local[], w: Local, pair: number): void {
    const { f } = this;
    acc.forEach((a, v) => {
      const held = v ? undefined : this.#held.get(pair);
      f.get(a).get(v ? this.#hi : this.#lo);
      if (held === undefined) f.get(w).vload(32 * pair + 16 * v);
      else f.get(held);
      f.op("i32x4.dot_i16x8_s", "i32x4.add").set(a);
    });
  }
}
