// One row of 8-bit numbers times constant int8 weights, where 8-bit products do not suit these (quads.ts): bound by the
// weights' way through memory, so they stay bytes (packBytes) and are widened as they are loaded. Four panels of 8
// channels go side by side, as in gemv.ts. x becomes int16, less its zero point, once a call.
//
// Zen 4: where weights come from memory 1280→1001 of MobileNet v2 0.130 → 0.073 ms (0.079 without reading ahead, which four
// or eight lines a step make slower); where they are in the caches 29 GMAC/s, by int16 pairs 31: widening is two
// instructions of eight. With 256-bit vectors 0.108 → 0.073, but 32 and 51 in the caches: V8 joins no loads that widen.
import type { FunctionBuilder, Local } from "../assembler.js";
import type { Engine } from "../engine.js";
import type { ArgWord, Packed, PlannedKernel } from "../kernel.js";
import { Layout } from "./arguments.js";
import { type Epilogue, epilogueNames, epilogueWords } from "./epilogue.js";
import { EpilogueCode } from "./epilogue_code.js";
import { emitGroups, width } from "./gemv.js";
import { aheadOf, type Streams, streamsFor } from "./gemm_ahead.js";
import type { Matrix } from "./pack.js";
import { packedPanel } from "./pairs.js";
import { gemvGrain, unrollOf } from "./tiles.js";
import { widen } from "./widen_int8.js";

const words = [
  "x",
  "weights",
  "out",
  "outPitch",
  "scratch",
  "zeroPoint",
  "sixteens", // of k, rounded up
  "steps",
  "panelBytes",
  "groups",
] as const;

/** @param zero of x; @param weights as packBytes has them in `bytes` */
export function planGemvInt8(
  outValue: number,
  { n, k }: Matrix,
  bytes: Packed,
  x: ArgWord,
  zero: number,
  signed: boolean,
  epilogue: Epilogue,
  engine: Engine,
): PlannedKernel {
  const layout = new Layout<string>([...words, ...epilogueNames(epilogue)]);
  const { words: extra, packed } = epilogueWords(epilogue, 1, n);
  const label = "i16_gemv";
  const groups = Math.floor(n / width);
  const quads = Math.ceil(k / 4);
  const unroll = unrollOf(engine.fma);
  const ahead = streamsFor(1, n * k, width * k);
  const form = { unroll, rest: quads % unroll, ahead };
  return {
    key: `${label}_${signed ? "s8" : "u8"}_k${unroll}+${form.rest}${ahead ? `_${ahead}` : ""}_n${groups ? 1 : 0}+${n % width}_${engine.fma}_${epilogue.key}`,
    label,
    emit: (m) => {
      const group = (channels: number): number | undefined =>
        channels
          ? m.func(["i32", "i32", "i32"], [], (f) => emitGroup(f, layout, epilogue, engine, form, channels))
          : undefined;
      const all = emitGroups(m, layout, group(groups && width), group(n % width));
      return m.func(["i32", "i32", "i32"], [], (f) => {
        emitWiden(f, layout, signed);
        f.get(0).get(1).get(2).call(all);
      });
    },
    extent: Math.ceil(n / width),
    grain: gemvGrain(width * k),
    args: layout.words({
      x,
      weights: { kind: "packed", index: 0 },
      out: { kind: "view", value: outValue, element: epilogue.outOffset },
      outPitch: 0,
      scratch: { kind: "scratch" },
      zeroPoint: zero,
      sixteens: Math.ceil(k / 16),
      steps: Math.floor(quads / unroll),
      panelBytes: packedPanel(k),
      groups,
      ...Object.fromEntries(epilogueNames(epilogue).map((e, i) => [e, extra[i] as ArgWord])),
    }),
    packed: [bytes, ...packed],
    scratchBytes: 32 * Math.ceil(k / 16),
  };
}

/** x as int16 to scratch. What is beyond k meets weights of zero. */
function emitWiden(f: FunctionBuilder, layout: Layout<string>, signed: boolean): void {
  const [from, to, n] = ["x", "scratch", "sixteens"].map((name) => layout.local(f, 0, name)) as [
    Local,
    Local,
    Local,
  ];
  const zero = f.local("v128");
  layout.push(f, 0, "zeroPoint").op("i16x8.splat").set(zero);
  f.repeat(n, () => {
    widen(f, signed, zero, from, to, 0, 0);
    f.inc(from, 16).inc(to, 32);
  });
}

interface Form {
  /** Quads of k in a step, and what is left of them. */
  readonly unroll: number;
  readonly rest: number;
  readonly ahead: Streams | undefined;
}

/** (args, weights, first channel) */
function emitGroup(
  f: FunctionBuilder,
  layout: Layout<string>,
  epilogue: Epilogue,
  engine: Engine,
  { unroll, rest, ahead }: Form,
  channels: number,
): void {
  const [args, weights, start] = [0, 1, 2];
  const vectors = Math.ceil(channels / 4);
  const arg = (name: string): FunctionBuilder => layout.push(f, args, name);
  const code = new EpilogueCode(f, epilogue, arg, engine, vectors, start, start);
  const x = layout.local(f, args, "scratch");
  const k = layout.local(f, args, "steps");
  const w = [weights, ...f.someLocals(Math.ceil(channels / 8) - 1, "i32")];
  w.slice(1).forEach((l, i) => {
    f.get(w[i] as Local);
    arg("panelBytes").op("i32.add").set(l);
  });
  const sums = f.someLocals(vectors, "v128");
  const pair = f.local("v128");
  code.init([sums]);
  const next = ahead && aheadOf(f, ahead);
  next?.start(weights, layout.local(f, args, "panelBytes"), w.length);
  const quads = (n: number): void => {
    for (let u = 0; u < 2 * n; u++) {
      f.get(x)
        .mem("v128.load32_splat", 4 * u)
        .set(pair);
      sums.forEach((s, v) => {
        f.get(s)
          .get(w[v >> 1] as Local)
          .mem("v128.load8x8_s", 32 * (u >> 1) + 16 * (v & 1) + 8 * (u & 1));
        f.get(pair).op("i32x4.dot_i16x8_s", "i32x4.add").set(s);
      });
    }
    f.inc(x, 8 * n);
    next?.read();
    for (const p of w) f.inc(p, 32 * n);
  };
  f.get(k).if();
  f.repeat(k, () => quads(unroll));
  f.end();
  if (rest) quads(rest);
  const pixel = (): void => void f.i32(0);
  code.load();
  code.finish(sums, pixel);
  code.store(sums, channels, pixel);
}
