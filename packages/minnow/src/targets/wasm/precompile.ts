// Plans and code ahead of time: what WasmModel.bind finds out and emits for the shapes of a graph that was read
// from a file, on an engine of a given name, as bytes for that file (stored.ts). A conversion does this once, so
// that a start does not.
import { compile } from "../../compiler/compile.js";
import type { Program } from "../../compiler/program.js";
import { isConcrete } from "../../graph/dim.js";
import { type DType, dtypes, newArray, type TypedArray } from "../../graph/dtype.js";
import type { Graph, Tensor } from "../../graph/graph.js";
import type { Precompiled, PrecompiledSet } from "../../graph/precompiled.js";
import { dataId, isSmall } from "../../graph/released.js";
import { ModuleBuilder } from "./assembler.js";
import { type Dot, type EngineName, presets } from "./engine.js";
import type { Packed, PlannedKernel } from "./kernel.js";
import { takes } from "./kernels/index.js";
import { emitAll, missingCode, planSteps } from "./prepare.js";
import { addFours, addFusing } from "./fusing.js";
import {
  abi,
  checkOf,
  type Stored,
  type StoredConstant,
  type StoredPacked,
  type StoredPort,
  storeView,
  storeWord,
} from "./stored.js";
import { costs } from "./views.js";

/** Bytes that the compiler made, of all plans together, are stored up to this many. */
const mostData = 1 << 20;

/** Why a model stays without: what its plans hold cannot be stored. */
export class NotStorable extends Error {}

/**
 * @param graph read from a .minnow file
 * @param weights the file's bytes from its weights on, in the same buffer as the graph's constants
 * @throws NotStorable; ModelError as compile()
 */
export async function precompile(
  graph: Graph,
  weights: Uint8Array,
  engines: readonly EngineName[],
): Promise<PrecompiledSet> {
  const dims = batchOfOne(graph);
  if (graph.tensors().some((t) => t.dtype === "string")) throw new NotStorable("it holds text");
  const program = compile(graph, { dims }, { takes });
  const data = new Pool(weights);
  const list: Precompiled[] = [];
  for (const engine of engines) list.push(await store(graph, program, engine, data));
  // What is for old engines and `deterministic` alone is not worth its bytes.
  if (list.some(isLeftOut) && list.every((p) => p.engine === "baseline" || isLeftOut(p)))
    throw new NotStorable("which 8-bit products are fast is found out on the engine");
  return { data: data.take(), list };
}

/** What is planned for where only the batch is free, as exporters leave it: most calls have one picture. */
function batchOfOne(graph: Graph): Record<string, number> {
  const dims: Record<string, number> = {};
  for (const { shape } of graph.inputs) {
    const [batch, ...others] = shape;
    if (typeof batch === "string" && /^[\w.]+$/.test(batch)) dims[batch] = 1;
    else others.push(batch ?? 1);
    if (!isConcrete(others)) throw new NotStorable("its input shapes are free");
  }
  return dims;
}

async function store(graph: Graph, program: Program, name: EngineName, data: Pool): Promise<Precompiled> {
  const engine = presets[name];
  const nothing = (): boolean => false;
  const planned = await planSteps(program, engine, nothing);
  const other = await otherwise(program, name, planned);
  if (other && other !== "usdot") return sealed(name, none, none);
  const missing = missingCode(planned, { hasKernel: nothing, hasPacked: nothing });
  const m = new ModuleBuilder();
  emitAll(m, missing);
  if (engine.fma) addFusing(m);
  if (other) addFours(m);
  const stored: Stored = {
    ...new Storer(program, [...missing.keys()], data).all(planned),
    ports: { inputs: graph.inputs.map(port), outputs: graph.outputs.map(port) },
    small: smallConstants(graph, data.weights),
  };
  return sealed(name, new TextEncoder().encode(JSON.stringify(stored, finite)), m.build());
}

function sealed(engine: EngineName, plan: Uint8Array, code: Uint8Array): Precompiled {
  const made = { engine, abi, plan, code };
  return { ...made, check: checkOf(made) };
}

const none = new Uint8Array();

/** Engines of this name make their plans themselves. */
const isLeftOut = (p: Precompiled): boolean => p.code.length === 0;

const port = ({ name, dtype, shape, kind, quant, aliases }: Tensor): StoredPort => ({
  name,
  dtype,
  shape,
  kind,
  ...(quant && { quant }),
  ...(aliases && { aliases }),
});

function smallConstants(graph: Graph, weights: Uint8Array): [number, number][] {
  const found = new Map<number, number>();
  for (const { data } of graph.tensors())
    if (data && isSmall(data)) found.set(data.byteOffset - weights.byteOffset, data.byteLength);
  return [...found];
}

/** The 8-bit products that an engine of a name may have. Whether they are "usdot", which comes last, code can be asked. */
const dots: Record<EngineName, readonly Dot[]> = {
  baseline: [],
  fma: ["relaxed", "usdot"],
  wide: ["relaxed", "usdot"],
  arm: ["sdot"],
};

/** The first of them that has another plan, which is faster. */
async function otherwise(
  program: Program,
  name: EngineName,
  planned: readonly (PlannedKernel | null)[],
): Promise<Dot | undefined> {
  for (const dot of dots[name]) {
    const other = await planSteps(program, { ...presets[name], dot }, () => false);
    if (other.some((p, i) => p?.key !== planned[i]?.key)) return dot;
  }
  return undefined;
}

function finite(key: string, v: unknown): unknown {
  if (typeof v === "number" && !Number.isFinite(v)) throw new NotStorable(`${key} is ${v}`);
  return v;
}

/** Bytes that are in no file yet; equal ones once. */
class Pool {
  readonly #parts = new Map<string, { readonly at: number; readonly bytes: Uint8Array }>();
  #size = 0;
  constructor(readonly weights: Uint8Array) {}

  add(bytes: Uint8Array): number {
    const key = bytes.join();
    const known = this.#parts.get(key);
    if (known) return known.at;
    const at = this.#size;
    this.#parts.set(key, { at, bytes });
    this.#size = (at + bytes.length + 7) & ~7;
    if (this.#size > mostData) throw new NotStorable("too much of its constants is made by script");
    return at;
  }

  take(): Uint8Array {
    const all = new Uint8Array(this.#size);
    for (const { at, bytes } of this.#parts.values()) all.set(bytes, at);
    return all;
  }
}

class Storer {
  /** Numbers by identity. */
  readonly #constants = new Map<string, number>();
  readonly #list: StoredConstant[] = [];
  readonly #packed = new Map<string, number>();
  readonly #packs: StoredPacked[] = [];

  constructor(
    readonly program: Program,
    readonly kernels: readonly string[],
    readonly pool: Pool,
  ) {}

  all(planned: readonly (PlannedKernel | null)[]): Omit<Stored, "ports" | "small"> {
    const { buffers, steps, inputs, outputs, ...rest } = this.program;
    return {
      ...rest,
      // Before the kernels, whose packed weights name these constants.
      buffers: buffers.map(({ data, ...b }) => (data ? { ...b, constant: this.#constant(data) } : b)),
      steps: steps.map((step) => {
        const { nest, values, params, ...s } = step;
        const { reads, writes } = costs(step);
        const parts = { params: nest ? {} : params, values: values.map((v) => storeView(v, !nest)) };
        return { ...s, reads, writes, ...parts };
      }),
      inputs: inputs.map((p) => [p.name, storeView(p.view, true)]),
      outputs: outputs.map((p) => [p.name, storeView(p.view, true)]),
      planned: planned.map((p) => p && this.#kernel(p)),
      packed: this.#packs,
      constants: this.#list,
      kernels: this.kernels,
    };
  }

  #kernel({ key, emit: _, args, packed, ...p }: PlannedKernel): NonNullable<Stored["planned"][number]> {
    return {
      ...p,
      kernel: this.kernels.indexOf(key),
      args: args.map(storeWord),
      packed: packed.map((x) => this.#pack(x)),
    };
  }

  #constant(a: TypedArray): number {
    const known = this.#constants.get(dataId(a));
    if (known !== undefined) return known;
    const { weights } = this.pool;
    const inFile = a.buffer === weights.buffer && a.byteOffset >= weights.byteOffset;
    const at = inFile
      ? a.byteOffset - weights.byteOffset
      : this.pool.add(new Uint8Array(a.buffer, a.byteOffset, a.byteLength));
    this.#constants.set(dataId(a), this.#list.length);
    const dtype = dtypes.find((t) => t !== "string" && newArray(t, 0).constructor === a.constructor);
    this.#list.push([dtype as DType, inFile ? 0 : 1, at, a.length]);
    return this.#list.length - 1;
  }

  /** Constants have other identities in every process. */
  #stored(key: string): string {
    return key.replace(/#\d+/g, (id) => {
      const number = this.#constants.get(id);
      if (number === undefined) throw new NotStorable(`${key} is of no constant`);
      return `@${number}`;
    });
  }

  #pack(p: Packed): number {
    const known = this.#packed.get(p.key);
    if (known !== undefined) return known;
    const made = p.pack ? { pack: this.#recipe(p.pack) } : this.#bytes(filled(p));
    this.#packs.push({ key: this.#stored(p.key), bytes: p.bytes, ...made });
    this.#packed.set(p.key, this.#packs.length - 1);
    return this.#packs.length - 1;
  }

  #bytes(made: Uint8Array): Pick<StoredPacked, "at" | "word"> {
    const [word = 0, ...others] = made.length % 4 ? [] : new Int32Array(made.buffer, 0, made.length / 4);
    return others.length > 0 && others.every((w) => w === word) ? { word } : { at: this.pool.add(made) };
  }

  #recipe(p: NonNullable<Packed["pack"]>): NonNullable<StoredPacked["pack"]> {
    if (p.prepare) throw new NotStorable(`${p.key} needs what planning finds out`);
    const begins: [number, ...[number, number][]] = [p.begins(0)];
    for (let u = 0; u < p.extent; u++) {
      const step = p.begins(u + 1) - p.begins(u);
      const last = begins.at(-1);
      if (typeof last === "object" && last[0] === step) last[1]++;
      else begins.push([step, 1]);
    }
    const [words, moved] = [p.words(0), p.words(64)];
    const addressed = words.flatMap((w, i) => (moved[i] === w ? [] : [i]));
    if (addressed.some((i) => (moved[i] as number) - (words[i] as number) !== 64))
      throw new NotStorable(`${p.key} uses its address otherwise`);
    return {
      source: this.#constant(p.source),
      kernel: this.kernels.indexOf(p.key),
      extent: p.extent,
      begins,
      words,
      addressed,
    };
  }
}

function filled(p: Packed): Uint8Array {
  if (p.bytes > mostData) throw new NotStorable("too much of its constants is made by script");
  const memory = new ArrayBuffer(Math.ceil(p.bytes / 8) * 8);
  p.fill?.(memory, 0);
  return new Uint8Array(memory, 0, p.bytes);
}
