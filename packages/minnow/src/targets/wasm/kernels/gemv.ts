// One row times constant weights: bound by the weights' way through memory and by the latency of a sum.
// Four panels of 8 channels go side by side, so that eight sums are under way and memory is read in four
// streams; what is left of the channels (one to four panels) gets its eight sums by splitting k. A unit of the
// extent is such a group, so the order of a sum depends on the layer alone.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Engine } from "../engine.js";
import type { ArgWord, PlannedKernel } from "../kernel.js";
import { Layout } from "./arguments.js";
import { type Epilogue, epilogueNames, epilogueWords } from "./epilogue.js";
import { EpilogueCode } from "./epilogue_code.js";
import { type Matrix, packPanels, panelBytes } from "./pack.js";
import { gemvGrain } from "./tiles.js";

const words = ["x", "weights", "out", "outPitch", "steps", "panelBytes", "groups"] as const;
/** Channels of a group. */
export const width = 32;
/** Steps of k in the inner loop. */
const unroll = 4;
/** Of a shuffle: the first lane four times. */
export const lanes = [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3];

export function planGemv(
  outValue: number,
  weights: Matrix,
  x: ArgWord,
  epilogue: Epilogue,
  engine: Engine,
): PlannedKernel {
  const layout = new Layout<string>([...words, ...epilogueNames(epilogue)]);
  const { n, k } = weights;
  const { words: extra, packed } = epilogueWords(epilogue, 1, n);
  const name = `f32_gemv_${engine.fma ? "fma" : "muladd"}${engine.wide ? "_wide" : ""}`;
  const groups = Math.floor(n / width);
  return {
    key: `${name}_k${k % unroll}_n${groups ? 1 : 0}+${n % width}_${epilogue.key}`,
    label: name,
    emit: (m) => {
      const group = (channels: number): number | undefined =>
        channels
          ? m.func(["i32", "i32", "i32"], [], (f) =>
              emitGroup(f, layout, epilogue, engine, k % unroll, channels),
            )
          : undefined;
      return emitGroups(m, layout, group(groups && width), group(n % width));
    },
    extent: Math.ceil(n / width),
    grain: gemvGrain(4 * width * k),
    args: layout.words({
      x,
      weights: { kind: "packed", index: 0 },
      out: { kind: "view", value: outValue, element: epilogue.outOffset },
      outPitch: 0,
      steps: Math.floor(k / unroll),
      panelBytes: panelBytes(k),
      groups,
      ...Object.fromEntries(epilogueNames(epilogue).map((e, i) => [e, extra[i] as ArgWord])),
    }),
    packed: [packPanels(weights), ...packed],
    scratchBytes: 0,
  };
}

/** Groups begin…end−1: whole ones by `whole`, the one behind them by `last`. */
export function emitGroups(m: ModuleBuilder, layout: Layout<string>, whole?: number, last?: number): number {
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const [args, begin, end] = [0, 1, 2];
    const call = (fn: number): void => {
      f.get(args);
      layout.push(f, args, "weights").get(begin);
      layout.push(f, args, "panelBytes").i32(width / 8);
      f.op("i32.mul", "i32.mul", "i32.add").get(begin).i32(width).op("i32.mul").call(fn);
    };
    f.block().get(begin).get(end).op("i32.ge_u").brIf(0).loop();
    if (whole !== undefined && last !== undefined) {
      f.get(begin);
      layout.push(f, args, "groups").op("i32.lt_u").if();
      call(whole);
      f.else();
      call(last);
      f.end();
    } else call((whole ?? last) as number);
    f.inc(begin, 1).get(begin).get(end).op("i32.lt_u").brIf(0).end().end();
  });
}

/** (args, weights, first channel) */
function emitGroup(
  f: FunctionBuilder,
  layout: Layout<string>,
  epilogue: Epilogue,
  engine: Engine,
  rest: number,
  channels: number,
): void {
  const [args, weights, start] = [0, 1, 2];
  const vectors = Math.ceil(channels / 4);
  const panels = Math.ceil(channels / 8);
  const arg = (name: string): FunctionBuilder => layout.push(f, args, name);
  const code = new EpilogueCode(f, epilogue, arg, engine, vectors, start, start);
  const x = layout.local(f, args, "x");
  const k = layout.local(f, args, "steps");
  const w = [weights, ...f.someLocals(panels - 1, "i32")];
  w.slice(1).forEach((l, i) => {
    f.get(w[i] as Local);
    arg("panelBytes").op("i32.add").set(l);
  });
  const sums = Array.from({ length: { 1: 4, 2: 2 }[panels] ?? 1 }, () => f.someLocals(vectors, "v128"));
  const [total, ...others] = sums as [Local[], ...Local[][]];
  code.init([total]);
  for (const s of others.flat()) f.i32x4(0).set(s);
  const [t, four] = f.someLocals(2, "v128") as [Local, Local];
  // Loads are what a step waits for: one of four x's and shuffles leave more of them to the weights than four that
  // splat (the autoencoder's ten layers 13.6 → 13.0 µs on Zen 4). Pairs of vectors can only be joined with splats.
  const splat = (u: number, n: number): void => {
    if (engine.wide || n < unroll) f.get(x).mem("v128.load32_splat", 4 * u);
    else {
      if (u === 0) f.get(x).vload().set(four);
      f.get(four)
        .get(four)
        .shuffle(lanes.map((i) => i + 4 * u));
    }
    f.set(t);
  };
  const steps = (n: number): void => {
    for (let u = 0; u < n; u++) {
      splat(u, n);
      (sums[u % sums.length] as Local[]).forEach((s, v) => {
        if (!engine.fma) f.get(s);
        f.get(t)
          .get(w[v >> 1] as Local)
          .vload(32 * u + 16 * (v & 1));
        if (engine.fma) f.get(s).op("f32x4.relaxed_madd").set(s);
        else f.op("f32x4.mul", "f32x4.add").set(s);
      });
    }
    f.inc(x, 4 * n);
    for (const p of w) f.inc(p, 32 * n);
  };
  f.get(k).if();
  f.repeat(k, () => steps(unroll));
  f.end();
  if (rest) steps(rest);
  for (const s of others)
    total.forEach(
      (a, v) =>
        void f
          .get(a)
          .get(s[v] as Local)
          .op("f32x4.add")
          .set(a),
    );
  const pixel = (): void => void f.i32(0);
  code.load();
  code.finish(total, pixel);
  code.store(total, channels, pixel);
}
