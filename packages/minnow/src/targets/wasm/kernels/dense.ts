// Dense and matrix products in float32 with constant right sides: rows at a fixed pitch times packed
// panels, the same tile as convolution (f32_gemm). One row is bound by the weights' way through memory
// and by the latency of a sum, so it has a kernel of its own (f32_gemv): one panel of 8 channels at a
// time, eight sums side by side, weights read once in order.
import type { LoopNest } from "../../../compiler/nest.js";
import type { Step } from "../../../compiler/program.js";
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Engine } from "../engine.js";
import type { ArgWord, PlannedKernel, TunedKernel } from "../kernel.js";
import { Layout } from "./arguments.js";
import { type Epilogue, EpilogueCode, epilogueNames, epilogueOf, epilogueWords } from "./epilogue.js";
import { planGemm } from "./gemm.js";
import { type Buffers, joined, type Walk, walkOf } from "./operands.js";
import { type Matrix, packPanels } from "./pack.js";
import { isFloatProduct } from "./products.js";

export const dense: TunedKernel = { kernels: ["dense", "matmul"], plan: planDense };

function planDense(step: Step, engine: Engine, program: Buffers): PlannedKernel | null {
  const nest = step.nest;
  if (!nest || nest.loops.some((n) => n === 0) || !isFloatProduct(step, nest)) return null;
  const p = constantProduct(step, nest, program);
  const epilogue = epilogueOf(step, nest, program);
  if (!p || !epilogue) return null;
  const n = p.weights.n;
  const rows = nest.loops.slice(0, -1).reduce((a, b) => a * b, 1);
  const x: ArgWord = { kind: "view", value: p.x.value, element: p.x.offset };
  if (rows === 1) return planGemv(step, nest, p.weights, x, epilogue, engine);
  return planGemm(
    step,
    {
      name: "gemm",
      epilogue,
      outValue: nest.out.value,
      rows,
      channels: n,
      groups: 1,
      x,
      pitchBytes: p.pitch * 4,
      groupBytes: 0,
      rowKind: "plain",
      taps: 1,
      k: p.weights.k,
      weights: packPanels(p.weights),
      rowInput: p.weights.k * 4,
    },
    engine,
  );
}

export interface ConstantProduct {
  readonly x: Walk;
  /** Elements from one row of x to the next. */
  readonly pitch: number;
  readonly weights: Matrix;
}

/** x's rows joined at one pitch and dense along k, times a constant matrix; else null. */
export function constantProduct(step: Step, nest: LoopNest, program: Buffers): ConstantProduct | null {
  const rank = nest.loops.length;
  const extents = [...nest.loops, ...nest.reduce];
  const k = nest.reduce.reduce((a, b) => a * b, 1);
  const x = walkOf(step, nest, 0);
  const w = walkOf(step, nest, 1);
  if (!x || !w || x.guarded || w.guarded || k === 0) return null;
  const pitch = joined(x.strides, extents, 0, rank - 1);
  const along = joined(x.strides, extents, rank, extents.length);
  if (pitch === null || along === null || (k > 1 && along !== 1) || x.strides[rank - 1] !== 0) return null;
  const data = program.buffers[w.view.buffer]?.data;
  const kStride = joined(w.strides, extents, rank, extents.length);
  const fixedRows = nest.loops.every((d, l) => l === rank - 1 || d === 1 || w.strides[l] === 0);
  if (!data || kStride === null || !fixedRows) return null;
  const n = nest.loops[rank - 1] as number;
  const nStride = w.strides[rank - 1] as number;
  return {
    x,
    pitch,
    weights: { data, dtype: w.dtype, offset: w.view.offset + w.offset, n, k, nStride, kStride },
  };
}

const gemvWords = ["x", "weights", "out", "outPitch", "k4", "panelBytes", "panels"] as const;

function planGemv(
  _step: Step,
  nest: LoopNest,
  weights: Matrix,
  x: ArgWord,
  epilogue: Epilogue,
  engine: Engine,
): PlannedKernel {
  const layout = new Layout<string>([...gemvWords, ...epilogueNames(epilogue)]);
  const { n, k } = weights;
  const { words, packed } = epilogueWords(epilogue, 1, n);
  const name = `f32_gemv_${engine.fma ? "fma" : "muladd"}`;
  const panels = Math.ceil(n / 8);
  return {
    key: `${name}_k${k % 4}_n${n % 8}_${epilogue.key}`,
    label: name,
    emit: (m) => emitGemv(m, layout, epilogue, engine, k % 4, n % 8),
    extent: panels,
    // Several calls, so that the optimised code takes over within the first layer.
    grain: Math.max(1, Math.ceil(panels / 8)),
    args: layout.words({
      x,
      weights: { kind: "packed", index: 0 },
      out: { kind: "view", value: nest.out.value, element: epilogue.outOffset },
      outPitch: 0,
      k4: k >> 2,
      panelBytes: 32 * k,
      panels,
      ...Object.fromEntries(epilogueNames(epilogue).map((name, i) => [name, words[i] as ArgWord])),
    }),
    packed: [packPanels(weights), ...packed],
    scratchBytes: 0,
  };
}

/** Panels begin…end−1; the last panel of the matrix may be partial. */
function emitGemv(
  m: ModuleBuilder,
  layout: Layout<string>,
  epilogue: Epilogue,
  engine: Engine,
  rest: number,
  tail: number,
): number {
  const panel = (channels: number): number =>
    m.func(["i32", "i32", "i32"], [], (f) => gemvPanel(f, layout, epilogue, engine, rest, channels));
  const whole = panel(8);
  const last = tail ? panel(tail) : whole;
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const [args, begin, end] = [0, 1, 2];
    const w = f.local();
    f.block().get(begin).get(end).op("i32.ge_u").brIf(0);
    layout.push(f, args, "weights").get(begin);
    layout.push(f, args, "panelBytes").op("i32.mul", "i32.add").set(w);
    f.loop();
    const call = (fn: number): void => void f.get(args).get(w).get(begin).i32(8).op("i32.mul").call(fn);
    if (tail) {
      // Only the matrix's own last panel is partial, not the share's.
      f.get(begin);
      layout.push(f, args, "panels").i32(1).op("i32.sub", "i32.eq").if();
      call(last);
      f.else();
      call(whole);
      f.end();
    } else call(whole);
    layout.push(f, args, "panelBytes").get(w).op("i32.add").set(w);
    f.inc(begin, 1).get(begin).get(end).op("i32.lt_u").brIf(0).end().end();
  });
}

/** (args, weights, first channel): four steps of k go to four pairs of sums, joined at the end. */
function gemvPanel(
  f: FunctionBuilder,
  layout: Layout<string>,
  epilogue: Epilogue,
  engine: Engine,
  rest: number,
  channels: number,
): void {
  const [args, w, start] = [0, 1, 2];
  const vectors = Math.ceil(channels / 4);
  const arg = (name: string): FunctionBuilder => layout.push(f, args, name);
  const code = new EpilogueCode(f, epilogue, arg, engine, vectors, start, start);
  const x = layout.local(f, args, "x");
  const k = layout.local(f, args, "k4");
  const sums = Array.from({ length: 4 }, () => f.someLocals(vectors, "v128"));
  code.init([sums[0] as Local[]]);
  for (const row of sums.slice(1)) for (const s of row) f.i32x4(0).set(s);
  const t = f.local("v128");
  const steps = (n: number): void => {
    for (let u = 0; u < n; u++) {
      f.get(x)
        .mem("v128.load32_splat", 4 * u)
        .set(t);
      (sums[u] as Local[]).forEach((s, v) => {
        if (engine.fma)
          f.get(t)
            .get(w)
            .vload(32 * u + 16 * v)
            .get(s)
            .op("f32x4.relaxed_madd");
        else
          f.get(s)
            .get(t)
            .get(w)
            .vload(32 * u + 16 * v)
            .op("f32x4.mul", "f32x4.add");
        f.set(s);
      });
    }
    f.inc(x, 4 * n).inc(w, 32 * n);
  };
  f.get(k).if();
  f.repeat(k, () => steps(4));
  f.end();
  if (rest) steps(rest);
  const [a, b, c, d] = sums as [Local[], Local[], Local[], Local[]];
  a.forEach((s, v) => {
    f.get(s)
      .get(b[v] as Local)
      .op("f32x4.add")
      .get(c[v] as Local)
      .get(d[v] as Local)
      .op("f32x4.add", "f32x4.add")
      .set(s);
  });
  const pixel = (): void => void f.i32(0);
  code.load();
  code.finish(a, pixel);
  code.store(a, channels, pixel);
}
