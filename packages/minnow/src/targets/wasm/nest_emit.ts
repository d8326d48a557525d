// Emits the function of a loop nest from its Structure. The shape of the code:
//
//   for rows (an odometer over the outer loops, [begin, end) of the parallel dimension):
//     lanes along the output:     for lane blocks:  for reduction loops: fold;  store
//     lanes along a reduction:    for reduction loops:  for lane blocks: fold;  horizontal fold; store
//
// A block is `unroll` vectors, then one vector, then single elements, all by the same vector code, so
// that an element's bits do not depend on where it falls. Cursors (addresses, guard coordinates) live in
// locals that are advanced, never recomputed.
import { accumulator, type Expr, input, num } from "../../compiler/expr.js";
import { scalarOf } from "../../compiler/nest.js";
import { type FunctionBuilder, type Local, type ModuleBuilder, type WasmType } from "./assembler.js";
import { hoistConstants, loadScalar, loadSplat, loadVectors, storeLane, storeScalar, storeVectors } from "./elements.js";
import { prepareScalar, prepareVector, type ReadyExpr } from "./expr.js";
import { loadStrided } from "./nest_lanes.js";
import { combined, identity, isArg } from "./nest_normal.js";
import { type Clip, type Cursor, firstParameter, type PlaceCode, type Structure, type Word } from "./nest_structure.js";
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

const args: Local = 0;
const begin: Local = 1;
const end: Local = 2;

class NestEmitter {
  /** Where each cursor stands at the point of emission. */
  private readonly now = new Map<Cursor, Local>();
  private readonly words = new Map<Word, Local>();
  /** Operands that are one value for all lanes, loaded. */
  private readonly ready = new Map<number, Local>();
  /** Operands whose guard has been tested: all ones where inside. */
  private readonly masks = new Map<number, Local>();
  private readonly fills = new Map<number, Local>();
  /** The windowed operand, while code for the lanes outside its window is emitted. */
  private outside = -1;
  private readonly parameters: Local[] = [];
  private readonly vector: boolean;
  private readonly cursors: Cursor[];
  private step: ReadyExpr | undefined;
  private fold: ReadyExpr | undefined;
  private result!: ReadyExpr;
  private start: Local | undefined;
  private readonly bodyUses: number[];
  private readonly resultUses: number[];

  constructor(
    private readonly f: FunctionBuilder,
    private readonly s: Structure,
    private readonly e: NestExprs,
  ) {
    this.vector = s.mode === "vector";
    const places = [...s.operands.filter((p) => p !== null), s.out];
    this.cursors = [...places.flatMap((p) => [p.at, ...p.guards.map((g) => g.at)]), ...s.clips.map((c) => c.at)];
    this.bodyUses = e.body ? operandNumbers(e.body) : [];
    this.resultUses = operandNumbers(e.result);
  }

  emit(): void {
    const { f, s } = this;
    f.get(begin).get(end).op("i32.ge_s").if().return().end();
    if (s.total >= 0) {
      f.i32(0).set(begin);
      this.push(s.total).set(end);
    }
    this.prologue();
    const indices = f.someLocals(s.outer.length, "i32");
    const piece = f.local();
    this.decode(indices, piece);
    f.block().loop();
    this.row(piece);
    f.get(begin).i32(1).op("i32.add").tee(begin).get(end).op("i32.ge_s").brIf(1);
    this.advance(indices, piece);
    f.end().end();
  }

  // ---- words -------------------------------------------------------------------------------------

  /** Pushes an argument word. */
  private push(w: Word): FunctionBuilder {
    const known = this.words.get(w);
    return known === undefined ? this.f.get(args).load(4 * w) : this.f.get(known);
  }
  private keep(w: Word): void {
    if (w < 0 || this.words.has(w)) return;
    const local = this.f.local();
    this.push(w).set(local);
    this.words.set(w, local);
  }

  private get valueType(): (t: Expr["t"]) => WasmType {
    return (t) => (this.vector ? "v128" : t);
  }

  private prologue(): void {
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
      this.parameters.push(local);
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
    if (this.vector) hoistConstants(f, s.operands.flatMap((p) => (p ? [p.dtype] : [])), s.out.dtype, e.fits);
    const isNumber = (i: number): boolean | "small" =>
      i >= firstParameter && (s.parameters[i - firstParameter]?.small ? "small" : true);
    const prepare = (x: Expr): ReadyExpr =>
      this.vector ? prepareVector(f, x, { fma: s.fma }, isNumber) : prepareScalar(f, x);
    this.result = prepare(e.result);
    if (!e.body || !s.combine) return;
    const { t } = e.body;
    const direct = isArg(s.combine) || this.extreme !== undefined;
    this.step = prepare(direct ? e.body : combined(s.combine, accumulator(t), e.body));
    if (s.lane.reduce) this.fold = prepare(combined(s.combine, input(0, t), input(1, t)));
    this.start = f.local(this.valueType(t));
    prepare(num(s.start ?? identity(s.combine, t), t)).emit(() => 0);
    f.set(this.start);
  }

  // ---- rows --------------------------------------------------------------------------------------

  /** Loop numbers and cursors of row `begin`. */
  private decode(indices: readonly Local[], piece: Local): void {
    const { f, s } = this;
    const rest = f.local();
    f.get(begin).set(rest);
    const split = (count: Word, into: Local): void => {
      f.get(rest);
      this.push(count).op("i32.rem_u").set(into).get(rest);
      this.push(count).op("i32.div_u").set(rest);
    };
    if (s.chunk) split(s.chunk.count, piece);
    for (let l = s.outer.length - 1; l >= 0; l--) {
      if (l > 0) split(s.outer[l] as Word, indices[l] as Local);
      else f.get(rest).set(indices[0] as Local);
    }
    for (const c of this.cursors) {
      const local = f.local();
      this.push(c.base);
      c.outer.forEach((w, l) => {
        if (w < 0) return;
        f.get(indices[l] as Local);
        this.push(w).op("i32.mul", "i32.add");
      });
      f.set(local);
      this.now.set(c, local);
    }
  }

  /** To the next piece or row; inside block, loop. */
  private advance(indices: readonly Local[], piece: Local): void {
    const { f, s } = this;
    const move = (l: number): void => {
      for (const c of this.cursors) {
        const w = c.advance[l] as Word;
        if (w < 0) continue;
        f.get(this.at(c));
        this.push(w).op("i32.add").set(this.at(c));
      }
    };
    if (s.chunk) {
      f.get(piece).i32(1).op("i32.add").tee(piece);
      this.push(s.chunk.count).op("i32.lt_u").brIf(0);
      f.i32(0).set(piece);
    }
    for (let l = s.outer.length - 1; l >= 0; l--) {
      const index = indices[l] as Local;
      f.get(index).i32(1).op("i32.add");
      if (l === 0) {
        f.set(index);
        move(0);
        f.br(0);
        return;
      }
      f.tee(index);
      this.push(s.outer[l] as Word).op("i32.lt_u").if();
      move(l);
      f.br(1).end();
      f.i32(0).set(index);
    }
  }

  private at(c: Cursor): Local {
    return this.now.get(c) as Local;
  }

  private row(piece: Local): void {
    const { f, s } = this;
    const saved = new Map(this.now);
    const bounds = this.clipBounds();
    this.settle((p) => !p.inReduce);
    const n = f.local();
    if (s.lane.reduce) this.reducedRow(bounds, n);
    else {
      const first = s.chunk ? f.local() : undefined;
      this.push(s.lane.extent);
      if (s.chunk && first !== undefined) {
        f.get(piece);
        this.push(s.chunk.length).op("i32.mul").tee(first).op("i32.sub").set(n);
        f.get(n);
        this.push(s.chunk.length);
        f.get(n);
        this.push(s.chunk.length).op("i32.lt_u", "select");
      }
      f.set(n);
      this.enterLanes(first);
      this.windows(n, (count) => this.lanes(count, (vectors) => this.outputBlock(vectors, bounds)));
    }
    for (const [c, local] of saved) this.now.set(c, local);
    this.ready.clear();
    this.masks.clear();
  }

  /** Lane cursors from lane `first` on, in locals of their own. */
  private enterLanes(first: Local | undefined): void {
    const { f } = this;
    for (const c of this.cursors) {
      if (c.lane < 0) continue;
      const local = f.local();
      f.get(this.at(c));
      if (first !== undefined) {
        f.get(first);
        if (c.unit !== undefined) f.i32(c.unit);
        else this.push(c.lane);
        f.op("i32.mul", "i32.add");
      }
      f.set(local);
      this.now.set(c, local);
    }
  }

  /** Runs the lanes [0, n), in three parts where an operand is padded along them. */
  private windows(n: Local, run: (count: Local) => void): void {
    const { f, s } = this;
    const padded = s.operands.findIndex((p) => p?.window);
    if (padded < 0) {
      run(n);
      return;
    }
    const [lo, hi, count] = f.someLocals(3, "i32") as [Local, Local, Local];
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
  private lanes(n: Local, block: (vectors: number) => void): void {
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
    if (s.unroll > 1) run(1, () => f.get(n).i32(2).op("i32.shr_u").i32(s.unroll - 1).op("i32.and"));
    run(0, () => f.get(n).i32(3).op("i32.and"));
  }

  private advanceLanes(elements: number): void {
    const { f } = this;
    for (const c of this.cursors) {
      if (c.lane < 0) continue;
      const local = this.at(c);
      if (c.unit !== undefined) {
        f.inc(local, c.unit * elements);
        continue;
      }
      f.get(local);
      this.push(c.lane);
      if (elements > 1) f.i32(Math.log2(elements)).op("i32.shl");
      f.op("i32.add").set(local);
    }
  }

  // ---- positions ---------------------------------------------------------------------------------

  /** Loads what is one value for all lanes, and tests the guards and lookups of the rest. */
  private settle(filter: (p: PlaceCode) => boolean): void {
    const { f } = this;
    this.s.operands.forEach((p, i) => {
      if (!p || p.kind === "indexed" || p.window || !filter(p) || !(this.bodyUses.includes(i) || this.resultUses.includes(i))) return;
      const plain = p.guards.length === 0 && p.lookups.length === 0;
      if (p.kind !== "row" && plain) return;
      const { address, ok } = this.locate(p);
      if (p.kind === "row") {
        const local = f.local(this.valueType(scalarOf(p.dtype)));
        if (this.vector) loadSplat(f, p.dtype, address);
        else loadScalar(f.get(address), p.dtype);
        f.set(local);
        if (ok !== undefined) this.replaceOutside(local, i, ok);
        this.ready.set(i, local);
        return;
      }
      this.now.set(p.at, address);
      if (ok === undefined) return;
      const mask = f.local(this.vector ? "v128" : "i32");
      f.get(ok);
      if (this.vector) f.i32(-1).op("i32.mul", "i32x4.splat");
      f.set(mask);
      this.masks.set(i, mask);
    });
  }

  /** value = ok ? value : fill */
  private replaceOutside(value: Local, operand: number, ok: Local): void {
    const { f } = this;
    f.get(value).get(this.fills.get(operand) as Local).get(ok);
    if (this.vector) f.i32(-1).op("i32.mul", "i32x4.splat", "v128.bitselect");
    else f.op("select");
    f.set(value);
  }

  /** The address of a place `lane` lanes on, and whether its guards hold (else the address is safe). */
  private locate(p: PlaceCode, lane = 0): { address: Local; ok: Local | undefined } {
    const { f } = this;
    const address = f.local();
    this.pushAt(p.at, lane);
    for (const l of p.lookups) {
      this.position(l, lane);
      this.push(l.stride).op("i32.mul", "i32.add");
    }
    f.set(address);
    if (p.guards.length === 0) return { address, ok: undefined };
    const ok = f.local();
    p.guards.forEach((g, n) => {
      this.pushAt(g.at, lane);
      this.push(g.extent).op("i32.lt_u");
      if (n > 0) f.op("i32.and");
    });
    f.set(ok);
    f.get(address);
    this.push(p.safe);
    f.get(ok).op("select").set(address);
    return { address, ok };
  }

  private pushAt(c: Cursor, lane: number): void {
    const { f } = this;
    f.get(this.at(c));
    if (lane === 0 || c.lane < 0) return;
    if (c.unit !== undefined) f.i32(lane * c.unit);
    else {
      this.push(c.lane);
      if (lane > 1) f.i32(lane).op("i32.mul");
    }
    f.op("i32.add");
  }

  /** Pushes a checked position from a table; out of range: 0, and the run fails. */
  private position(l: PlaceCode["lookups"][number], lane: number): void {
    const { f, s } = this;
    const p = s.operands[l.operand] as PlaceCode;
    const at = f.local();
    this.scalarElement(l.operand, p, lane);
    if (p.dtype === "int64") {
      const wide = f.local("i64");
      f.set(wide).get(wide).op("i32.wrap_i64").i32(-(2 ** 31));
      f.get(wide).get(wide).op("i32.wrap_i64", "i64.extend_i32_s", "i64.eq", "select");
    }
    f.set(at);
    if (l.wrap) {
      f.get(at);
      this.push(l.extent).i32(0).get(at).i32(0).op("i32.lt_s", "select", "i32.add").set(at);
    }
    f.get(at);
    this.push(l.extent).op("i32.ge_u").if();
    this.push(s.error).i32(1).store();
    f.i32(0).set(at).end();
    f.get(at);
  }

  /** Pushes one element of an operand as its scalar type. */
  private scalarElement(operand: number, p: PlaceCode, lane: number): void {
    const { f } = this;
    const { address, ok } = this.locate(p, lane);
    loadScalar(f.get(address), p.dtype);
    if (ok === undefined) return;
    const fill = this.fills.get(operand) as Local;
    f.get(fill);
    if (this.vector) f.lane(scalarOf(p.dtype) === "f32" ? "f32x4.extract_lane" : "i32x4.extract_lane", 0);
    f.get(ok).op("select");
  }

  // ---- loads and stores --------------------------------------------------------------------------

  /** The operand's values for one block; `at` skips that many vectors. */
  private load(i: number, vectors: number, at = 0): Local[] {
    const { f, s } = this;
    const p = s.operands[i] as PlaceCode;
    const known = this.ready.get(i);
    const count = Math.max(1, vectors);
    if (known !== undefined) return new Array<Local>(count).fill(known);
    if (i === this.outside) return new Array<Local>(count).fill(this.fills.get(i) as Local);
    const into = f.someLocals(count, this.valueType(scalarOf(p.dtype)));
    const first = into[0] as Local;
    if (!this.vector) {
      if (p.kind === "indexed") this.scalarElement(i, p, 0);
      else loadScalar(f.get(this.at(p.at)), p.dtype);
      f.set(first);
      const mask = this.masks.get(i);
      if (mask !== undefined) f.get(first).get(this.fills.get(i) as Local).get(mask).op("select").set(first);
      return into;
    }
    if (p.kind === "indexed") this.loadIndexed(i, p, into, vectors, at);
    else if (vectors === 0) {
      loadSplat(f, p.dtype, this.at(p.at));
      f.set(first);
    } else if (p.kind === "unit") loadVectors(f, p.dtype, this.at(p.at), into, 4 * at * (p.at.unit as number));
    else into.forEach((v, u) => loadStrided(f, p.dtype, () => this.pushAt(p.at, 4 * (at + u)), () => this.push(p.at.lane), v));
    const mask = this.masks.get(i);
    if (mask !== undefined)
      for (const v of into) f.get(v).get(this.fills.get(i) as Local).get(mask).op("v128.bitselect").set(v);
    return into;
  }

  private loadIndexed(i: number, p: PlaceCode, into: readonly Local[], vectors: number, at: number): void {
    const { f } = this;
    const shape = scalarOf(p.dtype) === "f32" ? "f32x4" : "i32x4";
    into.forEach((v, u) => {
      for (let k = 0; k < (vectors === 0 ? 1 : 4); k++) {
        if (k > 0) f.get(v);
        this.scalarElement(i, p, 4 * (at + u) + k);
        if (k === 0) f.op(`${shape}.splat`).set(v);
        else f.lane(`${shape}.replace_lane`, k).set(v);
      }
    });
  }

  private store(values: readonly Local[], vectors: number, at = 0): void {
    const { f, s } = this;
    const p = s.out;
    const [first] = values as [Local];
    if (!this.vector) {
      const { address, ok } = this.locate(p);
      if (ok !== undefined) f.get(ok).if();
      f.get(address).get(first);
      storeScalar(f, p.dtype);
      if (ok !== undefined) f.end();
    } else if (vectors === 0) storeLane(f, p.dtype, this.at(p.at), first);
    else if (p.kind === "unit") storeVectors(f, p.dtype, this.at(p.at), values, 4 * at * (p.at.unit as number), this.e.fits);
    else {
      const address = f.local();
      values.forEach((v, u) => {
        this.pushAt(p.at, 4 * (at + u));
        f.set(address);
        for (let k = 0; k < 4; k++) {
          storeLane(f, p.dtype, address, v, k);
          if (k < 3) {
            f.get(address);
            this.push(p.at.lane).op("i32.add").set(address);
          }
        }
      });
    }
  }

  /** Byte types are loaded and stored four vectors at a time, others one by one to spare registers. */
  private get grouped(): boolean {
    const narrow = (p: PlaceCode | null): boolean =>
      p !== null && p.kind === "unit" && p.dtype !== "float32" && p.dtype !== "int32";
    return narrow(this.s.out) || this.s.operands.some(narrow);
  }

  private outputBlock(vectors: number, bounds: Bounds): void {
    if (this.step) {
      const accs = this.folded(Math.max(1, vectors), vectors, bounds);
      this.finish(vectors, 0, accs);
      return;
    }
    if (vectors < 2 || this.grouped) this.finish(vectors, 0, []);
    else for (let u = 0; u < vectors; u++) this.finish(1, u, []);
  }

  /** result(acc, operands) → memory. */
  private finish(vectors: number, at: number, accs: readonly Local[]): void {
    const { f, e } = this;
    const loaded = new Map(this.resultUses.filter((i) => i >= 0).map((i) => [i, this.load(i, vectors, at)] as const));
    const out = f.someLocals(Math.max(1, vectors), this.valueType(e.result.t));
    out.forEach((r, u) => {
      this.result.emit((i) => this.operand(i, u, loaded, accs));
      f.set(r);
    });
    this.store(out, vectors, at);
  }

  private operand(i: number, u: number, loaded: ReadonlyMap<number, readonly Local[]>, accs: readonly Local[]): Local {
    if (i < 0) return accs[u] as Local;
    if (i >= firstParameter) return this.parameters[i - firstParameter] as Local;
    return (loaded.get(i) as readonly Local[])[u] as Local;
  }

  // ---- reductions --------------------------------------------------------------------------------

  /** Float max and min: one instruction (pmax drops NaN) with a record of where NaN came by. */
  private get extreme(): Op | undefined {
    const { s, e } = this;
    if (!this.vector || e.body?.t !== "f32") return undefined;
    return s.combine === "max" ? "f32x4.pmax" : s.combine === "min" ? "f32x4.pmin" : undefined;
  }

  /** acc = combine(acc, body) */
  private accumulate(acc: Local, nan: Local | undefined, operand: (i: number) => Local): void {
    const { f } = this;
    (this.step as ReadyExpr).emit(operand);
    if (nan === undefined || this.extreme === undefined) {
      f.set(acc);
      return;
    }
    const v = f.local("v128");
    f.set(v).get(acc).get(v).op(this.extreme).set(acc);
    f.get(nan).get(v).get(v).op("f32x4.ne", "v128.or").set(nan);
    f.free("v128", v);
  }

  private nanMasks(count: number): Local[] {
    if (!this.extreme) return [];
    const masks = this.f.someLocals(count, "v128");
    for (const m of masks) this.f.i32x4(0).set(m);
    return masks;
  }

  /** Lanes along the output: `count` accumulators through all reduction loops. */
  private folded(count: number, vectors: number, bounds: Bounds): Local[] {
    const { f, s } = this;
    const { t } = this.e.body as Expr;
    const accs = f.someLocals(count, this.valueType(t));
    for (const a of accs) f.get(this.start as Local).set(a);
    const arg = isArg(s.combine);
    const places = arg ? f.someLocals(count, this.valueType("i32")) : [];
    for (const p of places) {
      if (this.vector) f.i32x4(0);
      else f.i32(0);
      f.set(p);
    }
    const nans = this.nanMasks(count);
    const fixed = new Map<number, Local[]>();
    for (const i of this.bodyUses) if (!(s.operands[i] as PlaceCode).inReduce) fixed.set(i, this.load(i, vectors));
    this.reduceLoops(0, bounds, (index) => {
      const saved = new Map(this.now);
      this.settle((p) => p.inReduce);
      const loaded = new Map(fixed);
      for (const i of this.bodyUses) if (!loaded.has(i)) loaded.set(i, this.load(i, vectors));
      accs.forEach((acc, u) => {
        const operand = (i: number): Local => this.operand(i, u, loaded, accs);
        if (!arg) {
          this.accumulate(acc, nans[u], operand);
          return;
        }
        (this.step as ReadyExpr).emit(operand);
        this.keepBest(acc, places[u] as Local, index as Local, t);
      });
      for (const [c, local] of saved) this.now.set(c, local);
    });
    nans.forEach((nan, u) => f.get(accs[u] as Local).get(nan).op("v128.or").set(accs[u] as Local));
    return arg ? places : accs;
  }

  /** The new value is on the stack: takes it and its index where it is better. */
  private keepBest(best: Local, place: Local, index: Local, t: Expr["t"]): void {
    const { f, s } = this;
    const value = f.local(this.valueType(t));
    const better = f.local(this.vector ? "v128" : "i32");
    const last = (s.combine as string).endsWith("last");
    const name = `${(s.combine as string).startsWith("argmax") ? "g" : "l"}${last ? "e" : "t"}`;
    f.set(value).get(value).get(best);
    if (this.vector) {
      f.op(`${t}x4.${name}${t === "f32" ? "" : "_s"}` as "f32x4.gt").set(better);
      f.get(value).get(best).get(better).op("v128.bitselect").set(best);
      f.get(index).op("i32x4.splat").get(place).get(better).op("v128.bitselect").set(place);
      return;
    }
    f.op(`${t}.${name}${t === "f32" ? "" : "_s"}` as "f32.gt").set(better);
    f.get(value).get(best).get(better).op("select").set(best);
    f.get(index).get(place).get(better).op("select").set(place);
  }

  /** Nested loops over the reduction levels, with cursors of their own at each. */
  private reduceLoops(level: number, bounds: Bounds, inner: (index: Local | undefined) => void, index?: Local): void {
    const { f, s } = this;
    if (level === s.reduce.length) {
      inner(index);
      return;
    }
    const bound = bounds.get(level);
    const i = f.local();
    const extent = this.words.get(s.reduce[level] as Word) as Local;
    if (bound) f.get(bound.lo).tee(i).get(bound.hi).op("i32.lt_s").if();
    else f.i32(0).set(i).get(extent).if();
    const saved = new Map(this.now);
    const moving = this.cursors.filter((c) => (c.reduce[level] as Word) >= 0);
    for (const c of moving) {
      const local = f.local();
      f.get(this.at(c));
      if (bound) {
        f.get(bound.lo);
        this.push(c.reduce[level] as Word).op("i32.mul", "i32.add");
      }
      f.set(local);
      this.now.set(c, local);
    }
    f.loop();
    this.reduceLoops(level + 1, bounds, inner, i);
    for (const c of moving) {
      f.get(this.at(c));
      this.push(c.reduce[level] as Word).op("i32.add").set(this.at(c));
    }
    f.get(i).i32(1).op("i32.add").tee(i).get(bound ? bound.hi : extent).op("i32.lt_s").brIf(0).end();
    for (const [c, local] of saved) this.now.set(c, local);
    f.end();
  }

  /** Lanes along a reduction loop: one output element. */
  private reducedRow(bounds: Bounds, n: Local): void {
    const { f, s } = this;
    const { t } = this.e.body as Expr;
    const accs = f.someLocals(this.vector ? s.unroll : 1, this.valueType(t));
    const single = this.vector ? f.local("v128") : (accs[0] as Local);
    for (const a of [...accs, single]) f.get(this.start as Local).set(a);
    const [nan] = this.nanMasks(1);
    const bound = bounds.get(-1);
    this.reduceLoops(0, bounds, () => {
      const saved = new Map(this.now);
      this.settle((p) => p.inReduce);
      if (bound) f.get(bound.hi).get(bound.lo).op("i32.sub").tee(n).i32(0).get(n).i32(0).op("i32.gt_s", "select").set(n);
      else this.push(s.lane.extent).set(n);
      this.enterLanes(bound?.lo);
      this.lanes(n, (vectors) => {
        const target = vectors === 0 ? [single] : accs;
        const grouped = this.grouped;
        const groups = vectors < 2 || grouped ? [0] : accs.map((_, u) => u);
        for (const g of groups) {
          const size = grouped ? vectors : Math.min(1, vectors);
          const loaded = new Map(this.bodyUses.map((i) => [i, this.load(i, size, g)] as const));
          for (let u = 0; u < Math.max(1, size); u++) {
            const acc = target[g + u] as Local;
            this.accumulate(acc, nan, (i) => (i < 0 ? acc : this.operand(i, u, loaded, [])));
          }
        }
      });
      for (const [c, local] of saved) this.now.set(c, local);
    });
    const [first] = accs as [Local];
    if (nan !== undefined) f.get(first).get(nan).op("v128.or").set(first);
    if (this.vector) this.horizontal(accs, single);
    this.finish(0, 0, [single]);
  }

  /** Folds all lanes of accs, and lane 0 of `single`, into lane 0 of `single`. */
  private horizontal(accs: readonly Local[], single: Local): void {
    const { f } = this;
    const pair = (a: Local, b: Local, into: Local): void => {
      (this.fold as ReadyExpr).emit((i) => (i === 0 ? a : b));
      f.set(into);
    };
    for (let gap = 1; gap < accs.length; gap *= 2)
      for (let i = 0; i + gap < accs.length; i += 2 * gap) pair(accs[i] as Local, accs[i + gap] as Local, accs[i] as Local);
    const all = accs[0] as Local;
    const turned = f.local("v128");
    for (const by of [8, 4]) {
      f.get(all).get(all).shuffle(Array.from({ length: 16 }, (_, b) => (b + by) % 16)).set(turned);
      pair(all, turned, all);
    }
    pair(all, single, single);
  }

  private clipBounds(): Bounds {
    const { f, s } = this;
    const bounds: Bounds = new Map();
    for (const clip of s.clips) {
      let b = bounds.get(clip.level);
      if (!b) {
        b = { lo: f.local(), hi: f.local() };
        bounds.set(clip.level, b);
        f.i32(0).set(b.lo);
        this.push(clip.level < 0 ? s.lane.extent : (s.reduce[clip.level] as Word)).set(b.hi);
      }
      this.clip(clip, b);
    }
    return bounds;
  }

  /** lo = max(lo, ⌈−at / coef⌉), hi = min(hi, ⌈(extent − at) / coef⌉); coef > 0 */
  private clip(c: Clip, b: { lo: Local; hi: Local }): void {
    const { f } = this;
    const t = f.local();
    const divided = (): void => {
      f.set(t).get(t);
      this.push(c.coef).op("i32.add").i32(1).op("i32.sub");
      this.push(c.coef).op("i32.div_u").i32(0).get(t).i32(0).op("i32.gt_s", "select").set(t);
    };
    f.i32(0).get(this.at(c.at)).op("i32.sub");
    divided();
    f.get(t).get(b.lo).get(t).get(b.lo).op("i32.gt_s", "select").set(b.lo);
    this.push(c.extent).get(this.at(c.at)).op("i32.sub");
    divided();
    f.get(t).get(b.hi).get(t).get(b.hi).op("i32.lt_s", "select").set(b.hi);
  }
}

/** Range of a reduction loop (−1: the lane loop) after its guards. */
type Bounds = Map<number, { lo: Local; hi: Local }>;

function operandNumbers(e: Expr): number[] {
  const found = new Set<number>();
  const seen = new Set<Expr>();
  const visit = (x: Expr): void => {
    if (seen.has(x)) return;
    seen.add(x);
    if (x.k === "in") {
      if (x.i >= 0 && x.i < firstParameter) found.add(x.i);
    } else if (x.k === "select") [x.c, x.a, x.b].forEach(visit);
    else if (x.k === "bin" || x.k === "cmp") [x.a, x.b].forEach(visit);
    else if (x.k !== "const") visit(x.a);
  };
  visit(e);
  return [...found].sort((a, b) => a - b);
}
