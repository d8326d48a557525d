// A WebAssembly assembler: a ModuleBuilder holds functions, a FunctionBuilder appends instructions.
// Instructions are rows of the tables in opcodes.ts; addresses and immediates have methods of their own.
import { byteSink, type ByteSink } from "./bytes.js";
import { type MemoryLimits, section, writeLimits } from "./imports.js";
import { type Op, opcodes } from "./opcodes.js";

export type WasmType = "i32" | "i64" | "f32" | "f64" | "v128";
const typeCode: Record<WasmType, number> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

/** Index of a local variable. */
export type Local = number;

/** N locals: a tuple where N is written in the code. */
export type Locals<N extends number, T extends Local[] = []> = number extends N
  ? Local[]
  : T["length"] extends N
    ? T
    : Locals<N, [...T, Local]>;

/**
 * One function. Methods append an instruction and return the builder:
 * `f.get(a).i32(4).op("i32.add").set(a)`.
 */
export class FunctionBuilder {
  readonly code: ByteSink = byteSink();
  readonly locals: WasmType[] = [];
  readonly #pools = new Map<WasmType, Local[]>();

  constructor(
    readonly params: readonly WasmType[],
    readonly results: readonly WasmType[],
  ) {}

  /** A new local, or one given back by `free`. */
  local(type: WasmType = "i32"): Local {
    const pooled = this.#pools.get(type)?.pop();
    if (pooled !== undefined) return pooled;
    this.locals.push(type);
    return this.params.length + this.locals.length - 1;
  }

  someLocals<N extends number>(n: N, type: WasmType): Locals<N> {
    return Array.from({ length: n }, () => this.local(type)) as Locals<N>;
  }

  /** Gives locals back for reuse. Their old value is undefined behaviour of the generator. */
  free(type: WasmType, ...locals: Local[]): void {
    const pool = this.#pools.get(type) ?? [];
    pool.push(...locals);
    this.#pools.set(type, pool);
  }

  op(...names: Op[]): this {
    for (let i = 0; i < names.length; i++) this.#code(names[i] as Op);
    return this;
  }

  #code(name: Op): void {
    const code = opcodes[name];
    if (code < 0x100) this.code.byte(code);
    else this.code.byte(code >> 16).u32(code & 0xffff);
  }

  get(l: Local): this {
    this.code.byte(0x20).u32(l);
    return this;
  }
  set(l: Local): this {
    this.code.byte(0x21).u32(l);
    return this;
  }
  tee(l: Local): this {
    this.code.byte(0x22).u32(l);
    return this;
  }
  i32(n: number): this {
    this.code.byte(0x41).s32(n | 0);
    return this;
  }
  i64(n: bigint | number): this {
    this.code.byte(0x42).s64(BigInt(n));
    return this;
  }
  f32(x: number): this {
    this.code.byte(0x43).f32(x);
    return this;
  }
  /** v128.const of four float32. An inline constant is rebuilt at each use: load it before a loop. */
  f32x4(a: number, b = a, c = a, d = a): this {
    this.code.byte(0xfd).u32(12).f32(a).f32(b).f32(c).f32(d);
    return this;
  }
  i32x4(a: number, b = a, c = a, d = a): this {
    this.code.byte(0xfd).u32(12);
    for (const n of [a, b, c, d]) this.code.i32le(n);
    return this;
  }
  /** i8x16.shuffle: 16 byte numbers, 0…31. */
  shuffle(lanes: readonly number[]): this {
    this.code.byte(0xfd).u32(13);
    for (const l of lanes) this.code.byte(l);
    return this;
  }

  /** A load or store; the address (and value) are on the stack. Alignment is a hint: 1 byte. */
  mem(name: Op, offset = 0): this {
    this.#code(name);
    this.code.byte(0).u32(offset);
    return this;
  }
  /** load_lane / store_lane. */
  memLane(name: Op, lane: number, offset = 0): this {
    this.mem(name, offset);
    this.code.byte(lane);
    return this;
  }
  /** extract_lane / replace_lane. */
  lane(name: Op, lane: number): this {
    this.op(name);
    this.code.byte(lane);
    return this;
  }
  load(offset = 0): this {
    return this.mem("i32.load", offset);
  }
  store(offset = 0): this {
    return this.mem("i32.store", offset);
  }
  vload(offset = 0): this {
    return this.mem("v128.load", offset);
  }
  vstore(offset = 0): this {
    return this.mem("v128.store", offset);
  }

  loop(): this {
    this.code.byte(0x03).byte(0x40);
    return this;
  }
  block(): this {
    this.code.byte(0x02).byte(0x40);
    return this;
  }
  if(result?: WasmType): this {
    this.code.byte(0x04).byte(result ? typeCode[result] : 0x40);
    return this;
  }
  else(): this {
    this.code.byte(0x05);
    return this;
  }
  end(): this {
    this.code.byte(0x0b);
    return this;
  }
  br(depth: number): this {
    this.code.byte(0x0c).u32(depth);
    return this;
  }
  brIf(depth: number): this {
    this.code.byte(0x0d).u32(depth);
    return this;
  }
  return(): this {
    this.code.byte(0x0f);
    return this;
  }
  /** This thread's scratch: the one global that every module imports. */
  scratch(): this {
    this.code.byte(0x23).byte(0);
    return this;
  }
  setScratch(): this {
    this.code.byte(0x24).byte(0);
    return this;
  }
  call(func: number): this {
    this.code.byte(0x10).u32(func);
    return this;
  }
  /** Calls a function of the imported table; its number is on the stack. */
  callIndirect(type: number): this {
    this.code.byte(0x11).u32(type).byte(0);
    return this;
  }

  /** l += n */
  inc(l: Local, n: number): this {
    return n === 0 ? this : this.get(l).i32(n).op("i32.add").set(l);
  }
  /** l += m */
  incBy(l: Local, m: Local): this {
    return this.get(l).get(m).op("i32.add").set(l);
  }
  /** What is on the stack, divided by n and rounded up; unsigned. */
  ceilDiv(n: number): this {
    return this.i32(n - 1)
      .op("i32.add")
      .i32(n)
      .op("i32.div_u");
  }
  /** while-less counted loop: `do body while (--counter)`; the counter must be ≥ 1. */
  repeat(counter: Local, body: () => void): this {
    this.loop();
    body();
    return this.get(counter).i32(1).op("i32.sub").tee(counter).brIf(0).end();
  }
}

interface Func {
  readonly type: number;
  readonly body: FunctionBuilder;
  readonly exported: string | undefined;
}

/** A module that imports one memory and the scratch address (the driver: the table too), and exports functions. */
export class ModuleBuilder {
  readonly #types: string[] = [];
  readonly #functions: Func[] = [];
  readonly #shared = new Map<string, number>();

  /** Adds a function; returns its index. */
  func(
    params: readonly WasmType[],
    results: readonly WasmType[],
    write: (f: FunctionBuilder) => void,
    exported?: string,
  ): number {
    const body = new FunctionBuilder(params, results);
    write(body); // may add helper functions first
    return this.#functions.push({ type: this.type(params, results), body, exported }) - 1;
  }

  /** Number of a function type. */
  type(params: readonly WasmType[], results: readonly WasmType[]): number {
    const key = `${params}>${results}`;
    const known = this.#types.indexOf(key);
    return known < 0 ? this.#types.push(key) - 1 : known;
  }

  /** A helper that several kernels call: made once per key and module. */
  once(key: string, make: () => number): number {
    const known = this.#shared.get(key);
    if (known !== undefined) return known;
    const index = make();
    this.#shared.set(key, index);
    return index;
  }

  /** Exports an existing function under one more name. */
  readonly exports = new Map<string, number>();

  build(memory: MemoryLimits = {}, table = false): Uint8Array<ArrayBuffer> {
    const out = byteSink();
    out.bytes([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    section(out, 1, (s) => {
      s.u32(this.#types.length);
      for (const t of this.#types) {
        const [params = "", results = ""] = t.split(">");
        s.byte(0x60);
        for (const list of [params, results]) {
          const types = list ? (list.split(",") as WasmType[]) : [];
          s.u32(types.length);
          for (const x of types) s.byte(typeCode[x]);
        }
      }
    });
    section(out, 2, (s) => {
      s.u32(table ? 3 : 2);
      if (table) s.name("env").name("table").bytes([1, 0x70, 0, 0]);
      s.name("env").name("scratch").bytes([3, 0x7f, 1]).name("env").name("memory").byte(2);
      writeLimits(s, memory);
    });
    section(out, 3, (s) => {
      s.u32(this.#functions.length);
      for (const f of this.#functions) s.u32(f.type);
    });
    const exported = [
      ...this.#functions.flatMap((f, i) => (f.exported === undefined ? [] : [[f.exported, i] as const])),
      ...this.exports,
    ];
    section(out, 7, (s) => {
      s.u32(exported.length);
      for (const [name, i] of exported) s.name(name).byte(0).u32(i);
    });
    section(out, 10, (s) => {
      s.u32(this.#functions.length);
      for (const f of this.#functions) writeBody(s, f.body);
    });
    return out.take();
  }
}

function writeBody(out: ByteSink, f: FunctionBuilder): void {
  const body = byteSink();
  const runs: [number, WasmType][] = [];
  for (const t of f.locals) {
    const last = runs[runs.length - 1];
    if (last && last[1] === t) last[0]++;
    else runs.push([1, t]);
  }
  body.u32(runs.length);
  for (const [n, t] of runs) body.u32(n).byte(typeCode[t]);
  body.append(f.code).byte(0x0b);
  out.u32(body.length).append(body);
}
