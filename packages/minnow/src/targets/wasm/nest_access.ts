// Where the operands of a loop nest are read and its output written, in generated code: addresses with
// tables and guards, and loads and stores of one block of lanes.
import type { Expr } from "../../compiler/expr.js";
import { scalarOf } from "../../compiler/nest.js";
import type { FunctionBuilder, Local, WasmType } from "./assembler.js";
import { loadScalar, loadSplat, loadVectors, storeLane, storeScalar, storeVectors } from "./elements.js";
import { NestCursors } from "./nest_cursors.js";
import { loadStrided } from "./nest_lanes.js";
import type { PlaceCode, Structure } from "./nest_structure.js";

export class NestAccess extends NestCursors {
  /** Operands that are one value for all lanes, loaded. */
  protected readonly ready = new Map<number, Local>();
  /** Operands whose guard has been tested: all ones where inside. */
  protected readonly masks = new Map<number, Local>();
  protected readonly fills = new Map<number, Local>();
  /** The windowed operand, while code for the lanes outside its window is emitted. */
  protected outside = -1;
  protected readonly vector: boolean;

  /**
   * @param used operands of the expressions, as against tables
   * @param fits the result as an integer is known to fit the output's type
   */
  constructor(
    f: FunctionBuilder,
    s: Structure,
    protected readonly used: ReadonlySet<number>,
    protected readonly fits: boolean,
  ) {
    super(f, s);
    this.vector = s.mode === "vector";
  }

  protected get valueType(): (t: Expr["t"]) => WasmType {
    return (t) => (this.vector ? "v128" : t);
  }

  /** Loads what is one value for all lanes, and tests the guards and lookups of the rest. */
  protected settle(filter: (p: PlaceCode) => boolean): void {
    const { f } = this;
    this.s.operands.forEach((p, i) => {
      if (!p || p.kind === "indexed" || p.window || !filter(p) || !this.used.has(i)) return;
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
  protected replaceOutside(value: Local, operand: number, ok: Local): void {
    const { f } = this;
    f.get(value)
      .get(this.fills.get(operand) as Local)
      .get(ok);
    if (this.vector) f.i32(-1).op("i32.mul", "i32x4.splat", "v128.bitselect");
    else f.op("select");
    f.set(value);
  }

  /** The address of a place `lane` lanes on, and whether its guards hold (else the address is safe). */
  protected locate(p: PlaceCode, lane = 0): { address: Local; ok: Local | undefined } {
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
  /** Pushes a checked position from a table; out of range: 0, and the run fails. */
  protected position(l: PlaceCode["lookups"][number], lane: number): void {
    const { f, s } = this;
    const p = s.operands[l.operand] as PlaceCode;
    const at = f.local();
    this.scalarElement(l.operand, p, lane);
    if (p.dtype === "int64") {
      const wide = f.local("i64");
      f.set(wide)
        .get(wide)
        .op("i32.wrap_i64")
        .i32(-(2 ** 31));
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
  protected scalarElement(operand: number, p: PlaceCode, lane: number): void {
    const { f } = this;
    const { address, ok } = this.locate(p, lane);
    loadScalar(f.get(address), p.dtype);
    if (ok === undefined) return;
    const fill = this.fills.get(operand) as Local;
    f.get(fill);
    if (this.vector) f.lane(scalarOf(p.dtype) === "f32" ? "f32x4.extract_lane" : "i32x4.extract_lane", 0);
    f.get(ok).op("select");
  }
  /** The operand's values for one block; `at` skips that many vectors. */
  protected load(i: number, vectors: number, at = 0): Local[] {
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
      if (mask !== undefined)
        f.get(first)
          .get(this.fills.get(i) as Local)
          .get(mask)
          .op("select")
          .set(first);
      return into;
    }
    if (p.kind === "indexed") this.loadIndexed(i, p, into, vectors, at);
    else if (vectors === 0) {
      loadSplat(f, p.dtype, this.at(p.at));
      f.set(first);
    } else if (p.kind === "unit")
      loadVectors(f, p.dtype, this.at(p.at), into, 4 * at * (p.at.unit as number));
    else
      into.forEach((v, u) =>
        loadStrided(
          f,
          p.dtype,
          () => this.pushAt(p.at, 4 * (at + u)),
          () => this.push(p.at.lane),
          v,
        ),
      );
    const mask = this.masks.get(i);
    if (mask !== undefined)
      for (const v of into)
        f.get(v)
          .get(this.fills.get(i) as Local)
          .get(mask)
          .op("v128.bitselect")
          .set(v);
    return into;
  }

  protected loadIndexed(i: number, p: PlaceCode, into: readonly Local[], vectors: number, at: number): void {
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

  protected store(values: readonly Local[], vectors: number, at = 0): void {
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
    else if (p.kind === "unit")
      storeVectors(f, p.dtype, this.at(p.at), values, 4 * at * (p.at.unit as number), this.fits);
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
  protected get grouped(): boolean {
    const narrow = (p: PlaceCode | null): boolean =>
      p !== null && p.kind === "unit" && p.dtype !== "float32" && p.dtype !== "int32";
    return narrow(this.s.out) || this.s.operands.some(narrow);
  }
}
