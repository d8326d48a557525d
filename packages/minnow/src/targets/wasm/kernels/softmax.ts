// Softmax along the last axis, row by row, in place or not: the largest element; e^(x − largest) stored and summed;
// what is stored times 1 / sum. A row stays in the first-level cache, and every element takes one exp. Which lane and
// which sum an element belongs to depends on its place in the row alone.
import { expNegative } from "../../../compiler/expand.js";
import * as e from "../../../compiler/expr.js";
import type { Step } from "../../../compiler/program.js";
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Engine } from "../engine.js";
import { prepareVector, type ReadyExpr } from "../expr.js";
import type { PlannedKernel, TunedKernel } from "../kernel.js";
import { Layout } from "./arguments.js";

export const softmax: TunedKernel = { kernels: ["softmax"], plan };

const layout = new Layout(["x", "out", "columns", "beta"]);

function plan(step: Step, engine: Engine): PlannedKernel | null {
  const [x, out] = [step.reads?.[0], step.writes?.[0]] as [number, number];
  const shape = step.values[x]?.shape ?? [];
  const columns = shape.at(-1) as number;
  const { beta } = step.params as { beta: number };
  const name = `f32_softmax_${engine.fma ? "fma" : "muladd"}${engine.wide ? "_wide" : ""}${beta === 1 ? "" : "_scaled"}`;
  return {
    key: name,
    label: name,
    emit: (m) => emit(m, engine, beta !== 1),
    extent: shape.slice(0, -1).reduce((a, b) => a * b, 1),
    grain: Math.max(1, Math.ceil(16384 / columns)),
    unit: 1,
    args: layout.words({
      x: { kind: "view", value: x },
      out: { kind: "view", value: out },
      columns,
      beta: { kind: "f32", value: beta },
    }),
    packed: [],
    scratchBytes: 0,
  };
}

function emit(m: ModuleBuilder, engine: Engine, scaled: boolean): number {
  return m.func(["i32", "i32", "i32"], [], (f) => new Rows(f, engine, scaled).emit());
}

/** Vectors an iteration, each with a sum of its own. */
const unroll = 4;

class Rows {
  readonly #mask: Local;
  readonly #largest: Local;
  readonly #inverse: Local;
  readonly #beta: Local;
  readonly #lowest: Local;
  readonly #columns: Local;
  readonly #exp: ReadyExpr;
  /** Vectors that are loaded and stored together: V8 makes one operation of two. */
  readonly #together: number;

  constructor(
    private readonly f: FunctionBuilder,
    engine: Engine,
    scaled: boolean,
  ) {
    this.#together = engine.wide ? 2 : 1;
    [this.#mask, this.#largest, this.#inverse, this.#beta, this.#lowest] = f.someLocals(5, "v128");
    this.#columns = layout.local(f, 0, "columns");
    if (scaled) f.get(0).mem("v128.load32_splat", layout.offset("beta")).set(this.#beta);
    f.f32x4(Number.NEGATIVE_INFINITY).set(this.#lowest);
    // The lanes that the last vector of a row has.
    f.i32x4(0, 1, 2, 3).get(this.#columns).i32(3).op("i32.and", "i32x4.splat", "i32x4.lt_s").set(this.#mask);
    const below = e.sub(e.input(0, "f32"), e.input(1, "f32"));
    this.#exp = prepareVector(f, expNegative(scaled ? e.mul(below, e.input(2, "f32")) : below), engine);
  }

  emit(): void {
    const { f } = this;
    const [x, out, pitch, rows] = f.someLocals(4, "i32");
    f.get(this.#columns).i32(2).op("i32.shl").set(pitch);
    for (const [at, name] of [
      [x, "x"],
      [out, "out"],
    ] as const) {
      layout.push(f, 0, name).get(1).get(pitch).op("i32.mul", "i32.add").set(at);
    }
    f.get(2).get(1).op("i32.sub").tee(rows).if();
    f.repeat(rows, () => {
      this.#most(x);
      this.#powers(x, out);
      this.#scale(out);
      f.incBy(x, pitch).incBy(out, pitch);
    });
    f.end();
  }

  /** Runs over a row: `block` for whole vectors at `at`, `rest` for the last one, where it is not whole. */
  #row(
    starts: readonly Local[],
    block: (at: readonly Local[], vectors: number) => void,
    rest: (at: readonly Local[]) => void,
  ): void {
    const { f } = this;
    const at = f.someLocals(starts.length, "i32");
    const left = f.local();
    starts.forEach((s, i) => f.get(s).set(at[i] as Local));
    const run = (vectors: number): void => {
      f.tee(left).if();
      f.repeat(left, () => {
        block(at, vectors);
        for (const a of at) f.inc(a, 16 * vectors);
      }).end();
    };
    f.get(this.#columns)
      .i32(2 + Math.log2(unroll))
      .op("i32.shr_u");
    run(unroll);
    f.get(this.#columns)
      .i32(2)
      .op("i32.shr_u")
      .i32(unroll - 1)
      .op("i32.and");
    run(1);
    f.get(this.#columns).i32(3).op("i32.and").if();
    rest(at);
    f.end().free("i32", left, ...at);
  }

  /** Folds `all` into every lane of the first of them. */
  #across(all: readonly Local[], op: "f32x4.pmax" | "f32x4.add"): void {
    const { f } = this;
    const [first] = all as [Local];
    for (const other of all.slice(1)) f.get(first).get(other).op(op).set(first);
    for (const by of [8, 4])
      f.get(first)
        .get(first)
        .get(first)
        .shuffle(Array.from({ length: 16 }, (_, b) => (b + by) % 16))
        .op(op)
        .set(first);
    // V8 makes one operation of two with a splat, not with what a shuffle made equal.
    f.get(first).lane("f32x4.extract_lane", 0).op("f32x4.splat").set(first);
  }

  /** pmax(most, x) = most < x ? x : most: drops NaN, whose own power is NaN, and so is the sum. */
  #most(x: Local): void {
    const { f } = this;
    const most = [this.#largest, ...f.someLocals(unroll - 1, "v128")];
    for (const m of most) f.get(this.#lowest).set(m);
    this.#row(
      [x],
      ([at], vectors) => {
        for (let u = 0; u < vectors; u++)
          f.get(most[u] as Local)
            .get(at as Local)
            .vload(16 * u)
            .op("f32x4.pmax")
            .set(most[u] as Local);
      },
      ([at]) => {
        f.get(most[0] as Local)
          .get(at as Local)
          .vload()
          .get(this.#lowest)
          .get(this.#mask)
          .op("v128.bitselect", "f32x4.pmax")
          .set(most[0] as Local);
      },
    );
    this.#across(most, "f32x4.pmax");
    f.free("v128", ...most.slice(1));
  }

  /** Leaves 1 / sum in every lane of #inverse. */
  #powers(x: Local, out: Local): void {
    const { f } = this;
    const sums = [this.#inverse, ...f.someLocals(unroll - 1, "v128")];
    const v = f.someLocals(this.#together, "v128");
    for (const s of sums) f.f32x4(0).set(s);
    const power = (u: number): void =>
      this.#exp.emit((i) => [v[u] as Local, this.#largest, this.#beta][i] as Local);
    const add = (sum: number, u: number): FunctionBuilder =>
      f
        .get(sums[sum] as Local)
        .get(v[u] as Local)
        .op("f32x4.add")
        .set(sums[sum] as Local);
    this.#row(
      [x, out],
      ([from, to], vectors) => {
        const few = Math.min(vectors, v.length);
        for (let first = 0; first < vectors; first += few) {
          const each = v.slice(0, few);
          each.forEach((l, u) =>
            f
              .get(from as Local)
              .vload(16 * (first + u))
              .set(l),
          );
          each.forEach((l, u) => {
            power(u);
            f.set(l);
          });
          each.forEach((l, u) =>
            f
              .get(to as Local)
              .get(l)
              .vstore(16 * (first + u)),
          );
          each.forEach((_, u) => add(first + u, u));
        }
      },
      ([from, to]) => {
        const [last] = v as [Local];
        f.get(from as Local)
          .vload()
          .set(last);
        power(0);
        f.get(this.#mask).op("v128.and").set(last);
        this.#store(to as Local, last);
        add(0, 0);
      },
    );
    this.#across(sums, "f32x4.add");
    f.f32x4(1).get(this.#inverse).op("f32x4.div").set(this.#inverse);
    f.free("v128", ...v, ...sums.slice(1));
  }

  #scale(out: Local): void {
    const { f } = this;
    const v = f.someLocals(unroll, "v128");
    const scaled = (at: Local, u: number): FunctionBuilder =>
      f
        .get(at)
        .vload(16 * u)
        .get(this.#inverse)
        .op("f32x4.mul")
        .set(v[u] as Local);
    this.#row(
      [out],
      ([at], vectors) => {
        for (let u = 0; u < vectors; u++) scaled(at as Local, u);
        for (let u = 0; u < vectors; u++)
          f.get(at as Local)
            .get(v[u] as Local)
            .vstore(16 * u);
      },
      ([at]) => {
        scaled(at as Local, 0);
        this.#store(at as Local, v[0] as Local);
      },
    );
    f.free("v128", ...v);
  }

  /** The one to three lanes that a row's last vector has. */
  #store(at: Local, v: Local): void {
    const { f } = this;
    for (let lane = 0; lane < 3; lane++) {
      f.get(this.#columns).i32(3).op("i32.and").i32(lane).op("i32.gt_u").if();
      f.get(at)
        .get(v)
        .memLane("v128.store32_lane", lane, 4 * lane)
        .end();
    }
  }
}
