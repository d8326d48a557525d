// Moves of data where the input's unit stride and the output's belong to different loops: a plain row
// loop would touch one cache line per element. Works through tiles of 16 (along the output's unit
// stride, one cache line of floats) by 4, which 4-byte types turn in registers by shuffles.
import type { FunctionBuilder, Local, ModuleBuilder } from "./assembler.js";
import { elementBytes } from "../../graph/dtype.js";
import type { ArgWord, PlannedKernel } from "./kernel.js";
import type { Normal } from "./nest_normal.js";
import type { Op } from "./opcodes.js";

/** Argument words; then extent, input stride, output stride (bytes) for every other loop. */
const word = { from: 0, to: 1, a: 2, b: 3, fromA: 4, toB: 5, blocks: 6, outer: 7 } as const;
const tile = 16;

/** A transposition of tiles worth blocking, or null. */
export function planTranspose(n: Normal): PlannedKernel | null {
  const { result, loops, out } = n;
  if (n.body || result.k !== "in" || loops.length < 2) return null;
  const p = n.operands[result.i];
  if (!p || p.dtype !== out.dtype || [p, out].some((x) => x.guards.length > 0 || x.lookups.length > 0))
    return null;
  const bytes = elementBytes(p.dtype);
  const a = out.at.coef.indexOf(bytes);
  const b = p.at.coef.indexOf(bytes);
  if (
    a < 0 ||
    b < 0 ||
    a === b ||
    p.at.coef[a] === bytes ||
    (loops[a] as number) < 4 ||
    (loops[b] as number) < 4
  )
    return null;
  const others = loops.map((_, l) => l).filter((l) => l !== a && l !== b);
  const [extentA, extentB] = [loops[a] as number, loops[b] as number];
  const blocks = Math.ceil(extentA / tile);
  const numbers = [
    extentA,
    extentB,
    p.at.coef[a],
    out.at.coef[b],
    blocks,
    ...others.flatMap((l) => [loops[l], p.at.coef[l], out.at.coef[l]]),
  ];
  const args: ArgWord[] = [
    { kind: "view", value: p.value, element: p.at.base / bytes },
    { kind: "view", value: out.value, element: out.at.base / bytes },
    ...numbers.map((value): ArgWord => ({ kind: "i32", value: value as number })),
  ];
  const extent = blocks * others.reduce((x, l) => x * (loops[l] as number), 1);
  return {
    key: `transpose ${bytes} ${others.length}`,
    label: "transpose",
    emit: (m) => emitTranspose(m, bytes, others.length),
    extent: loops.includes(0) ? 0 : extent,
    grain: Math.max(1, Math.round(30_000 / (Math.min(tile, extentA) * extentB))),
    args,
    packed: [],
    scratchBytes: 0,
  };
}

function emitTranspose(m: ModuleBuilder, bytes: number, others: number): number {
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const [args, begin, end] = [0, 1, 2];
    const names = ["from", "to", "a", "b", "fromA", "toB", "blocks"] as const;
    const v = Object.fromEntries(names.map((name) => [name, f.local()])) as Record<
      (typeof names)[number],
      Local
    >;
    for (const name of names)
      f.get(args)
        .load(4 * word[name])
        .set(v[name]);
    const [rest, block, from, to, rows] = f.someLocals(5, "i32");
    f.get(begin).get(end).op("i32.ge_s").if().return().end();
    f.loop();
    f.get(begin).get(v.blocks).op("i32.rem_u").set(block).get(begin).get(v.blocks).op("i32.div_u").set(rest);
    f.get(v.from).get(block).i32(tile).op("i32.mul").get(v.fromA).op("i32.mul", "i32.add").set(from);
    f.get(v.to)
      .get(block)
      .i32(tile * bytes)
      .op("i32.mul", "i32.add")
      .set(to);
    const index = f.local();
    for (let l = others - 1; l >= 0; l--) {
      const at = 4 * (word.outer + 3 * l);
      f.get(rest)
        .get(args)
        .load(at)
        .op("i32.rem_u")
        .set(index)
        .get(rest)
        .get(args)
        .load(at)
        .op("i32.div_u")
        .set(rest);
      for (const [pointer, offset] of [
        [from, 4],
        [to, 8],
      ] as const)
        f.get(pointer)
          .get(index)
          .get(args)
          .load(at + offset)
          .op("i32.mul", "i32.add")
          .set(pointer);
    }
    f.get(v.a).get(block).i32(tile).op("i32.mul", "i32.sub").set(rows);
    f.i32(tile).get(rows).get(rows).i32(tile).op("i32.gt_s", "select").set(rows);
    new TileRow(f, bytes, v.fromA, v.toB).emit(from, to, rows, v.b);
    f.get(begin).i32(1).op("i32.add").tee(begin).get(end).op("i32.lt_s").brIf(0).end();
  });
}

/** Up to 16 input rows, all along the input's unit stride. */
class TileRow {
  constructor(
    private readonly f: FunctionBuilder,
    private readonly bytes: number,
    private readonly fromA: Local,
    private readonly toB: Local,
  ) {}

  emit(from: Local, to: Local, rows: Local, columns: Local): void {
    const { f, bytes } = this;
    const n = f.local();
    const step = bytes === 4 ? 4 : 1;
    const run = (count: () => void, body: () => void, advance: number): void => {
      count();
      f.tee(n).if();
      f.repeat(n, () => {
        body();
        f.inc(from, advance * bytes)
          .get(to)
          .get(this.toB);
        if (advance > 1) f.i32(Math.log2(advance)).op("i32.shl");
        f.op("i32.add").set(to);
      });
      f.end();
    };
    f.get(rows).i32(tile).op("i32.eq").if();
    if (step === 4)
      run(
        () => f.get(columns).i32(2).op("i32.shr_u"),
        () => this.#squares(from, to, tile / 4),
        4,
      );
    run(
      () => (step === 4 ? f.get(columns).i32(3).op("i32.and") : f.get(columns)),
      () => this.#column(from, to, tile),
      1,
    );
    f.else();
    run(
      () => f.get(columns),
      () => this.#partColumn(from, to, rows),
      1,
    );
    f.end();
  }

  /** 4·count rows by 4 columns of 4-byte elements. */
  #squares(from: Local, to: Local, count: number): void {
    const { f } = this;
    const outs = [to, ...f.someLocals(3, "i32")];
    for (let j = 1; j < 4; j++)
      f.get(outs[j - 1] as Local)
        .get(this.toB)
        .op("i32.add")
        .set(outs[j] as Local);
    const row = f.local();
    f.get(from).set(row);
    const v = f.someLocals(4, "v128");
    const t = f.someLocals(4, "v128");
    const words = (...w: number[]): number[] => w.flatMap((x) => [0, 1, 2, 3].map((b) => 4 * x + b));
    const [low, high] = [words(0, 4, 1, 5), words(2, 6, 3, 7)];
    const [lowHalf, highHalf] = [words(0, 1, 4, 5), words(2, 3, 6, 7)];
    for (let g = 0; g < count; g++) {
      v.forEach((x, k) => {
        f.get(row).vload().set(x);
        if (g < count - 1 || k < 3) f.incBy(row, this.fromA);
      });
      f.get(v[0]).get(v[1]).shuffle(low).set(t[0]).get(v[0]).get(v[1]).shuffle(high).set(t[1]);
      f.get(v[2]).get(v[3]).shuffle(low).set(t[2]).get(v[2]).get(v[3]).shuffle(high).set(t[3]);
      outs.forEach((out, j) => {
        const [x, y] = j < 2 ? [t[0], t[2]] : [t[1], t[3]];
        f.get(out)
          .get(x)
          .get(y)
          .shuffle(j % 2 === 0 ? lowHalf : highHalf)
          .vstore(16 * g);
      });
    }
    f.free("v128", ...v, ...t);
    f.free("i32", row, ...outs.slice(1));
  }

  #copy(row: Local, to: Local, offset: number): void {
    const [load, store]: [Op, Op] =
      this.bytes === 8
        ? ["i64.load", "i64.store"]
        : this.bytes === 4
          ? ["i32.load", "i32.store"]
          : this.bytes === 2
            ? ["i32.load16_u", "i32.store16"]
            : ["i32.load8_u", "i32.store8"];
    this.f.get(to).get(row).mem(load).mem(store, offset);
  }

  /** One input column of `count` rows → consecutive elements. */
  #column(from: Local, to: Local, count: number): void {
    const { f } = this;
    const row = f.local();
    f.get(from).set(row);
    for (let k = 0; k < count; k++) {
      this.#copy(row, to, k * this.bytes);
      if (k < count - 1) f.incBy(row, this.fromA);
    }
    f.free("i32", row);
  }

  #partColumn(from: Local, to: Local, rows: Local): void {
    const { f } = this;
    const [row, out, n] = f.someLocals(3, "i32");
    f.get(from).set(row).get(to).set(out).get(rows).set(n);
    f.repeat(n, () => {
      this.#copy(row, out, 0);
      f.incBy(row, this.fromA).inc(out, this.bytes);
    });
    f.free("i32", row, out, n);
  }
}
