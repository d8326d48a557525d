// The code of gemv_sparse.ts: the list, the sums and the epilogue, each a function of its own.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Engine } from "../engine.js";
import type { Layout } from "./arguments.js";
import type { Epilogue } from "./epilogue.js";
import { EpilogueCode } from "./epilogue_code.js";

export const sparseWords = [
  "x",
  "weights",
  "out",
  "outPitch",
  "scratch",
  "table",
  "vectors", // of x, whole ones
  "last", // mask of the lanes that the one behind them has
  "places", // where in the scratch the second list is; the sums
  "sums",
  "pitch", // bytes of a group's weights a step of k
  "groupBytes",
  "channels",
] as const;
/** Entries of the list that are summed together. */
const unroll = 8;
/** Channels that an epilogue takes together; most of a group: a page of memory, a quarter of them costs 40 %. */
export const [block, widest] = [32, 1024];

export interface SparseBody {
  readonly layout: Layout<string>;
  readonly epilogue: Epilogue;
  readonly engine: Engine;
  /** Channels beyond the last whole block. */
  readonly rest: number;
}

/** (args, first group, end): lists x, then the groups. */
export function emitGroups(m: ModuleBuilder, b: SparseBody): number {
  const list = m.once("list_nonzero", () => m.func(["i32"], ["i32"], (f) => emitList(f, b.layout)));
  const sum = m.once(`sum_listed_${b.engine.fma}`, () =>
    m.func(["i32", "i32", "i32", "i32", "i32"], [], (f) => emitSum(f, b.engine)),
  );
  const finish = (channels: number): number =>
    m.func(["i32", "i32", "i32"], [], (f) => emitFinish(f, b, channels));
  const functions = { sum, whole: finish(block), last: b.rest ? finish(b.rest) : undefined };
  const group = m.func(["i32", "i32", "i32"], [], (f) => emitGroup(f, b.layout, functions));
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const [args, begin, end] = [0, 1, 2];
    const entries = f.local();
    f.get(args).call(list).set(entries);
    f.block().get(begin).get(end).op("i32.ge_u").brIf(0).loop();
    f.get(args).get(begin).get(entries).call(group);
    f.inc(begin, 1).get(begin).get(end).op("i32.lt_u").brIf(0).end().end();
  });
}

/** (args, group, entries of the list / unroll) */
function emitGroup(
  f: FunctionBuilder,
  layout: Layout<string>,
  fn: { readonly sum: number; readonly whole: number; readonly last: number | undefined },
): void {
  const [args, group, entries] = [0, 1, 2];
  const [bytes, value, place, weights, at, start, left] = f.someLocals(7, "i32");
  const zero = f.local("v128");
  const pitch = layout.local(f, args, "pitch");
  const channels = layout.local(f, args, "channels");
  const inScratch = (word: string): FunctionBuilder => {
    layout.push(f, args, "scratch");
    return layout.push(f, args, word).op("i32.add");
  };
  layout.push(f, args, "weights").get(group);
  layout.push(f, args, "groupBytes").op("i32.mul", "i32.add").set(weights);
  f.get(group).get(pitch).i32(2).op("i32.shr_u", "i32.mul").set(start);
  // The last group may have fewer channels; bytes: of their sums, whole blocks.
  f.get(channels).get(start).op("i32.sub").ceilDiv(block);
  f.i32(4 * block)
    .op("i32.mul")
    .tee(bytes)
    .get(pitch)
    .get(bytes)
    .get(pitch)
    .op("i32.lt_u", "select")
    .set(bytes);
  inScratch("sums").set(at);
  f.get(bytes).i32(5).op("i32.shr_u").set(left);
  f.repeat(left, () => void f.get(at).get(zero).vstore().get(at).get(zero).vstore(16).inc(at, 32));
  layout.push(f, args, "scratch").set(value);
  inScratch("places").set(place);
  f.get(entries).if();
  f.repeat(entries, () => {
    f.get(value).get(place).get(weights);
    inScratch("sums").get(bytes).call(fn.sum);
    f.inc(value, 4 * unroll).inc(place, 4 * unroll);
  });
  f.end();
  inScratch("sums").set(at);
  f.get(bytes)
    .i32(2 + Math.log2(block))
    .op("i32.shr_u")
    .set(left);
  f.repeat(left, () => {
    const call = (finish: number): FunctionBuilder => f.get(args).get(at).get(start).call(finish);
    if (fn.last === undefined) call(fn.whole);
    else {
      f.get(start).i32(block).op("i32.add").get(channels).op("i32.le_u").if();
      call(fn.whole).else();
      call(fn.last).end();
    }
    f.inc(at, 4 * block).inc(start, block);
  });
}

/** (values, places, weights, sums, bytes of sums): adds `unroll` rows of weights times their values. */
function emitSum(f: FunctionBuilder, engine: Engine): void {
  const [values, places, weights, sums, left] = [0, 1, 2, 3, 4];
  const x = f.someLocals(unroll, "v128");
  const w = f.someLocals(unroll, "i32");
  const s = f.someLocals(2, "v128");
  x.forEach(
    (l, u) =>
      void f
        .get(values)
        .mem("v128.load32_splat", 4 * u)
        .set(l),
  );
  w.forEach(
    (l, u) =>
      void f
        .get(places)
        .load(4 * u)
        .get(weights)
        .op("i32.add")
        .set(l),
  );
  f.get(left).i32(5).op("i32.shr_u").set(left);
  f.repeat(left, () => {
    s.forEach(
      (l, v) =>
        void f
          .get(sums)
          .vload(16 * v)
          .set(l),
    );
    x.forEach((splat, u) =>
      s.forEach((l, v) => {
        if (!engine.fma) f.get(l);
        f.get(splat)
          .get(w[u] as Local)
          .vload(16 * v);
        if (engine.fma) f.get(l).op("f32x4.relaxed_madd").set(l);
        else f.op("f32x4.mul", "f32x4.add").set(l);
      }),
    );
    s.forEach(
      (l, v) =>
        void f
          .get(sums)
          .get(l)
          .vstore(16 * v),
    );
    f.inc(sums, 32);
    for (const l of w) f.inc(l, 32);
  });
}

/** (args, sums, first channel) */
function emitFinish(f: FunctionBuilder, b: SparseBody, channels: number): void {
  const [args, from, start] = [0, 1, 2];
  const sums = f.someLocals(Math.ceil(channels / 4), "v128");
  const arg = (name: string): FunctionBuilder => b.layout.push(f, args, name);
  const code = new EpilogueCode(f, b.epilogue, arg, b.engine, sums.length, start, start);
  const pixel = (): void => void f.i32(0);
  sums.forEach(
    (s, v) =>
      void f
        .get(from)
        .vload(16 * v)
        .set(s),
  );
  code.load();
  code.finish(sums, pixel);
  code.store(sums, channels, pixel);
}

/** (args) → fours of what is not zero, the last one filled up with zeros. */
function emitList(f: FunctionBuilder, layout: Layout<string>): void {
  const [values, places] = f.someLocals(2, "i32");
  const x = layout.local(f, 0, "x");
  const table = layout.local(f, 0, "table");
  const left = layout.local(f, 0, "vectors");
  const last = layout.local(f, 0, "last");
  const [v, offsets, zero, order, step] = f.someLocals(5, "v128");
  const mask = f.local();
  layout.push(f, 0, "scratch").tee(values);
  layout.push(f, 0, "places").op("i32.add").set(places);
  layout
    .push(f.i32x4(0, 1, 2, 3), 0, "pitch")
    .op("i32x4.splat", "i32x4.mul")
    .set(offsets);
  layout.push(f, 0, "pitch").i32(2).op("i32.shl", "i32x4.splat").set(step);
  const four = (limit?: Local): void => {
    f.get(x).vload().tee(v).get(zero).op("f32x4.ne", "i32x4.bitmask");
    if (limit !== undefined) f.get(limit).op("i32.and");
    f.tee(mask).i32(4).op("i32.shl").get(table).op("i32.add").vload().set(order);
    f.get(values).get(v).get(order).op("i8x16.swizzle").vstore();
    f.get(places).get(offsets).get(order).op("i8x16.swizzle").vstore();
    f.get(mask).op("i32.popcnt").i32(2).op("i32.shl").tee(mask).get(values).op("i32.add").set(values);
    f.get(mask).get(places).op("i32.add").set(places);
  };
  f.get(left).if();
  f.repeat(left, () => {
    four();
    f.get(offsets).get(step).op("i32x4.add").set(offsets).inc(x, 16);
  });
  f.end().get(last).if();
  four(last);
  f.end();
  for (const list of [values, places]) f.get(list).get(zero).vstore().get(list).get(zero).vstore(16);
  f.get(values);
  layout
    .push(f, 0, "scratch")
    .op("i32.sub")
    .i32(4 * unroll - 4)
    .op("i32.add")
    .i32(5)
    .op("i32.shr_u");
}
