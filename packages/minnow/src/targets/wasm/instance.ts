// A model on WebAssembly: one memory, the kernels compiled so far, the weights packed so far, and any
// number of bound programs (one a shape) that share them. A bound program owns its argument blocks and
// tables; arena and scratch are as large as the largest program needs.
import type { Program, Step, View } from "../../compiler/program.js";
import type { TypedArray } from "../../graph/dtype.js";
import { ModelError } from "../../error.js";
import { drop, isReleased, released } from "../../graph/released.js";
import type { HostKernel } from "../host/index.js";
import type { Crew } from "./crew.js";
import type { MemoryLimits } from "./imports.js";
import { bringIn, type Constants, type Into, takeIn } from "./intake.js";
import type { PlannedKernel, Prepared } from "./kernel.js";
import { ModelMemory } from "./memory.js";
import { type PackCode, stagingBytes } from "./packing.js";
import { type Driver, driver, stepBytes } from "./driver.js";
import { BoundProgram, type Call, type MemoryUse, type WasmOptions } from "./bound.js";
import { constantBuffers, costs, givenBack, indexError, rawKey } from "./views.js";
import { portArrays, writeSteps } from "./steps.js";

const minimumZeros = 4096;

export class WasmModel {
  private readonly maxMemory: number;
  private readonly crew: Crew | undefined;
  readonly #memory: ModelMemory;
  #driver: Driver | null = null;
  /** Kernels by key: their numbers in the table. */
  readonly #kernels = new Map<string, number>();
  private other = 0;
  /** Modules compiled so far: rises only when a bind needed new kernels. */
  modulesCompiled = 0;
  /** Kernels compiled so far: different code, shared by steps and shapes. */
  get kernelsCompiled(): number {
    return this.#kernels.size;
  }
  /** Bytes of all modules compiled. */
  codeBytes = 0;
  /** Told when a program is run by one thread from now on, and why. */
  onDrop: ((reason: string) => void) | undefined;

  constructor(options: WasmOptions = {}) {
    this.maxMemory = options.maxMemory ?? 2 ** 31;
    this.crew = options.crew;
    this.#memory = new ModelMemory(this.crew);
  }

  hasKernel(key: string): boolean {
    return this.#kernels.has(key);
  }

  /** Packed weights, and constants as they are. */
  hasPacked(key: string): boolean {
    return this.#memory.shared.has(key);
  }

  /** Of the memory that modules are made for. */
  get limits(): MemoryLimits | undefined {
    return this.crew?.limits;
  }

  /**
   * Adds the code, packs what is missing, places the rest. The bound program holds no large constants: they are
   * in memory.
   * @param last called when constants are read for the last time: what is packed now is kept for all
   * later programs, and buffers are shrunk as they are read
   */
  async bind(prepared: Prepared, last?: () => void): Promise<BoundProgram> {
    const { program, planned } = prepared;
    const host: Readonly<Record<string, HostKernel>> = planned.includes(null)
      ? (await import("../host/index.js")).hostKernels
      : {};
    const bound = new BoundProgram(
      withoutWeights(program),
      planned.map((p, i) => p?.label ?? (program.steps[i]?.kernel as string)),
    );
    if (prepared.code) await this.#install(prepared, prepared.code);
    const constants = this.#allocate(program, bound, planned, host, last);
    const into: Into = {
      memory: new Uint8Array(this.#memory.buffer),
      staging: constants.staging,
      code: (key) => this.#memory.imports.env.table.get(this.#kernels.get(key) as number) as PackCode,
    };
    const { rest } = prepared;
    bringIn(rest ? await takeIn(rest, constants, into) : constants, into, !!last);
    if (rest) drop(rest.bytes.buffer);
    if (constants.staging !== this.#memory.regions.arena.at) this.#memory.release(constants.staging);
    return bound;
  }

  /** Gives back what only this program used. */
  unbind(bound: BoundProgram): void {
    for (const key of bound.constants) {
      const s = this.#memory.shared.get(key);
      if (!s || --s.users > 0) continue;
      this.#memory.release(s.at);
      this.#memory.shared.delete(key);
    }
    if (bound.stepsAt >= 0) this.#memory.release(bound.stepsAt);
    bound.constants = [];
    bound.calls = [];
    bound.ports = null;
  }

  /** @throws ModelError out_of_memory, unsupported where constants have been given back */
  checkMemory(program: Program, planned: readonly (PlannedKernel | null)[]): void {
    const packed = new Map(planned.flatMap((p) => p?.packed ?? []).map((p) => [p.key, p.bytes]));
    let weights = 0;
    for (const [key, bytes] of packed) if (!this.#memory.shared.has(key)) weights += bytes;
    for (const b of constantBuffers(program, planned)) {
      if (this.#memory.shared.has(rawKey(b))) continue;
      if (isReleased(b)) throw givenBack(program, b);
      weights += b.byteLength;
    }
    const scratch = this.#scratchBytes(planned);
    const grown = Math.max(0, program.arenaBytes - this.#memory.regions.arena.bytes);
    const total = weights + grown + scratch + this.#memory.buffer.byteLength;
    const mb = (n: number): string => `${(n / 1048576).toFixed(1)} MB`;
    if (total > this.maxMemory)
      throw new ModelError(
        "out_of_memory",
        `the model needs ${mb(total)}, maxMemory is ${mb(this.maxMemory)}: weights ${mb(weights)}, activations ${mb(program.arenaBytes)}`,
        { hint: "raise maxMemory, bind smaller dimensions, or quantise the model" },
      );
  }

  async #install(
    { kernels: keys, module: compiled }: Prepared,
    code: Uint8Array<ArrayBuffer>,
  ): Promise<void> {
    const imports = this.#memory.imports;
    const module = compiled ?? (await WebAssembly.compile(code));
    const instance = await WebAssembly.instantiate(module, imports);
    const first = imports.env.table.grow(keys.length);
    await this.crew?.add(module, imports, first);
    this.#driver ??= this.crew?.alone ?? driver(imports);
    keys.forEach((key, i) => {
      imports.env.table.set(first + i, instance.exports[`k${i}`]);
      this.#kernels.set(key, first + i);
    });
    this.modulesCompiled++;
    this.codeBytes += code.length;
  }

  #allocate(
    program: Program,
    bound: BoundProgram,
    planned: readonly (PlannedKernel | null)[],
    host: Readonly<Record<string, HostKernel>>,
    last: (() => void) | undefined,
  ): Constants & { readonly staging: number } {
    const { raw, made, packs }: Constants = { raw: [], made: [], packs: [] };
    /** The address of what is not there yet. */
    const share = (key: string, bytes: number, stored = bytes): number | null => {
      bound.constants.push(key);
      const known = this.#memory.shared.get(key);
      if (known) known.users++;
      else
        this.#memory.shared.set(key, {
          at: this.#memory.allocate(bytes),
          bytes,
          stored,
          users: last ? 2 : 1,
        });
      return known ? null : (this.#memory.shared.get(key)?.at as number);
    };
    for (const data of constantBuffers(program, planned)) {
      const at = share(rawKey(data), data.byteLength);
      if (at === null) continue;
      raw.push({ what: data, at });
    }
    for (const p of new Map(planned.flatMap((p) => p?.packed ?? []).map((p) => [p.key, p])).values()) {
      const at = share(p.key, p.bytes, p.pack && p.pack.begins(p.pack.extent) - p.pack.begins(0));
      if (at === null) continue;
      if (p.pack) packs.push({ what: p.pack, at });
      else made.push({ what: p, at });
    }
    let args = planned.length * stepBytes;
    let work = 0;
    bound.calls = planned.map((p, step) => {
      const at = args;
      const grain = Math.max(1, p?.grain ?? 1);
      const cut =
        p &&
        this.crew?.cut({
          weights: p.unit && p.unit > 1 ? sum(p.packed.map((x) => x.bytes)) : 0,
          ...p,
          grain,
          unit: p.unit ?? grain,
          ...costs(program.steps[step] as Step),
        });
      work += cut?.work ?? 0;
      args += 4 * (p?.args.length ?? 0);
      return {
        kernel: p ? (this.#kernels.get(p.key) as number) : 0,
        host: p ? null : (host[program.steps[step]?.kernel as string] ?? null),
        step,
        args: at,
        words: p?.args ?? [],
        extent: p?.extent ?? 1,
        grain: cut?.grain ?? grain,
        chunks: cut?.chunks ?? 0,
        packed: p?.packed.map((x) => x.key) ?? [],
      };
    });
    bound.stepsAt = this.#memory.allocate(args);
    this.other += args;
    bound.trial = this.crew?.trial(work);
    this.#memory.region("scratch", this.#scratchBytes(planned));
    this.#memory.region("zeros", Math.max(minimumZeros, ...planned.map((p) => p?.zeroBytes ?? 0)));
    this.#memory.region("arena", program.arenaBytes);
    // The arena is idle during a bind: where it is large enough, weights are staged there.
    const needed = stagingBytes(packs.map((p) => p.what));
    const { arena } = this.#memory.regions;
    const staging = arena.bytes < needed ? this.#memory.allocate(needed) : arena.at;
    this.#memory.grow();
    last?.();
    return { raw, made, packs, staging };
  }

  #scratchBytes(planned: readonly (PlannedKernel | null)[]): number {
    const each = Math.max(64, ...planned.map((p) => p?.scratchBytes ?? 0)); // the mark, at least
    const { crew } = this;
    return crew ? crew.size * 128 * Math.ceil(each / 128 + 2) : each; // cache lines of its own for each thread
  }

  /**
   * Runs the program. `inputs` and `outputs` are arrays of storage elements in the program's order;
   * outputs that are not given are made, and put into the list. `onStep` is told the milliseconds of each step.
   * @throws ModelError index_out_of_range, disposed
   */
  run(
    bound: BoundProgram,
    inputs: readonly TypedArray[],
    into: (TypedArray | undefined)[] = [],
    onStep?: (step: number, ms: number) => void,
  ): TypedArray[] {
    this.#begin(bound, inputs);
    const steps = bound.calls.length;
    if (!onStep) this.#timed(bound, steps);
    else
      for (let i = 0; i < steps; i++) {
        const start = performance.now();
        this.#steps(bound, i, i + 1);
        onStep(i, performance.now() - start);
      }
    return this.#end(bound, into);
  }

  /** As run; `between` is called before each step: it may throw, or give something to wait for. */
  async runInSlices(
    bound: BoundProgram,
    inputs: readonly TypedArray[],
    into: (TypedArray | undefined)[],
    between: () => Promise<void> | undefined,
  ): Promise<void> {
    this.#begin(bound, inputs);
    for (let i = 0; i < bound.calls.length; i++) {
      const wait = between();
      if (wait) await wait;
      this.#steps(bound, i, i + 1);
    }
    this.#end(bound, into);
  }

  #timed(bound: BoundProgram, steps: number): void {
    const { trial } = bound;
    if (!trial) return this.#steps(bound, 0, steps);
    trial.begin();
    const start = performance.now();
    this.#steps(bound, 0, steps);
    const dropped = trial.end(performance.now() - start);
    if (dropped !== undefined) this.onDrop?.(dropped);
  }

  #begin(bound: BoundProgram, inputs: readonly TypedArray[]): void {
    writeSteps(this.#memory, bound);
    const ports = portArrays(this.#memory, bound);
    for (let i = 0; i < ports.inputs.length; i++)
      (ports.inputs[i] as Int32Array).set(inputs[i] as Int32Array);
    ports.error[0] = 0;
  }

  /** Steps from…to−1: those between host steps by one call. */
  #steps(bound: BoundProgram, from: number, to: number): void {
    const { crew } = this;
    const drive = crew && bound.trial?.threaded ? crew.together : this.#driver;
    for (let i = from; i < to; ) {
      const c = bound.calls[i++] as Call;
      if (c.host) {
        this.#runHost(bound, c);
        continue;
      }
      while (i < to && !bound.calls[i]?.host) i++;
      const last = bound.stepsAt + i * stepBytes;
      const at = drive?.(bound.stepsAt + c.step * stepBytes, last);
      if (at !== last) indexError(bound.program.steps[((at as number) - bound.stepsAt) / stepBytes]);
    }
  }

  /** A copy of what is there is made faster than an array to copy to, and its pages are touched once. */
  #end(bound: BoundProgram, into: (TypedArray | undefined)[]): TypedArray[] {
    const { outputs } = portArrays(this.#memory, bound);
    for (let i = 0; i < outputs.length; i++) {
      const target = into[i];
      if (target) (target as Int32Array).set(outputs[i] as Int32Array);
      else into[i] = (outputs[i] as TypedArray).slice();
    }
    return into as TypedArray[];
  }

  #runHost(bound: BoundProgram, c: Call): void {
    const step = bound.program.steps[c.step];
    if (!step || !c.host) return;
    const tensor = (i: number) => {
      const v = step.values[i] as View;
      return {
        data: this.#memory.array(bound.program, v),
        shape: v.shape,
        dtype: v.dtype,
        ...(v.quant && { quant: v.quant }),
      };
    };
    c.host(step.params, (step.reads ?? []).map(tensor), (step.writes ?? []).map(tensor));
  }

  memoryUse(): MemoryUse {
    const use = this.#memory.use();
    return { ...use, other: use.other + this.other };
  }

  /** Drops the memory, all code, and the crew. */
  dispose(): Promise<void> | undefined {
    this.#memory.drop();
    this.#driver = null;
    this.#kernels.clear();
    return this.crew?.dispose();
  }
}

/** The program with large constants named only (see released.ts), so that their bytes can go. */
const withoutWeights = (p: Program): Program => ({
  ...p,
  buffers: p.buffers.map((b) => (b.data ? { ...b, data: released(b.data) } : b)),
});

const sum = (a: readonly number[]): number => a.reduce((x, y) => x + y, 0);
