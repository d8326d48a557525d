// An epilogue as instructions: operands are loaded, the expression is evaluated on accumulators in registers, and
// the results are stored.
import { operandsOf } from "../../../compiler/expr.js";
import type { FunctionBuilder, Local } from "../assembler.js";
import type { Op } from "../opcodes.js";
import { loadSplat, loadVectors, storeLane, storeVectors } from "../elements.js";
import type { Engine } from "../engine.js";
import { prepareVector, type ReadyExpr } from "../expr.js";
import { type Epilogue, channelBytes, hasPitch, hoisted, isSmall, packedType } from "./epilogue.js";

/** One function's epilogue: made before the loops, used inside them. */
export class EpilogueCode {
  readonly #ready: ReadyExpr;
  readonly #used: ReadonlySet<number>;
  readonly #scalars = new Map<number, Local>();
  readonly #bases = new Map<number, Local>();
  readonly #channel = new Map<number, Local[]>();
  readonly #full = new Map<number, Local[]>();
  readonly #outBase: Local;
  readonly #address: Local;
  /** Shuffle that brings even bytes together. */
  readonly #even: Local;

  /**
   * @param arg pushes an argument by name ("out", "outPitch" and the epilogue's own)
   * @param slot local: index of the first channel in packed operands; @param start: in the output
   */
  constructor(
    private readonly f: FunctionBuilder,
    private readonly e: Epilogue,
    private readonly arg: (name: string) => FunctionBuilder,
    private readonly engine: Pick<Engine, "fma">,
    private readonly vectors: number,
    slot: Local,
    start: Local,
  ) {
    this.#used = new Set(operandsOf(e.expr));
    for (const o of e.operands) {
      if (o.role === "scalar") {
        const at = f.local("i32");
        const s = f.local("v128");
        arg(`e${o.operand}`).set(at);
        loadSplat(f, o.walk.dtype, at);
        f.set(s);
        f.free("i32", at);
        this.#scalars.set(o.operand, s);
        continue;
      }
      const base = f.local("i32");
      arg(`e${o.operand}`)
        .get(o.role === "channel" ? slot : start)
        .i32(channelBytes(o))
        .op("i32.mul", "i32.add")
        .set(base);
      this.#bases.set(o.operand, base);
    }
    e.numbers.forEach((_n, i) => {
      const s = f.local("v128");
      arg(`n${i}`).op("i32x4.splat").set(s);
      this.#scalars.set(hoisted + i, s);
    });
    this.#outBase = f.local("i32");
    this.#address = f.local("i32");
    this.#even = f.local("v128");
    if (e.low) f.i32x4(0x06040200, 0x0e0c0a08).set(this.#even);
    arg("out").get(start).i32(e.outBytes).op("i32.mul", "i32.add").set(this.#outBase);
    this.#ready = prepareVector(f, e.expr, engine, (i) => {
      const n = e.numbers[i - hoisted];
      return n !== undefined && (isSmall(n) ? "small" : true);
    });
  }

  /**
   * Sets each row's accumulators to the first value; `acc` is rows of `vectors` locals.
   * @param more adds to those of one row
   */
  init(acc: readonly (readonly Local[])[], more?: (row: readonly Local[]) => void): void {
    const { f } = this;
    const [first, ...rest] = acc;
    first?.forEach((a, v) => {
      if (this.e.init === undefined) f.i32x4(0);
      else f.get(this.#bases.get(this.e.init) as Local).vload(16 * v);
      f.set(a);
    });
    if (first) more?.(first);
    for (const row of rest) row.forEach((a, v) => f.get(first?.[v] as Local).set(a));
  }

  /** Loads channel operands; once per tile, before `finish`. */
  load(): void {
    for (const o of this.e.operands) {
      if (o.operand === this.e.init && !this.#used.has(o.operand)) continue;
      if (o.role === "scalar") continue;
      let locals = (o.role === "channel" ? this.#channel : this.#full).get(o.operand);
      locals ??= this.f.someLocals(o.role === "pixel" ? 1 : this.vectors, "v128");
      if (hasPitch(o)) this.#full.set(o.operand, locals);
      else {
        this.#channel.set(o.operand, locals);
        const type = o.role === "channel" ? packedType(o.walk.dtype) : o.walk.dtype;
        loadVectors(this.f, type, this.#bases.get(o.operand) as Local, locals);
      }
    }
  }

  /** Applies the expression to one row of accumulators, in place; `pixel` pushes the row's pixel number. */
  finish(acc: readonly Local[], pixel: () => void): void {
    const { f } = this;
    for (const o of this.e.operands) {
      if (!hasPitch(o)) continue;
      pixel();
      this.arg(`p${o.operand}`)
        .op("i32.mul")
        .get(this.#bases.get(o.operand) as Local)
        .op("i32.add")
        .set(this.#address);
      const locals = this.#full.get(o.operand) as Local[];
      if (o.role === "full") loadVectors(f, o.walk.dtype, this.#address, locals);
      else {
        loadSplat(f, o.walk.dtype, this.#address);
        f.set(locals[0] as Local);
      }
    }
    acc.forEach((a, v) => {
      this.#ready.emit((i) => {
        if (i < 0) return a;
        const s = this.#scalars.get(i);
        if (s !== undefined) return s;
        const locals = (this.#channel.get(i) ?? this.#full.get(i)) as Local[];
        return (locals[v] ?? locals[0]) as Local;
      });
      f.set(a);
    });
  }

  /** Moves on by a number of channels (a multiple of 4). */
  advance(channels: number): void {
    for (const o of this.e.operands) {
      const base = this.#bases.get(o.operand);
      if (base !== undefined) this.f.inc(base, channels * channelBytes(o));
    }
    this.f.inc(this.#outBase, channels * this.e.outBytes);
  }

  /** Back to the channel in the local `start` (in packed operands and in the output alike). */
  rewind(start: Local): void {
    for (const o of this.e.operands) {
      const base = this.#bases.get(o.operand);
      if (base === undefined) continue;
      this.arg(`e${o.operand}`).get(start).i32(channelBytes(o)).op("i32.mul", "i32.add").set(base);
    }
    this.arg("out").get(start).i32(this.e.outBytes).op("i32.mul", "i32.add").set(this.#outBase);
  }

  /** Stores one row; the last vector may hold fewer than four channels. */
  store(acc: readonly Local[], channels: number, pixel: () => void): void {
    pixel();
    this.arg("outPitch").op("i32.mul").get(this.#outBase).op("i32.add").set(this.#address);
    this.storeAt(acc, channels, this.#address, 0);
  }

  /** Stores one row at address + offset. */
  storeAt(acc: readonly Local[], channels: number, address: Local, offset: number): void {
    const { f, e } = this;
    const narrow = e.outType === "int8" ? "i8x16.narrow_i16x8_s" : "i8x16.narrow_i16x8_u";
    if (e.low) {
      // The low 16 bits of every lane, saturated to 8: the others, narrowed beside them, are left out.
      acc.forEach((a, v) => {
        if (v & 1) return;
        f.get(a)
          .get(acc[v + 1] ?? a)
          .op(narrow)
          .get(this.#even);
        f.op(this.engine.fma ? "i8x16.relaxed_swizzle" : "i8x16.swizzle").set(a);
        this.#storeBytes(a, channels - 4 * v, address, offset + 4 * v);
      });
      return;
    }
    const whole = acc.slice(0, Math.floor(channels / 4));
    storeVectors(f, e.outType, address, whole, offset, e.outType !== "float16");
    const rest = acc[whole.length];
    if (rest === undefined) return;
    if (e.outBytes === 1) {
      f.get(rest).get(rest).op("i16x8.narrow_i32x4_s").tee(rest).get(rest).op(narrow).set(rest);
      return this.#storeBytes(rest, channels % 4, address, offset + 4 * whole.length);
    }
    for (let lane = 0; lane < channels % 4; lane++)
      storeLane(f, e.outType, address, rest, lane, offset + (4 * whole.length + lane) * e.outBytes);
  }

  /** The first `n` bytes of a vector, eight at most. */
  #storeBytes(v: Local, n: number, address: Local, offset: number): void {
    const most = Math.min(n, 8);
    let byte = 0;
    for (const size of [8, 4, 1] as const)
      for (; byte + size <= most; byte += size)
        this.f
          .get(address)
          .get(v)
          .memLane(`v128.store${8 * size}_lane` as Op, byte / size, offset + byte);
  }
}
