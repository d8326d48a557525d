// Emits the function of a loop nest from its Structure. The shape of the code:
//
//   for rows (an odometer over the outer loops, [begin, end) of the parallel dimension):
//     lanes along the output:     for lane blocks:  for reduction loops: fold;  store
//     lanes along a reduction:    for reduction loops:  for lane blocks: fold;  horizontal fold; store
//
// A block is `unroll` vectors, then one vector, then single elements, all by the same vector code, so
// that an element's bits do not depend on where it falls.
import { accumulator, type Expr, input, num, operandsOf } from "../../compiler/expr.js";
import { scalarOf } from "../../compiler/nest.js";
import type { FunctionBuilder, Local, ModuleBuilder } from "./assembler.js";
import { hoistConstants } from "./elements.js";
import { prepareScalar, prepareVector, type ReadyExpr } from "./expr.js";
import { NestAccess } from "./nest_access.js";
import { args, begin, type Bounds, end } from "./nest_cursors.js";
import { combined, identity, isArg } from "./nest_normal.js";
import { firstParameter, type PlaceCode, type Structure } from "./nest_structure.js";
import type { Op } from "./opcodes.js";

export interface NestExprs {
  readonly body: Expr | undefined;
  readonly result: Expr;
  /** The result as an integer is known to fit the output's type. */
  readonly fits: boolean;
}

export function emitNest(m: ModuleBuilder, s: Structure, e: NestExprs): number {
  return m.func(["i32", "i32", "i32"], [], (f) => new NestEmitter(f, s, e).emit());
}
class NestEmitter extends NestAccess {
  readonly #parameters: Local[] = [];
  #step: ReadyExpr | undefined;
  #fold: ReadyExpr | undefined;
  private result!: ReadyExpr;
  #start: Local | undefined;
  readonly #bodyUses: readonly number[];
  readonly #resultUses: readonly number[];

  constructor(
    f: FunctionBuilder,
    s: Structure,
    private readonly e: NestExprs,
  ) {
    const body = e.body ? operandNumbers(e.body) : [];
    const result = operandNumbers(e.result);
    super(f, s, new Set([...body, ...result]), e.fits);
    this.#bodyUses = body;
    this.#resultUses = result;
  }

  emit(): void {
    const { f, s } = this;
    f.get(begin).get(end).op("i32.ge_s").if().return().end();
    if (s.total >= 0) {
      f.i32(0).set(begin);
      this.push(s.total).set(end);
    }
    this.#prologue();
    const indices = f.someLocals(s.outer.length, "i32");
    const piece = f.local();
    this.decode(indices, piece);
    f.block().loop();
    this.#row(s.panel === undefined ? piece : (indices[0] as Local));
    f.get(begin).i32(1).op("i32.add").tee(begin).get(end).op("i32.ge_s").brIf(1);
    this.advance(indices, piece);
    f.end().end();
  }
  #prologue(): void {
    const { f, s, e } = this;
    for (const c of this.cursors) {
      if (c.unit === undefined) this.keep(c.lane);
      for (const w of c.reduce) this.keep(w);
    }
    for (const w of s.reduce) this.keep(w);
    this.keep(s.lane.extent);
    for (const { word, float } of s.parameters) {
      const local = f.local(this.vector ? "v128" : float ? "f32" : "i32");
      f.get(args);
      if (this.vector) f.mem("v128.load32_splat", 4 * word);
      else f.mem(float ? "f32.load" : "i32.load", 4 * word);
      f.set(local);
      this.#parameters.push(local);
    }
    s.operands.forEach((p, i) => {
      if (!p || p.fill < 0) return;
      const t = scalarOf(p.dtype);
      const local = f.local(this.valueType(t));
      f.get(args);
      if (this.vector) f.mem("v128.load32_splat", 4 * p.fill);
      else f.mem(t === "f32" ? "f32.load" : "i32.load", 4 * p.fill);
      if (t === "i64") f.op("i64.extend_i32_s");
      f.set(local);
      this.fills.set(i, local);
    });
    if (this.vector)
      hoistConstants(
        f,
        s.operands.flatMap((p) => (p ? [p.dtype] : [])),
        s.out.dtype,
        e.fits,
      );
    const isNumber = (i: number): boolean | "small" =>
      i >= firstParameter && (s.parameters[i - firstParameter]?.small ? "small" : true);
    const prepare = (x: Expr): ReadyExpr =>
      this.vector ? prepareVector(f, x, { fma: s.fma }, isNumber) : prepareScalar(f, x);
    this.result = prepare(e.result);
    if (!e.body || !s.combine) return;
    const { t } = e.body;
    const direct = isArg(s.combine) || this.#extreme !== undefined;
    this.#step = prepare(direct ? e.body : combined(s.combine, accumulator(t), e.body));
    if (s.lane.reduce) this.#fold = prepare(combined(s.combine, input(0, t), input(1, t)));
    this.#start = f.local(this.valueType(t));
    prepare(num(s.start ?? identity(s.combine, t), t)).emit(() => 0);
    f.set(this.#start);
  }

  /** One row; `piece` is the number of its chunk or panel. */
  #row(piece: Local): void {
    const { f, s } = this;
    const saved = new Map(this.now);
    const bounds = this.clipBounds();
    this.settle((p) => !p.inReduce);
    const n = f.local();
    if (s.lane.reduce) this.#reducedRow(bounds, n);
    else {
      const length = s.panel ?? s.chunk?.length;
      // a panel's cursors start at its first lane, a chunk's at the row's
      const first = s.chunk ? f.local() : undefined;
      this.push(s.lane.extent);
      if (length !== undefined) {
        f.get(piece);
        this.push(length).op("i32.mul");
        if (first !== undefined) f.tee(first);
        f.op("i32.sub").set(n).get(n);
        this.push(length).get(n);
        this.push(length).op("i32.lt_u", "select");
      }
      f.set(n);
      this.enterLanes(first);
      this.#windows(n, (count) => this.#lanes(count, (vectors) => this.#outputBlock(vectors, bounds)));
    }
    for (const [c, local] of saved) this.now.set(c, local);
    this.ready.clear();
    this.masks.clear();
  }

  /** Runs the lanes [0, n), in three parts where an operand is padded along them. */
  #windows(n: Local, run: (count: Local) => void): void {
    const { f, s } = this;
    const padded = s.operands.findIndex((p) => p?.window);
    if (padded < 0) {
      run(n);
      return;
    }
    const [lo, hi, count] = f.someLocals(3, "i32");
    f.i32(0).set(lo).get(n).set(hi);
    for (const g of (s.operands[padded] as PlaceCode).guards) {
      if (g.at.lane >= 0) this.clip({ level: -1, at: g.at, coef: g.at.lane, extent: g.extent }, { lo, hi });
      else {
        f.get(hi).i32(0).get(this.at(g.at));
        this.push(g.extent).op("i32.lt_u", "select").set(hi);
      }
    }
    f.get(lo).get(n).get(lo).get(n).op("i32.lt_s", "select").set(lo);
    f.get(hi).get(lo).get(hi).get(lo).op("i32.gt_s", "select").set(hi);
    this.outside = padded;
    f.get(lo).set(count);
    run(count);
    this.outside = -1;
    f.get(hi).get(lo).op("i32.sub").set(count);
    run(count);
    this.outside = padded;
    f.get(n).get(hi).op("i32.sub").set(count);
    run(count);
    this.outside = -1;
  }

  /** Runs blocks over n lanes; `vectors` 0 = a single element. */
  #lanes(n: Local, block: (vectors: number) => void): void {
    const { f, s } = this;
    const counter = f.local();
    const run = (vectors: number, count: () => void): void => {
      count();
      f.tee(counter).if();
      f.repeat(counter, () => {
        block(vectors);
        this.advanceLanes(Math.max(1, vectors * 4));
      });
      f.end();
    };
    if (!this.vector) {
      run(0, () => f.get(n));
      return;
    }
    const shift = 2 + Math.log2(s.unroll);
    if (s.out.kind === "row" && !s.lane.reduce) {
      run(0, () => f.get(n));
      return;
    }
    run(s.unroll, () => f.get(n).i32(shift).op("i32.shr_u"));
    if (s.unroll > 1)
      run(1, () =>
        f
          .get(n)
          .i32(2)
          .op("i32.shr_u")
          .i32(s.unroll - 1)
          .op("i32.and"),
      );
    run(0, () => f.get(n).i32(3).op("i32.and"));
  }

  #outputBlock(vectors: number, bounds: Bounds): void {
    if (this.#step) {
      const accs = this.#folded(Math.max(1, vectors), vectors, bounds);
      this.#finish(vectors, 0, accs);
      return;
    }
    if (vectors < 2 || this.grouped) return this.#finish(vectors, 0, []);
    // Pairs are loaded and stored together where V8 makes one operation of two.
    const size = this.s.wide ? 2 : 1;
    for (let u = 0; u < vectors; u += size) this.#finish(size, u, []);
  }

  /** result(acc, operands) → memory. */
  #finish(vectors: number, at: number, accs: readonly Local[]): void {
    const { f, e } = this;
    const loaded = new Map(
      this.#resultUses.filter((i) => i >= 0).map((i) => [i, this.load(i, vectors, at)] as const),
    );
    const out = f.someLocals(Math.max(1, vectors), this.valueType(e.result.t));
    out.forEach((r, u) => {
      this.result.emit((i) => this.#operand(i, u, loaded, accs));
      f.set(r);
    });
    this.store(out, vectors, at);
  }

  #operand(
    i: number,
    u: number,
    loaded: ReadonlyMap<number, readonly Local[]>,
    accs: readonly Local[],
  ): Local {
    if (i < 0) return accs[u] as Local;
    if (i >= firstParameter) return this.#parameters[i - firstParameter] as Local;
    return (loaded.get(i) as readonly Local[])[u] as Local;
  }

  // ---- reductions --------------------------------------------------------------------------------

  /** Float max and min: one instruction (pmax drops NaN) with a record of where NaN came by. */
  get #extreme(): Op | undefined {
    const { s, e } = this;
    if (!this.vector || e.body?.t !== "f32") return undefined;
    return s.combine === "max" ? "f32x4.pmax" : s.combine === "min" ? "f32x4.pmin" : undefined;
  }

  /** acc = combine(acc, body) */
  #accumulate(acc: Local, nan: Local | undefined, operand: (i: number) => Local): void {
    const { f } = this;
    (this.#step as ReadyExpr).emit(operand);
    if (nan === undefined || this.#extreme === undefined) {
      f.set(acc);
      return;
    }
    const v = f.local("v128");
    f.set(v).get(acc).get(v).op(this.#extreme).set(acc);
    f.get(nan).get(v).get(v).op("f32x4.ne", "v128.or").set(nan);
    f.free("v128", v);
  }

  #nanMasks(count: number): Local[] {
    if (!this.#extreme) return [];
    const masks = this.f.someLocals(count, "v128");
    for (const m of masks) this.f.i32x4(0).set(m);
    return masks;
  }

  /** Lanes along the output: `count` accumulators through all reduction loops. */
  #folded(count: number, vectors: number, bounds: Bounds): Local[] {
    const { f, s } = this;
    const { t } = this.e.body as Expr;
    const accs = f.someLocals(count, this.valueType(t));
    for (const a of accs) f.get(this.#start as Local).set(a);
    const arg = isArg(s.combine);
    const places = arg ? f.someLocals(count, this.valueType("i32")) : [];
    for (const p of places) {
      if (this.vector) f.i32x4(0);
      else f.i32(0);
      f.set(p);
    }
    const nans = this.#nanMasks(count);
    const fixed = new Map<number, Local[]>();
    for (const i of this.#bodyUses)
      if (!(s.operands[i] as PlaceCode).inReduce) fixed.set(i, this.load(i, vectors));
    this.reduceLoops(0, bounds, (index) => {
      const saved = new Map(this.now);
      this.settle((p) => p.inReduce);
      const loaded = new Map(fixed);
      for (const i of this.#bodyUses) if (!loaded.has(i)) loaded.set(i, this.load(i, vectors));
      let here = index;
      if (arg && this.vector) {
        here = f.local("v128");
        f.get(index as Local)
          .op("i32x4.splat")
          .set(here);
      }
      accs.forEach((acc, u) => {
        const operand = (i: number): Local => this.#operand(i, u, loaded, accs);
        if (!arg) {
          this.#accumulate(acc, nans[u], operand);
          return;
        }
        (this.#step as ReadyExpr).emit(operand);
        this.#keepBest(acc, places[u] as Local, here as Local, t);
      });
      for (const [c, local] of saved) this.now.set(c, local);
    });
    nans.forEach((nan, u) =>
      f
        .get(accs[u] as Local)
        .get(nan)
        .op("v128.or")
        .set(accs[u] as Local),
    );
    return arg ? places : accs;
  }

  /** The new value is on the stack: takes it and its index (a vector of it) where it is better. */
  #keepBest(best: Local, place: Local, index: Local, t: Expr["t"]): void {
    const { f, s } = this;
    const value = f.local(this.valueType(t));
    const better = f.local(this.vector ? "v128" : "i32");
    const last = (s.combine as string).endsWith("last");
    const name = `${(s.combine as string).startsWith("argmax") ? "g" : "l"}${last ? "e" : "t"}`;
    f.set(value).get(value).get(best);
    if (this.vector) {
      f.op(`${t}x4.${name}${t === "f32" ? "" : "_s"}` as "f32x4.gt").set(better);
      // pmax(best, value) = best < value ? value : best: NaN is never better
      const most = (s.combine as string).startsWith("argmax") ? "max" : "min";
      f.get(best)
        .get(value)
        .op(t === "f32" ? `f32x4.p${most}` : `i32x4.${most}_s`)
        .set(best);
      f.get(index).get(place).get(better).op("v128.bitselect").set(place);
      return;
    }
    f.op(`${t}.${name}${t === "f32" ? "" : "_s"}` as "f32.gt").set(better);
    f.get(value).get(best).get(better).op("select").set(best);
    f.get(index).get(place).get(better).op("select").set(place);
  }

  /** Lanes along a reduction loop: one output element. */
  #reducedRow(bounds: Bounds, n: Local): void {
    const { f, s } = this;
    const { t } = this.e.body as Expr;
    const accs = f.someLocals(this.vector ? s.unroll : 1, this.valueType(t));
    const single = this.vector ? f.local("v128") : (accs[0] as Local);
    for (const a of [...accs, single]) f.get(this.#start as Local).set(a);
    const [nan] = this.#nanMasks(1);
    const bound = bounds.get(-1);
    this.reduceLoops(0, bounds, () => {
      const saved = new Map(this.now);
      this.settle((p) => p.inReduce);
      if (bound)
        f.get(bound.hi)
          .get(bound.lo)
          .op("i32.sub")
          .tee(n)
          .i32(0)
          .get(n)
          .i32(0)
          .op("i32.gt_s", "select")
          .set(n);
      else this.push(s.lane.extent).set(n);
      this.enterLanes(bound?.lo);
      this.#lanes(n, (vectors) => {
        const target = vectors === 0 ? [single] : accs;
        const grouped = this.grouped;
        const groups = vectors < 2 || grouped ? [0] : accs.map((_, u) => u);
        for (const g of groups) {
          const size = grouped ? vectors : Math.min(1, vectors);
          const loaded = new Map(this.#bodyUses.map((i) => [i, this.load(i, size, g)] as const));
          for (let u = 0; u < Math.max(1, size); u++) {
            const acc = target[g + u] as Local;
            this.#accumulate(acc, nan, (i) => (i < 0 ? acc : this.#operand(i, u, loaded, [])));
          }
        }
      });
      for (const [c, local] of saved) this.now.set(c, local);
    });
    const [first] = accs as [Local];
    if (nan !== undefined) f.get(first).get(nan).op("v128.or").set(first);
    if (this.vector) this.#horizontal(accs, single);
    this.#finish(0, 0, [single]);
  }

  /** Folds all lanes of accs, and lane 0 of `single`, into lane 0 of `single`. */
  #horizontal(accs: readonly Local[], single: Local): void {
    const { f } = this;
    const pair = (a: Local, b: Local, into: Local): void => {
      (this.#fold as ReadyExpr).emit((i) => (i === 0 ? a : b));
      f.set(into);
    };
    for (let gap = 1; gap < accs.length; gap *= 2)
      for (let i = 0; i + gap < accs.length; i += 2 * gap)
        pair(accs[i] as Local, accs[i + gap] as Local, accs[i] as Local);
    const all = accs[0] as Local;
    const turned = f.local("v128");
    for (const by of [8, 4]) {
      f.get(all)
        .get(all)
        .shuffle(Array.from({ length: 16 }, (_, b) => (b + by) % 16))
        .set(turned);
      pair(all, turned, all);
    }
    pair(all, single, single);
  }
}

/** Operands proper: neither the accumulator nor constants that arrive as words. */
const operandNumbers = (e: Expr): number[] => operandsOf(e).filter((i) => i >= 0 && i < firstParameter);
