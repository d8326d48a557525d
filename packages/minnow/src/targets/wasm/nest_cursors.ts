// Cursors of a loop nest in generated code: argument words, the odometer over rows, entry into the lane
// loop and into reduction loops. A cursor (an address or a guard's coordinate) lives in a local that is
// advanced, never recomputed; `now` says which local that is at the point of emission.
import type { FunctionBuilder, Local } from "./assembler.js";
import type { Clip, Cursor, PlaceCode, Structure, Word } from "./nest_structure.js";

/** Parameters of every kernel. */
export const args: Local = 0;
export const begin: Local = 1;
export const end: Local = 2;

/** Range of a reduction loop (−1: the lane loop) after its guards. */
export type Bounds = Map<number, { lo: Local; hi: Local }>;

export class NestCursors {
  /** Where each cursor stands at the point of emission. */
  protected readonly now = new Map<Cursor, Local>();
  protected readonly words = new Map<Word, Local>();
  protected readonly cursors: readonly Cursor[];

  constructor(
    protected readonly f: FunctionBuilder,
    protected readonly s: Structure,
  ) {
    const places = [...s.operands.filter((p): p is PlaceCode => p !== null), s.out];
    this.cursors = [
      ...places.flatMap((p) => [p.at, ...p.guards.map((g) => g.at)]),
      ...s.clips.map((c) => c.at),
    ];
  }

  /** Pushes an argument word. */
  protected push(w: Word): FunctionBuilder {
    const known = this.words.get(w);
    return known === undefined ? this.f.get(args).load(4 * w) : this.f.get(known);
  }
  protected keep(w: Word): void {
    if (w < 0 || this.words.has(w)) return;
    const local = this.f.local();
    this.push(w).set(local);
    this.words.set(w, local);
  }

  /** Loop numbers and cursors of row `begin`. */
  protected decode(indices: readonly Local[], piece: Local): void {
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
  protected advance(indices: readonly Local[], piece: Local): void {
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
      this.push(s.outer[l] as Word)
        .op("i32.lt_u")
        .if();
      move(l);
      f.br(1).end();
      f.i32(0).set(index);
    }
  }

  protected at(c: Cursor): Local {
    return this.now.get(c) as Local;
  }
  /** Lane cursors from lane `first` on, in locals of their own. */
  protected enterLanes(first: Local | undefined): void {
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
  protected advanceLanes(elements: number): void {
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
  protected pushAt(c: Cursor, lane: number): void {
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
  /** Nested loops over the reduction levels, with cursors of their own at each. */
  protected reduceLoops(
    level: number,
    bounds: Bounds,
    inner: (index: Local | undefined) => void,
    index?: Local,
  ): void {
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
      this.push(c.reduce[level] as Word)
        .op("i32.add")
        .set(this.at(c));
    }
    f.get(i)
      .i32(1)
      .op("i32.add")
      .tee(i)
      .get(bound ? bound.hi : extent)
      .op("i32.lt_s")
      .brIf(0)
      .end();
    for (const [c, local] of saved) this.now.set(c, local);
    f.end();
  }
  protected clipBounds(): Bounds {
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
  protected clip(c: Clip, b: { lo: Local; hi: Local }): void {
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
