// One row times a computed matrix, batch by batch: a decoder's step over what it keeps of earlier ones. Nothing is
// packed (a panel of the matrix serves one row only, and packing it costs several times the product). Sixteen columns
// at a time: of rows of b ("n"), or as dot products along b's rows ("k"). The last block begins 16 columns before the
// end, so that there is no code for what is left; its first columns are stored twice, alike.
// 12 heads of 1×64 by 64×512, Zen 4: 149 µs (matmul.ts) → 24 along k, 30 along n; of 1×512 by 512×64 118 → 24. A call
// reads 1.5 MB for each: some 63 GB/s.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Engine } from "../engine.js";
import type { ArgWord, PlannedKernel } from "../kernel.js";
import { Layout } from "./arguments.js";
import { type Epilogue, epilogueNames, epilogueWords, hasPitch } from "./epilogue.js";
import { EpilogueCode } from "./epilogue_code.js";
import type { Step } from "../../../compiler/program.js";
import type { LoopNest } from "../../../compiler/nest.js";
import { lanes } from "./gemv.js";
import type { Sides } from "./matmul.js";

const words = [
  "x",
  "b",
  "out",
  "outPitch",
  "aBatch",
  "bBatch",
  "step",
  "steps",
  "rest",
  "blocks",
  "n",
] as const;
/** Columns of a block. */
const width = 16;

/** @param batches rows of a, each with a b of its own (or the same) */
export function planMatvec(
  step: Step,
  nest: LoopNest,
  s: Sides,
  epilogue: Epilogue,
  engine: Engine,
  batches: number,
): PlannedKernel | null {
  const n = nest.loops.at(-1) as number;
  const k = nest.reduce.reduce((x, y) => x * y, 1);
  const along = s.bColumn === 4 ? "n" : s.bRow === 4 ? "k" : null;
  // Where the output lies in an operand of it, columns could not be stored twice.
  const buffer = step.values[nest.out.value]?.buffer;
  const inPlace = epilogue.operands.some((o) => hasPitch(o) && o.walk.view.buffer === buffer);
  if (!along || n < width || inPlace) return null;
  const layout = new Layout<string>([...words, ...epilogueNames(epilogue)]);
  const { words: extra, packed } = epilogueWords(epilogue, 0, n);
  const name = `f32_matvec_${along}_${engine.fma ? "fma" : "muladd"}${engine.wide ? "_wide" : ""}`;
  const blocks = Math.ceil(n / width);
  return {
    key: `${name}_${epilogue.key}`,
    label: name,
    emit: (m) => emitBlocks(m, layout, epilogue, engine, along),
    extent: batches * blocks,
    grain: Math.ceil(50000 / (width * k)),
    unit: 1,
    args: layout.words({
      x: s.a,
      b: s.b,
      out: { kind: "view", value: nest.out.value, element: epilogue.outOffset },
      outPitch: epilogue.outPitch * epilogue.outBytes,
      aBatch: s.aBatch,
      bBatch: s.bBatch,
      step: along === "n" ? s.bRow : s.bColumn,
      steps: Math.floor(k / 4),
      rest: k % 4,
      blocks,
      n,
      ...Object.fromEntries(epilogueNames(epilogue).map((e, i) => [e, extra[i] as ArgWord])),
    }),
    packed,
    scratchBytes: 0,
  };
}

/** (args, first block, end): blocks of all batches in order. */
function emitBlocks(
  m: ModuleBuilder,
  layout: Layout<string>,
  e: Epilogue,
  engine: Engine,
  along: "n" | "k",
): number {
  const one = m.func(["i32", "i32", "i32"], [], (f) => emitBlock(f, layout, e, engine, along));
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const [args, begin, end] = [0, 1, 2];
    const [batch, start, last] = f.someLocals(3, "i32");
    const blocks = layout.local(f, args, "blocks");
    layout.push(f, args, "n").i32(width).op("i32.sub").set(last);
    f.block().get(begin).get(end).op("i32.ge_u").brIf(0).loop();
    f.get(begin).get(blocks).op("i32.div_u").set(batch);
    f.get(begin).get(blocks).op("i32.rem_u").i32(width).op("i32.mul").tee(start);
    f.get(last).get(start).get(last).op("i32.lt_u", "select").set(start);
    f.get(args).get(batch).get(start).call(one);
    f.inc(begin, 1).get(begin).get(end).op("i32.lt_u").brIf(0).end().end();
  });
}

/** (args, batch, first column) */
function emitBlock(
  f: FunctionBuilder,
  layout: Layout<string>,
  e: Epilogue,
  engine: Engine,
  along: "n" | "k",
): void {
  const [args, batch, start] = [0, 1, 2];
  const arg = (name: string): FunctionBuilder => layout.push(f, args, name);
  const code = new EpilogueCode(f, e, arg, engine, width / 4, start, start);
  const sums = f.someLocals(width / 4, "v128");
  const [x, b] = f.someLocals(2, "i32");
  arg("x").get(batch);
  arg("aBatch").op("i32.mul", "i32.add").set(x);
  arg("b").get(batch);
  arg("bBatch").op("i32.mul", "i32.add").get(start);
  if (along === "n") f.i32(4);
  else arg("step");
  f.op("i32.mul", "i32.add").set(b);
  code.init([sums]);
  (along === "n" ? addRows : addColumns)({ f, engine, arg, x, b }, sums);
  const pixel = (): void => void f.get(batch);
  code.load();
  code.finish(sums, pixel);
  code.store(sums, width, pixel);
}

interface Product {
  readonly f: FunctionBuilder;
  readonly engine: Engine;
  readonly arg: (name: string) => FunctionBuilder;
  /** Where the row and the block of b begin; both are moved. */
  readonly x: Local;
  readonly b: Local;
}

/** sums += x·w; `w` pushes. */
function multiply({ f, engine }: Product, sum: Local, x: Local, w: () => void): void {
  if (!engine.fma) f.get(sum);
  f.get(x);
  w();
  if (engine.fma) f.get(sum).op("f32x4.relaxed_madd").set(sum);
  else f.op("f32x4.mul", "f32x4.add").set(sum);
}

/** Rows of b times the elements of x, those of odd number apart: a sum waits for the one before. */
function addRows(p: Product, sums: readonly Local[]): void {
  const { f, engine, arg, x, b } = p;
  const odd = f.someLocals(sums.length, "v128");
  const [t, four] = f.someLocals(2, "v128") as [Local, Local];
  const [step, left] = f.someLocals(2, "i32");
  arg("step").set(step);
  const row = (u: number, to: readonly Local[]): void => {
    to.forEach((s, v) => multiply(p, s, t, () => void f.get(b).vload(16 * v)));
    f.incBy(b, step);
    if (u < 0) f.inc(x, 4);
  };
  arg("steps").tee(left).if();
  f.repeat(left, () => {
    if (!engine.wide) f.get(x).vload().set(four);
    for (let u = 0; u < 4; u++) {
      if (engine.wide) f.get(x).mem("v128.load32_splat", 4 * u);
      else
        f.get(four)
          .get(four)
          .shuffle(lanes.map((i) => i + 4 * u));
      f.set(t);
      row(u, u & 1 ? odd : sums);
    }
    f.inc(x, 16);
  });
  f.end();
  arg("rest").tee(left).if();
  f.repeat(left, () => {
    f.get(x).mem("v128.load32_splat").set(t);
    row(-1, sums);
  });
  f.end();
  sums.forEach(
    (s, v) =>
      void f
        .get(s)
        .get(odd[v] as Local)
        .op("f32x4.add")
        .set(s),
  );
}

/** Dot products of x and rows of b, eight at a time. */
function addColumns(p: Product, sums: readonly Local[]): void {
  const { f, arg, b } = p;
  const dots = f.someLocals(8, "v128");
  const rows = f.someLocals(8, "i32");
  const [v, mask] = f.someLocals(2, "v128") as [Local, Local];
  const [step, left, x] = f.someLocals(3, "i32");
  arg("step").set(step);
  f.i32x4(0, 1, 2, 3);
  arg("rest").op("i32x4.splat", "i32x4.lt_s").set(mask);
  for (let half = 0; half < sums.length; half += 2) {
    for (const d of dots) f.i32x4(0).set(d);
    for (const r of rows) f.get(b).set(r).incBy(b, step);
    f.get(p.x).set(x);
    const four = (load: (at: Local) => void): void => {
      load(x);
      f.set(v);
      dots.forEach((d, i) => multiply(p, d, v, () => load(rows[i] as Local)));
    };
    arg("steps").tee(left).if();
    f.repeat(left, () => {
      four((at) => void f.get(at).vload());
      for (const l of [x, ...rows]) f.inc(l, 16);
    });
    f.end();
    arg("rest").if();
    four((at) => void f.get(at).vload().get(mask).op("v128.and"));
    f.end();
    for (const q of [0, 1]) {
      const sum = sums[half + q] as Local;
      addLanes(f, dots.slice(4 * q, 4 * q + 4) as [Local, Local, Local, Local]);
      f.get(sum).op("f32x4.add").set(sum);
    }
  }
}

/** Pushes the sums of the lanes of four vectors. */
function addLanes(f: FunctionBuilder, [a, b, c, d]: readonly [Local, Local, Local, Local]): void {
  const join = (x: Local, y: Local, ...places: number[]): FunctionBuilder =>
    f
      .get(x)
      .get(y)
      .shuffle(places.flatMap((w) => [4 * w, 4 * w + 1, 4 * w + 2, 4 * w + 3]));
  const halves = (x: Local, y: Local): void => {
    join(x, y, 0, 4, 1, 5);
    join(x, y, 2, 6, 3, 7).op("f32x4.add").set(x);
  };
  halves(a, b);
  halves(c, d);
  join(a, c, 0, 1, 4, 5);
  join(a, c, 2, 3, 6, 7).op("f32x4.add");
}
