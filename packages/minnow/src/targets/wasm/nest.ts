// Plans any loop nest: normal form (nest_normal.ts), choice of the lane loop (nest_schedule.ts), then a
// Structure that the code depends on (nest_structure.ts) and the argument words that it does not.
import { type Expr, print, substitute } from "../../compiler/expr.js";
import { scalarOf } from "../../compiler/nest.js";
import type { Step } from "../../compiler/program.js";
import { elementBytes } from "../../graph/dtype.js";
import { rangeOfDType } from "./elements.js";
import type { Engine } from "./engine.js";
import type { ArgWord, PlannedKernel } from "./kernel.js";
import { clipRule, startOf } from "./nest_clip.js";
import { emitNest, type NestExprs } from "./nest_emit.js";
import { type Affine, isArg, normalize, type Normal, type Place } from "./nest_normal.js";
import { rangeOf } from "./nest_range.js";
import { depends, laneKind, schedule, type Schedule, weight, windowOperand } from "./nest_schedule.js";
import { planTranspose } from "./nest_transpose.js";
import {
  type Clip,
  type Cursor,
  firstParameter,
  type PlaceCode,
  type Structure,
  type Word,
} from "./nest_structure.js";

/** One call should take about this long. */
const targetNs = 20_000;

/** The kernel for a step's loop nest. Throws ModelError for element types that have no loads. */
export function planNest(step: Step, engine: Engine): PlannedKernel {
  const n = normalize(step);
  const empty = n.loops.some((x) => x === 0);
  const transposed = planTranspose(n);
  if (transposed) return transposed;
  if (n.loops.length === 0) addLoop(n);
  const clips = clipRule(n);
  const how = schedule(n, clips);
  const panel = panelLength(n, how);
  if (panel === 0) return new Planner(n, how, clips, engine, empty, 0).plan();
  addPanels(n, how.lane, panel);
  return new Planner(n, { ...how, lane: how.lane + 1 }, clips, engine, empty, panel).plan();
}

/**
 * Lanes that step over whole cache lines use one element of each: taken in short panels, with the other
 * loops inside, the lines stay in the first-level cache until the neighbours' turn. 0 = not needed.
 */
function panelLength(n: Normal, how: Schedule): number {
  const extent = n.loops[how.lane] as number;
  if (how.laneReduce || n.loops.length < 2 || extent < 64 || n.out.lookups.length > 0) return 0;
  const apart = [...n.operands, n.out].flatMap((p) => {
    if (!p || Math.abs(p.at.coef[how.lane] as number) < 64) return [];
    // worthwhile where another loop walks along the lines
    const along = p.at.coef.some(
      (k, l) => l !== how.lane && l < n.loops.length && k !== 0 && Math.abs(k) < 64,
    );
    return along ? [p.at.coef[how.lane] as number] : [];
  });
  if (apart.length === 0) return 0;
  // far powers of two share few cache sets
  return apart.some((k) => k % 1024 === 0) ? 16 : 32;
}

/** An outermost loop over panels of `length` lanes. */
function addPanels(n: Normal, lane: number, length: number): void {
  n.loops.unshift(Math.ceil((n.loops[lane] as number) / length));
  for (const p of [...n.operands, n.out])
    if (p)
      for (const c of [p.at, ...p.guards.map((g) => g.at)]) c.coef.unshift((c.coef[lane] as number) * length);
}

function addLoop(n: Normal): void {
  n.loops.push(1);
  for (const p of [...n.operands, n.out])
    if (p) for (const c of [p.at, ...p.guards.map((g) => g.at)]) c.coef.unshift(0);
}

class Planner {
  readonly #args: ArgWord[] = [];
  private readonly outer: number[];
  private readonly reduce: number[];
  readonly #extents: number[];
  readonly #clips: Clip[] = [];
  readonly #window: number;
  readonly #parameters: Structure["parameters"][number][] = [];

  constructor(
    private readonly n: Normal,
    private readonly how: Schedule,
    private readonly clipped: ReturnType<typeof clipRule>,
    private readonly engine: Engine,
    private readonly empty: boolean,
    /** Lanes of a panel, 0 = no panels. */
    private readonly panel: number,
  ) {
    this.#extents = [...n.loops, ...n.reduce];
    this.#window = windowOperand(n, how.lane);
    this.outer = n.loops.map((_, l) => l).filter((l) => l !== how.lane);
    this.reduce = n.reduce.map((_, r) => r + n.loops.length).filter((l) => l !== how.lane);
  }

  #word(value: number): Word {
    return this.#args.push({ kind: "i32", value }) - 1;
  }

  plan(): PlannedKernel {
    const { n, how, engine } = this;
    const rows = this.outer.reduce((a, l) => a * (this.#extents[l] as number), 1);
    const laneExtent = this.#extents[how.lane] as number;
    const serial = n.out.lookups.length > 0;
    const { length, count } = this.#pieces(rows, laneExtent);
    const error = n.operands.some((p) => p?.lookups.length) || n.out.lookups.length > 0;
    const body = n.body && this.#parametrize(n.body);
    const result = this.#parametrize(n.result);
    const structure: Structure = {
      mode: how.mode,
      fma: engine.fma && how.mode === "vector",
      ...(engine.wide && how.mode === "vector" && { wide: true }),
      unroll: this.#unroll(),
      outer: this.outer.map((l) => this.#word(this.#extents[l] as number)),
      lane: { extent: this.#word(laneExtent), reduce: how.laneReduce },
      ...(this.panel > 0 && { panel: this.#word(this.panel) }),
      // one long row is always taken in pieces, short rows too: the same code for every size
      ...((count > 1 || (this.outer.length === 0 && this.#chunks())) && {
        chunk: { length: this.#word(length), count: this.#word(count) },
      }),
      reduce: this.reduce.map((l) => this.#word(this.#extents[l] as number)),
      ...(n.combine && { combine: n.combine }),
      operands: n.operands.map((p, i) => (p ? this.#placeCode(p, i) : null)),
      out: this.#placeCode(n.out, -1),
      clips: this.#clips,
      ...startOf(n, this.#clips.length > 0),
      parameters: this.#parameters,
      error: error ? this.#args.push({ kind: "error" }) - 1 : -1,
      total: serial ? this.#word(rows * count) : -1,
      ...(body && { body: print(body) }),
      result: print(result),
    };
    const exprs: NestExprs = { body, result, fits: this.#fits() };
    const extent = this.empty ? 0 : serial ? 1 : rows * count;
    const perRow = how.cost / Math.max(1, rows * count);
    return {
      key: `nest ${exprs.fits ? "fits " : ""}${JSON.stringify(structure)}`,
      label: n.combine ? `nest ${n.combine}` : "nest",
      emit: (m) => emitNest(m, structure, exprs),
      extent,
      grain: Math.max(1, Math.min(extent, Math.round(targetNs / Math.max(0.1, perRow)))),
      args: this.#args,
      packed: [],
      scratchBytes: 0,
    };
  }

  /** Vectors per pass: enough to hide latency, few enough for the registers. */
  #unroll(): number {
    const { n, how } = this;
    if (how.mode === "scalar") return 1;
    const indexed = n.operands.some(
      (p, i) =>
        p &&
        laneKind(n, p, how.lane, (g) => i === this.#window || this.clipped(i, g, how.lane)) === "indexed",
    );
    if (indexed) return 1;
    if (isArg(n.combine)) return 2;
    return weight(n.body ?? n.result) > 20 ? 2 : 4; // long expressions overlap by themselves
  }

  /** The lane loop in pieces, so that one row can be shared and no call takes long. */
  #pieces(rows: number, extent: number): { length: number; count: number } {
    if (!this.#chunks()) return { length: extent, count: 1 };
    const perLane = this.how.cost / Math.max(1, rows * extent);
    const wanted = Math.max(64, Math.ceil(targetNs / Math.max(0.01, perLane) / 64) * 64);
    if (extent <= wanted * 2) return { length: extent, count: 1 };
    return { length: wanted, count: Math.ceil(extent / wanted) };
  }

  #chunks(): boolean {
    return !this.how.laneReduce && this.panel === 0 && this.n.out.lookups.length === 0;
  }

  /** Does the integer result fit the output's type without wrapping? */
  #fits(): boolean {
    const { n } = this;
    if (scalarOf(n.out.dtype) !== "i32") return false;
    const [lo, hi] = rangeOf(n.result, n);
    const [least, most] = rangeOfDType(n.out.dtype);
    return lo >= least && hi <= most;
  }

  #cursor(a: Affine, base: ArgWord, unit?: number): Cursor {
    const { outer, reduce, how } = this;
    const coef = (l: number): number => a.coef[l] as number;
    const word = (v: number): Word => (v === 0 ? -1 : this.#word(v));
    const lane = coef(how.lane);
    return {
      base: this.#args.push(base) - 1,
      outer: outer.map((l) => word(coef(l))),
      advance: outer.map((l, level) => {
        const inner = outer.slice(level + 1);
        if (coef(l) === 0 && inner.every((m) => coef(m) === 0)) return -1;
        return this.#word(
          inner.reduce((sum, m) => sum - ((this.#extents[m] as number) - 1) * coef(m), coef(l)),
        );
      }),
      lane: word(lane),
      ...(unit !== undefined && lane === unit && { unit }),
      reduce: reduce.map((l) => word(coef(l))),
    };
  }

  #placeCode(p: Place, operand: number): PlaceCode {
    const { n, how } = this;
    const bytes = elementBytes(p.dtype);
    const window = operand >= 0 && operand === this.#window;
    const tested = p.guards.filter((g) => operand < 0 || window || !this.clipped(operand, g, how.lane));
    for (const g of p.guards) if (!tested.includes(g)) this.#addClip(g);
    const at = this.#cursor(p.at, { kind: "view", value: p.value, element: p.at.base / bytes }, bytes);
    return {
      dtype: p.dtype,
      at,
      kind: laneKind(n, p, how.lane, (g) => window || !tested.includes(g)),
      ...(window && { window }),
      inReduce: this.reduce.some((l) => depends(n, p, l)),
      guards: tested.map((g) => ({
        at: this.#cursor(g.at, { kind: "i32", value: g.at.base }, 1),
        extent: this.#word(g.extent),
      })),
      lookups: p.lookups.map((l) => ({
        operand: l.operand,
        stride: this.#word(l.stride),
        extent: this.#word(l.extent),
        wrap: l.wrap,
      })),
      fill: tested.length === 0 ? -1 : this.#fill(p),
      safe: tested.length === 0 ? -1 : this.#args.push({ kind: "view", value: p.value }) - 1,
    };
  }

  #fill(p: Place): Word {
    return this.#args.push({ kind: scalarOf(p.dtype) === "f32" ? "f32" : "i32", value: p.fill }) - 1;
  }

  #addClip(g: Place["guards"][number]): void {
    const loop = g.at.coef.findIndex((k, l) => k !== 0 && l >= this.n.loops.length);
    const level = this.reduce.indexOf(loop);
    const rest: Affine = { base: g.at.base, coef: g.at.coef.map((k, l) => (l === loop ? 0 : k)) };
    this.#clips.push({
      level,
      at: this.#cursor(rest, { kind: "i32", value: g.at.base }),
      coef: this.#word(g.at.coef[loop] as number),
      extent: this.#word(g.extent),
    });
  }

  /** Takes ordinary constants out of an expression: scales and bounds differ between layers, code need not. */
  #parametrize(e: Expr): Expr {
    if (this.how.mode === "scalar") return e;
    const plain = (v: number): boolean =>
      Number.isNaN(v) || [0, 1, -1, 0.5, 2].includes(v) || !Number.isFinite(v);
    const take = (x: Expr): Expr => {
      if (x.k !== "const" || plain(x.v)) return x;
      const float = x.t === "f32";
      const word = this.#args.push({ kind: float ? "f32" : "i32", value: x.v }) - 1;
      this.#parameters.push({ word, float, small: Math.abs(x.v) < 2 ** 22 });
      return { k: "in", i: firstParameter + this.#parameters.length - 1, t: x.t };
    };
    const memo = new Map<Expr, Expr>();
    const visit = (x: Expr): Expr => {
      const known = memo.get(x);
      if (known) return known;
      let y = x;
      if (x.k === "un" || x.k === "cast" || x.k === "bits") y = { ...x, a: visit(x.a) };
      else if (x.k === "cmp") y = { ...x, a: visit(x.a), b: visit(x.b) };
      else if (x.k === "select") y = { ...x, c: visit(x.c), a: visit(x.a), b: visit(x.b) };
      else if (x.k === "bin") {
        const open = x.t === "f32" ? x.op !== "pow" : x.op === "add" || x.op === "sub";
        const child = (c: Expr): Expr => (open ? take(visit(c)) : visit(c));
        y = { ...x, a: child(x.a), b: child(x.b) };
      }
      memo.set(x, y);
      return y;
    };
    return visit(substitute(e, (i, t) => ({ k: "in", i, t })));
  }
}
