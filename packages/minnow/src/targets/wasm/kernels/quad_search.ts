// The code that seeks pairs (quad_order.ts). Sixteen weights of up to 16 channels become sixteen columns, a weight's
// bytes of all channels each, the hardest to pair first, so that whether two suit all channels is a compare or two.
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";

/** Rows and columns of a sixteen, and columns on their way: 256 bytes each. */
const [rowsAt, wayAt, columnsAt] = [0, 256, 512];
/** Pairs of columns, the weights that columns are (16 bytes each), and what weights are ranked by. */
const [pairsAt, rankedAt, keysAt] = [768, 784, 800];
/** Bytes from 0 on that the code needs to itself. */
export const searchBytes = 1024;

/**
 * Seeks pairs for channels of a tile, 16 at most, whose rows of `taps` × `k` weights lie `stride` bytes apart. Writes
 * 16 places a sixteen (see Orders). `whole`, 1: a tap's last sixteen has 16 places too.
 * @returns quads with a pair that does not suit all channels
 */
export type Search = (
  rows: number,
  channels: number,
  stride: number,
  k: number,
  taps: number,
  whole: number,
  places: number,
) => number;

export function emitSearch(m: ModuleBuilder): number {
  return m.func(["i32", "i32", "i32", "i32", "i32", "i32", "i32"], ["i32"], (f) => {
    const [rows, channels, stride, k, taps, whole, places] = [0, 1, 2, 3, 4, 5, 6];
    const [here, there, size, to, quads] = f.someLocals(5, "i32");
    for (let c = 0; c < 16; c++)
      f.i32(0)
        .i32x4(0)
        .vstore(rowsAt + 16 * c);
    f.repeat(taps, () => {
      f.get(k).set(here).loop();
      f.get(here).i32(16).get(here).i32(16).op("i32.lt_u", "select").set(there);
      f.i32(16).get(there).i32(3).op("i32.add").i32(-4).op("i32.and").get(whole).op("select").set(size);
      const [lo, hi] = gather(f, rows, channels, stride, there);
      rank(f, lo, hi);
      transpose(f);
      pairUp(f, size, to);
      exchange(f, size, to);
      write(f, places);
      // A quad holds two of the pairs that are left, and one more where their number is odd.
      f.get(size)
        .i32(pairsAt + 2)
        .op("i32.add")
        .get(to)
        .op("i32.sub")
        .i32(2)
        .op("i32.shr_u");
      f.get(quads).op("i32.add").set(quads);
      f.inc(places, 16).incBy(rows, there);
      f.get(here).get(there).op("i32.sub").tee(here).brIf(0).end();
    });
    f.get(quads);
  });
}

/** Four words of bytes. */
function bytesOf(byte: (i: number) => number): [number, number, number, number] {
  const words = new Int32Array(Uint8Array.from({ length: 16 }, (_, i) => byte(i)).buffer);
  return [...words] as [number, number, number, number];
}
const count = bytesOf((i) => i);
const splat = (byte: number) => bytesOf(() => byte);

/** Rows of the channels that there are. @returns for each weight what is beyond 64, over all channels, as i16 */
function gather(
  f: FunctionBuilder,
  rows: Local,
  channels: Local,
  stride: Local,
  there: Local,
): [Local, Local] {
  const [from, to, n] = f.someLocals(3, "i32");
  const [mask, v, lo, hi] = f.someLocals(4, "v128");
  f.get(there)
    .op("i8x16.splat")
    .i32x4(...count)
    .op("i8x16.gt_s")
    .set(mask);
  f.i32x4(0).tee(lo).set(hi);
  f.get(rows).set(from).i32(rowsAt).set(to).get(channels).set(n);
  f.repeat(n, () => {
    f.get(to).get(from).vload().get(mask).op("v128.and").tee(v).vstore();
    f.get(v)
      .op("i8x16.abs")
      .i32x4(...splat(64))
      .op("i8x16.sub_sat_u")
      .set(v);
    f.get(lo).get(v).op("i16x8.extend_low_i8x16_u", "i16x8.add").set(lo);
    f.get(hi).get(v).op("i16x8.extend_high_i8x16_u", "i16x8.add").set(hi);
    f.inc(to, 16).incBy(from, stride);
  });
  return [lo, hi];
}

/** Weights in the order of what is beyond, most first, else as they lie: a weight's rank is how many are before it. */
function rank(f: FunctionBuilder, lo: Local, hi: Local): void {
  const halves = [lo, hi].map((v, h) => {
    const words = [0, 2, 4, 6].map((i) => (15 - 8 * h - i) | ((14 - 8 * h - i) << 16));
    f.get(v)
      .i32(4)
      .op("i16x8.shl")
      .i32x4(...(words as [number, number, number, number]))
      .op("v128.or")
      .set(v);
    f.i32(0)
      .get(v)
      .vstore(keysAt + 16 * h);
    const ranks = f.local("v128");
    f.i32x4(0).set(ranks);
    return { v, ranks };
  });
  const key = f.local("v128");
  for (let i = 0; i < 16; i++) {
    f.i32(0)
      .mem("v128.load16_splat", keysAt + 2 * i)
      .set(key);
    for (const { v, ranks } of halves) f.get(ranks).get(key).get(v).op("i16x8.gt_s", "i16x8.sub").set(ranks);
  }
  halves.forEach(({ ranks }, h) => {
    for (let i = 0; i < 8; i++)
      f.get(ranks)
        .lane("i16x8.extract_lane_u", i)
        .i32(8 * h + i)
        .mem("i32.store8", rankedAt);
  });
}

/** Rows to columns, in their order: four times each half of the rows comes between the other's bytes. */
function transpose(f: FunctionBuilder): void {
  const [ranked, a, b] = f.someLocals(3, "v128");
  const [from, to] = f.someLocals(2, "i32");
  f.i32(0).vload(rankedAt).set(ranked);
  const passes = [rowsAt, wayAt, columnsAt, wayAt, columnsAt];
  for (let pass = 0; pass < 4; pass++) {
    const [source, target] = passes.slice(pass) as [number, number];
    f.i32(source).set(from).i32(target).set(to).loop();
    [a, b].forEach((v, half) => {
      f.get(from).vload(128 * half);
      if (pass === 0) f.get(ranked).op("i8x16.swizzle");
      f.set(v);
    });
    for (const half of [0, 1]) {
      const between = Array.from({ length: 16 }, (_, j) => 8 * half + (j >> 1) + 16 * (j & 1));
      f.get(to)
        .get(a)
        .get(b)
        .shuffle(between)
        .vstore(16 * half);
    }
    f.inc(from, 16).inc(to, 32);
    f.get(to)
      .i32(target + 256)
      .op("i32.lt_u")
      .brIf(0)
      .end();
  }
}

/** What may be added to a column: from `lo` to `hi`; where its sign changes from `above`, as −128 has no opposite. */
interface Bounds {
  readonly lo: Local;
  readonly hi: Local;
  readonly above: Local;
}

const column = (f: FunctionBuilder, number: Local): FunctionBuilder =>
  f.get(number).i32(4).op("i32.shl").vload(columnsAt);

const newBounds = (f: FunctionBuilder): Bounds => {
  const [lo, hi, above] = f.someLocals(3, "v128");
  return { lo, hi, above };
};

/** Sums are from −128 to 128; below, −128 − x, and 128 − x as bytes that wrap. */
function bound(f: FunctionBuilder, number: Local, { lo, hi, above }: Bounds): void {
  const least = splat(0x80);
  column(f, number).set(hi);
  f.i32x4(...least)
    .get(hi)
    .i32x4(0)
    .op("i8x16.min_s", "i8x16.sub")
    .tee(lo);
  f.i32x4(...splat(0x81))
    .op("i8x16.max_s")
    .set(above);
  f.i32x4(...least)
    .get(hi)
    .i32x4(...splat(1))
    .op("i8x16.max_s", "i8x16.sub")
    .set(hi);
}

/** Pushes 0, or 128 where b's sign has to change, and branches where b does not suit either way. */
function suits(f: FunctionBuilder, { lo, hi, above }: Bounds, b: Local, otherwise: number): void {
  const v = f.local("v128");
  const outside = (least: Local) =>
    f.get(v).get(hi).op("i8x16.gt_s").get(least).get(v).op("i8x16.gt_s", "v128.or", "v128.any_true");
  column(f, b).set(v);
  outside(lo).if("i32");
  f.get(v).op("i8x16.neg").set(v);
  outside(above)
    .brIf(otherwise + 1)
    .i32(128)
    .else()
    .i32(0)
    .end();
  f.free("v128", v);
}

/** Each column that is free, and the first after it that suits: pairs from `pairsAt` up to `to`, behind them what is left. */
function pairUp(f: FunctionBuilder, size: Local, to: Local): void {
  const [free, last, i, j, untried, sign] = f.someLocals(6, "i32");
  const bounds = newBounds(f);
  f.i32(0)
    .i32x4(...count)
    .vstore(pairsAt);
  f.i32(1).get(size).op("i32.shl").i32(1).op("i32.sub").set(free);
  f.i32(pairsAt).tee(to).get(size).op("i32.add").set(last);
  f.loop();
  f.get(free).op("i32.ctz").set(i);
  f.get(free).get(free).i32(1).op("i32.sub", "i32.and").tee(free).set(untried);
  bound(f, i, bounds);
  f.block().block().loop();
  f.get(untried).op("i32.eqz").brIf(1);
  f.get(untried).op("i32.ctz").set(j);
  f.block();
  suits(f, bounds, j, 0);
  f.set(sign);
  store(f, to, i, j, sign);
  f.inc(to, 2).get(free).i32(1).get(j).op("i32.shl", "i32.xor").set(free);
  f.br(3).end();
  f.get(untried).get(untried).i32(1).op("i32.sub", "i32.and").set(untried);
  f.br(0).end().end();
  f.inc(last, -1).get(last).get(i).mem("i32.store8");
  f.end().get(free).brIf(0).end();
}

/** A pair; the sign of the second may change. */
function store(f: FunctionBuilder, at: Local, first: Local, second: Local, sign: Local): void {
  f.get(at).get(first).mem("i32.store8").get(at).get(second).get(sign).op("i32.or").mem("i32.store8", 1);
}

/** Two that are left and a pair may be two pairs. */
function exchange(f: FunctionBuilder, size: Local, to: Local): void {
  const [end, at, a, b, c, d, sign, other] = f.someLocals(8, "i32");
  const [ofA, ofB] = [newBounds(f), newBounds(f)];
  f.get(size).i32(pairsAt).op("i32.add").set(end);
  f.block().loop();
  f.get(to).get(end).op("i32.ge_u").brIf(1);
  f.get(to).mem("i32.load8_u").set(a).get(to).mem("i32.load8_u", 1).set(b);
  bound(f, a, ofA);
  bound(f, b, ofB);
  f.i32(pairsAt).set(at);
  f.block().block().loop();
  f.get(at).get(to).op("i32.ge_u").brIf(1);
  f.get(at).mem("i32.load8_u").i32(15).op("i32.and").set(c);
  f.get(at).i32(1).op("i32.xor").mem("i32.load8_u").i32(15).op("i32.and").set(d);
  f.block();
  suits(f, ofA, c, 0);
  f.set(sign);
  suits(f, ofB, d, 0);
  f.set(other);
  store(f, to, b, d, other);
  f.get(at).i32(-2).op("i32.and").set(at);
  store(f, at, a, c, sign);
  f.inc(to, 2).br(3).end();
  f.inc(at, 1).br(0).end().end();
  // The next two that are left.
  f.inc(end, -2).get(to).mem("i32.load16_u").set(a);
  f.get(to).get(end).mem("i32.load16_u").mem("i32.store16").get(end).get(a).mem("i32.store16");
  f.end().br(0).end().end();
}

/** Columns as the weights that they are. */
function write(f: FunctionBuilder, places: Local): void {
  const v = f.local("v128");
  f.i32(0).vload(pairsAt).set(v);
  f.get(places).i32(0).vload(rankedAt);
  f.get(v)
    .i32x4(...splat(15))
    .op("v128.and", "i8x16.swizzle");
  f.get(v)
    .i32x4(...splat(128))
    .op("v128.and", "v128.or")
    .vstore();
}
