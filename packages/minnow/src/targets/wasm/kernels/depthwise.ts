// Depth-wise convolution, multiplier 1. One call of a tile function computes XT outputs along
// x for all channels, so that inputs and weights are loaded once for all of them; strides are immediates
// (the code knows channels and pitches, never rows or columns). A row of outputs is
//   left tile (its first columns lie in the padding), inner tiles, right tile (ends with the row, may
//   overlap its neighbour), or, where these do not fit, single pixels by tap pointers.
// Weights lie as [C/4][tap][4]: [tap][C] would alias at 4 KB strides for C = 512 (17 against 32 GFLOPS).
//
// Versions (bench/kernels.mjs; EPYC 7003, Node 24): f32_dw_{kh}x{kw}s{s}_{fma|muladd}: 3×3 s1 30–35,
// s2 20–27 GFLOPS with XT = 4 (XT = 7 spills); i16_dw_…: see depthwise_int8.ts.
import type { Step } from "../../../compiler/program.js";
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Engine } from "../engine.js";
import type { ArgWord, Packed, PlannedKernel, TunedKernel } from "../kernel.js";
import { Layout } from "./arguments.js";
import { type ConvGeometry, convGeometry } from "./conv.js";
import { type Epilogue, EpilogueCode, epilogueNames, epilogueOf, epilogueWords } from "./epilogue.js";
import { floatTaps, type TapMath } from "./depthwise_taps.js";
import { int8Taps } from "./depthwise_int8.js";
import type { Buffers } from "./operands.js";
import { integerProduct, isFloatProduct, weightMatrix } from "./products.js";
import { depthwiseWidth } from "./tiles.js";

export const depthwise: TunedKernel = { kernels: ["conv2d"], plan: planDepthwise };

const words = [
  "x",
  "weights",
  "out",
  "outPitch",
  "scratch",
  "outside",
  "zeroPoint",
  "xRow", // bytes
  "xImage",
  "h",
  "w",
  "oh",
  "ow",
  "padTop",
  "left", // 1: the left tile runs
  "inner", // inner tiles
  "innerAt", // their first output, and its first input column
  "innerColumn",
  "rightAt", // first output of the right tile, −1 = none
  "rightColumn",
  "firstSingles", // outputs 0…firstSingles−1 and singleAt…ow−1 go one by one
  "singleAt",
] as const;

function planDepthwise(step: Step, engine: Engine, program: Buffers): PlannedKernel | null {
  const g = convGeometry(step);
  const nest = step.nest;
  if (!g || !nest || g.group !== g.channels || nest.loops[3] !== g.channels || nest.loops.length !== 4)
    return null;
  const [kh, kw] = g.kernel;
  const { window, channels } = g;
  if (kh * kw > 81) return null;
  const weights = weightMatrix(program, g.w, channels, kh * kw);
  const product = isFloatProduct(step, nest) ? null : integerProduct(step, nest, program, channels);
  if (!weights || (!product && !isFloatProduct(step, nest))) return null;
  const epilogue = epilogueOf(step, nest, program, { hoist: !!product });
  if (!epilogue) return null;
  const math = product
    ? int8Taps(weights, g.kernel, g.x.dtype === "int8", product)
    : floatTaps(weights, g.kernel, engine.fma, engine.wide && channels >= 8 ? 2 : 1);
  const s: Spec = {
    channels,
    kernel: g.kernel,
    stride: window.stride,
    dilation: window.dilation,
    padLeft: window.pad[1],
    // 0 where there is one pixel: any pitch will do
    pitch: (g.pitch || channels) * g.x.bytes,
    outPitch: (epilogue.outPitch || channels) * epilogue.outBytes,
    xt: depthwiseWidth(kw, window.stride[1]),
    math,
    epilogue,
    fma: engine.fma,
    overhang: 0,
  };
  // The columns under a tile are unrolled.
  if (spanOf(s) > 64) return null;
  const row = tileRow(
    s,
    g,
    epilogue.operands.some((o) => o.role === "full"),
  );
  const spec = { ...s, overhang: row.overhang };
  const layout = new Layout<string>([...words, ...epilogueNames(epilogue)]);
  const { words: extra, packed } = epilogueWords(epilogue, 1, channels);
  const dilated = window.dilation.some((d) => d !== 1) ? `d${window.dilation.join("x")}` : "";
  const name = `${math.name}_${kh}x${kw}s${window.stride.join("x")}${dilated}${product ? "" : engine.fma ? "_fma" : "_muladd"}`;
  const outside = (window.w + kw * window.dilation[1]) * s.pitch + 64;
  return {
    key: `${name}_${math.key}_c${channels}_${s.pitch}>${s.outPitch}_p${s.padLeft}-${row.overhang}_${engine.fma}_${epilogue.key}`,
    label: name,
    emit: (m) => emitDepthwise(m, layout, spec),
    extent: (nest.loops[0] as number) * window.oh,
    grain: Math.max(1, Math.ceil(20000 / (window.ow * channels))),
    args: layout.words({
      x: { kind: "view", value: g.x.value },
      weights: { kind: "packed", index: 0 },
      out: { kind: "view", value: nest.out.value, element: epilogue.outOffset },
      outPitch: s.outPitch,
      scratch: { kind: "scratch" },
      // Rows outside the image: zeros, or a row of zero points.
      outside: math.outside === 0 ? { kind: "zero" } : { kind: "packed", index: packed.length + 1 },
      zeroPoint: math.outside,
      xRow: window.rowBytes,
      xImage: window.imageBytes,
      h: window.h,
      w: window.w,
      oh: window.oh,
      ow: window.ow,
      padTop: window.pad[0],
      ...row.args,
      ...Object.fromEntries(epilogueNames(epilogue).map((n, i) => [n, extra[i] as ArgWord])),
    }),
    packed: [math.packed, ...packed, ...(math.outside === 0 ? [] : [filled(math.outside, outside)])],
    scratchBytes: 4 * kh * kw + 64,
    zeroBytes: outside,
  };
}

/** `n` bytes of one value. */
const filled = (value: number, n: number): Packed => ({
  key: `filled:${value & 255}:${n}`,
  bytes: n,
  fill: (memory, at) => void new Uint8Array(memory as ArrayBuffer, at, n).fill(value),
});

interface Spec {
  readonly channels: number;
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  readonly padLeft: number;
  /** Bytes between input and between output pixels. */
  readonly pitch: number;
  readonly outPitch: number;
  readonly xt: number;
  readonly math: TapMath;
  readonly epilogue: Epilogue;
  readonly fma: boolean;
  /** Columns of the right tile that lie behind the image. */
  readonly overhang: number;
}

interface RowTiling {
  readonly args: Record<string, number>;
  readonly overhang: number;
}

/** Columns under a tile. */
const spanOf = (s: Pick<Spec, "xt" | "stride" | "kernel" | "dilation">): number =>
  (s.xt - 1) * s.stride[1] + (s.kernel[1] - 1) * s.dilation[1] + 1;

/** How a row of outputs is cut; see the head of the file. `once`: no output may be computed twice. */
function tileRow(s: Spec, g: ConvGeometry, once: boolean): RowTiling {
  const { xt, padLeft } = s;
  const { w, ow } = g.window;
  const stride = s.stride[1];
  const span = spanOf(s);
  const column = (ox: number): number => ox * stride - padLeft;
  const left = padLeft > 0 && ow >= xt && column(xt) >= 0 && column(0) + span <= w ? 1 : 0;
  const firstSingles = left ? 0 : Math.min(ow, Math.ceil(padLeft / stride));
  const innerAt = left * xt + firstSingles;
  let inner = 0;
  while (innerAt + (inner + 1) * xt <= ow && column(innerAt + inner * xt) + span <= w) inner++;
  let done = innerAt + inner * xt;
  let rightAt = -1;
  // Also where no right tile runs, so that all widths share the code.
  const overhang = Math.min(
    span - 1,
    Math.max(0, column(ow - 1) + (s.kernel[1] - 1) * s.dilation[1] + 1 - w),
  );
  const last = ow - xt;
  if (done < ow && ow - done <= xt && last >= firstSingles && column(last) >= 0 && (!once || last === done)) {
    rightAt = last;
    done = ow;
  }
  const innerColumn = column(innerAt);
  const rightColumn = rightAt < 0 ? 0 : column(rightAt);
  const args = { left, inner, innerAt, innerColumn, rightAt, rightColumn, firstSingles, singleAt: done };
  return { args, overhang };
}

function emitDepthwise(m: ModuleBuilder, layout: Layout<string>, s: Spec): number {
  const [kh] = s.kernel;
  const span = spanOf(s);
  const tile = (lo: number, hi: number): number =>
    m.func(["i32", "i32", "i32", ...Array<"i32">(kh).fill("i32")], [], (f) =>
      new DepthTile(f, layout, s, lo, hi).emit(),
    );
  const inner = tile(0, span);
  const left = s.padLeft > 0 ? tile(Math.min(s.padLeft, span), span) : -1;
  const right = s.overhang > 0 ? tile(0, span - s.overhang) : inner;
  const single = m.func(["i32", "i32"], [], (f) => singlePixel(f, layout, s));
  return m.func(["i32", "i32", "i32"], [], (f) =>
    new DepthRows(f, layout, s, { inner, left, right, single }).emit(),
  );
}

/** (args, first pixel, tiles, row pointers…): each pointer at the tile's first column that is inside. */
class DepthTile {
  private readonly pointers: Local[];
  readonly #acc: Local[][];
  private readonly w: Local;
  readonly #out: Local;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly layout: Layout<string>,
    private readonly s: Spec,
    private readonly lo: number,
    private readonly hi: number,
  ) {
    this.pointers = f.someLocals(s.kernel[0], "i32");
    this.w = f.local();
    this.#out = f.local();
    this.#acc = Array.from({ length: s.xt }, () => f.someLocals(s.math.vectors, "v128"));
  }

  emit(): void {
    const { f, layout, s } = this;
    const { math } = s;
    const [args, pixel, tiles] = [0, 1, 2];
    const arg = (name: string): FunctionBuilder => layout.push(f, args, name);
    const zero = f.local();
    const at = f.local();
    arg("out").get(pixel).i32(s.outPitch).op("i32.mul", "i32.add").set(at);
    const code = new EpilogueCode(f, s.epilogue, arg, s, math.vectors, zero, zero);
    const taps = math.begin(f, () => void arg("zeroPoint"));
    f.repeat(tiles, () => {
      this.pointers.forEach((p, y) => f.get(3 + y).set(p));
      arg("weights").set(this.w).get(at).set(this.#out);
      code.rewind(zero);
      eachBlock(f, s, (vectors, channels) => {
        const acc = this.#acc.map((a) => a.slice(0, vectors));
        code.init(acc);
        const { pointers, w, lo, hi } = this;
        taps.tile({ acc, pointers, w, lo, hi, pitch: s.pitch, stride: s.stride[1], dilation: s.dilation[1] });
        code.load();
        acc.forEach((a, t) => code.finish(a, () => void f.get(pixel).i32(t).op("i32.add")));
        acc.forEach((a, t) => code.storeAt(a, channels, this.#out, t * s.outPitch));
        code.advance(4 * vectors);
        f.inc(this.w, vectors * math.weightBytes).inc(this.#out, 4 * vectors * s.epilogue.outBytes);
        for (const p of pointers) f.inc(p, 4 * vectors * math.inputBytes);
      });
      f.inc(at, s.xt * s.outPitch).inc(pixel, s.xt);
      for (let y = 0; y < s.kernel[0]; y++) f.inc(3 + y, s.xt * s.stride[1] * s.pitch);
    });
  }
}

/** A loop over whole blocks of channels, then what is left. */
function eachBlock(f: FunctionBuilder, s: Spec, step: (vectors: number, channels: number) => void): void {
  const { vectors, tailVectors } = s.math;
  const whole = Math.floor(s.channels / (4 * vectors));
  if (whole > 1) {
    const n = f.local();
    f.i32(whole).set(n);
    f.repeat(n, () => step(vectors, 4 * vectors));
    f.free("i32", n);
  } else if (whole) step(vectors, 4 * vectors);
  for (let rest = s.channels % (4 * vectors); rest > 0; rest -= 4 * tailVectors)
    step(tailVectors, Math.min(rest, 4 * tailVectors));
}

/** (args, pixel): one output; the taps' addresses are in the scratch. */
function singlePixel(f: FunctionBuilder, layout: Layout<string>, s: Spec): void {
  const [args, pixel] = [0, 1];
  const { math } = s;
  const arg = (name: string): FunctionBuilder => layout.push(f, args, name);
  const zero = f.local();
  const table = layout.local(f, args, "scratch");
  const w = layout.local(f, args, "weights");
  const out = f.local();
  const at = f.local();
  const all = f.someLocals(math.vectors, "v128");
  const code = new EpilogueCode(f, s.epilogue, arg, s, math.vectors, zero, zero);
  const taps = math.begin(f, () => void arg("zeroPoint"));
  arg("out").get(pixel).i32(s.outPitch).op("i32.mul", "i32.add").set(out);
  eachBlock(f, s, (vectors, channels) => {
    const acc = all.slice(0, vectors);
    code.init([acc]);
    taps.single(acc, table, at, w);
    code.load();
    code.finish(acc, () => void f.get(pixel));
    code.storeAt(acc, channels, out, 0);
    code.advance(4 * vectors);
    f.inc(at, 4 * vectors * math.inputBytes).inc(w, vectors * math.weightBytes);
    f.inc(out, 4 * vectors * s.epilogue.outBytes);
  });
}

interface Functions {
  readonly inner: number;
  readonly left: number;
  readonly right: number;
  readonly single: number;
}

/** Output rows begin…end−1 of all images. */
class DepthRows {
  readonly #rows: Local[];
  readonly #pixel: Local;
  readonly #iy: Local;
  readonly #image: Local;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly layout: Layout<string>,
    private readonly s: Spec,
    private readonly fn: Functions,
  ) {
    this.#rows = f.someLocals(s.kernel[0], "i32");
    this.#pixel = f.local();
    this.#iy = f.local();
    this.#image = f.local();
  }

  emit(): void {
    const { f, s } = this;
    const [begin, end] = [1, 2];
    const y = f.local();
    const arg = (name: string): FunctionBuilder => this.layout.push(f, 0, name);
    f.block().get(begin).get(end).op("i32.ge_u").brIf(0).loop();
    f.get(begin);
    arg("oh").op("i32.rem_u").i32(s.stride[0]).op("i32.mul");
    arg("padTop").op("i32.sub").set(this.#iy);
    arg("x").get(begin);
    arg("oh").op("i32.div_u");
    arg("xImage").op("i32.mul", "i32.add").set(this.#image);
    f.get(begin);
    arg("ow").op("i32.mul").set(this.#pixel);
    this.#rows.forEach((r, i) => {
      f.get(this.#iy)
        .i32(i * s.dilation[0])
        .op("i32.add")
        .set(y);
      f.get(this.#image).get(y);
      arg("xRow").op("i32.mul", "i32.add");
      arg("outside").get(y);
      arg("h").op("i32.lt_u", "select").set(r);
    });
    this.#row(arg);
    f.inc(begin, 1).get(begin).get(end).op("i32.lt_u").brIf(0).end().end();
  }

  #row(arg: (name: string) => FunctionBuilder): void {
    const { f, s, fn } = this;
    const call = (which: number, at: () => void, tiles: () => void, column?: () => void): void => {
      f.get(0).get(this.#pixel);
      at();
      f.op("i32.add");
      tiles();
      for (const r of this.#rows) {
        f.get(r);
        if (column) {
          column();
          f.i32(s.pitch).op("i32.mul", "i32.add");
        }
      }
      f.call(which);
    };
    const one = (): void => void f.i32(1);
    if (fn.left >= 0) {
      arg("left").if();
      call(fn.left, () => void f.i32(0), one);
      f.end();
    }
    arg("inner").if();
    call(
      fn.inner,
      () => void arg("innerAt"),
      () => void arg("inner"),
      () => void arg("innerColumn"),
    );
    f.end();
    arg("rightAt").i32(0).op("i32.ge_s").if();
    call(
      fn.right,
      () => void arg("rightAt"),
      one,
      () => void arg("rightColumn"),
    );
    f.end();
    this.#singles(arg, () => void f.i32(0), "firstSingles");
    this.#singles(arg, () => void arg("singleAt"), "ow");
  }

  /** Outputs from…to−1, one by one: the taps' addresses go to the scratch. */
  #singles(arg: (name: string) => FunctionBuilder, from: () => void, to: string): void {
    const { f, s } = this;
    const [kh, kw] = s.kernel;
    const ox = f.local();
    const ix = f.local();
    const inside = f.local();
    from();
    f.set(ox);
    f.block().get(ox);
    arg(to).op("i32.ge_u").brIf(0).loop();
    for (let x = 0; x < kw; x++) {
      f.get(ox)
        .i32(s.stride[1])
        .op("i32.mul")
        .i32(x * s.dilation[1] - s.padLeft)
        .op("i32.add")
        .tee(ix);
      arg("w").op("i32.lt_u").set(inside);
      for (let t = 0; t < kh; t++) {
        arg("scratch")
          .get(this.#rows[t] as Local)
          .get(ix)
          .i32(s.pitch)
          .op("i32.mul", "i32.add");
        arg("outside")
          .get(inside)
          .op("select")
          .store(4 * (t * kw + x));
      }
    }
    f.get(0).get(this.#pixel).get(ox).op("i32.add").call(this.fn.single);
    f.inc(ox, 1).get(ox);
    arg(to).op("i32.lt_u").brIf(0).end().end();
    f.free("i32", ox, ix, inside);
  }
}
