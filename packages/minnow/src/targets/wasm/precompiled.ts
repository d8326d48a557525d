// A plan and its code from a .minnow file (stored.ts), ready to be bound as if planned here. Whatever does not
// fit (another form of calls, damaged bytes, an engine that refuses the code) is passed over: the graph is there.
import type { Program } from "../../compiler/program.js";
import { arrayFromBytes, type TypedArray } from "../../graph/dtype.js";
import { setData } from "../../graph/deferred.js";
import { isConcrete } from "../../graph/dim.js";
import { Graph } from "../../graph/graph.js";
import type { Precompiled, PrecompiledFile } from "../../graph/precompiled.js";
import { dataId, isSmall, ownSmallConstants, released } from "../../graph/released.js";
import { isX86 } from "./arch.js";
import { type MemoryLimits, moduleImports, withLimits } from "./imports.js";
import type { EngineName } from "./engine.js";
import type { Packed, PlannedKernel, Prepared } from "./kernel.js";
import { type Fusing, fuses, sumsFours } from "./fusing.js";
import {
  abi,
  checkOf,
  type Stored,
  type StoredConstant,
  type StoredPacked,
  viewOf,
  wordOf,
} from "./stored.js";

/** Plan and code for one program. */
export interface Ready extends Prepared {
  readonly engine: EngineName;
  /** Inputs, outputs and what the file says beyond arithmetic: no nodes. */
  readonly ports: Graph;
  /** The shapes of inputs that it is for. */
  readonly shapes: readonly (readonly number[])[];
  /** Others will be asked for as well: constants are not given back. */
  readonly free: boolean;
  /** Keeps what is needed to plan other shapes, without the file's bytes if they are to go; gives what reads the graph. */
  keep(): () => Promise<Graph>;
}

/**
 * What the file has for this engine, if it is whole, and right here.
 * @param engine what is known of it; undefined: nothing, so the code itself is asked
 * @param shared the memory that modules import, where threads share it
 */
export async function findPrecompiled(
  file: PrecompiledFile,
  engine: EngineName | undefined,
  shared?: { readonly memory: WebAssembly.Memory; readonly limits: MemoryLimits },
): Promise<Ready | undefined> {
  for (const name of namesFor(engine)) {
    const made = file.list.find((p) => p.engine === name && p.abi === abi);
    if (!made || made.check !== checkOf(made)) continue;
    // Planned here it is faster.
    if (made.code.length === 0) return undefined;
    try {
      const code = withLimits(made.code.slice(), shared?.limits); // no compiler takes a buffer that may shrink
      const compiled = WebAssembly.compile(code);
      compiled.catch(() => {}); // read() may fail first
      const rest = read(file, made); // meanwhile
      if (rest.free) await file.rest?.all();
      const module = await compiled;
      const ready = { engine: name, ...rest, code, module };
      if (name === "baseline") return ready;
      const asked = await ask(module, shared?.memory);
      if (sumsFours(asked)) return undefined;
      if (fuses(asked)) return ready;
    } catch {
      // An engine without relaxed SIMD; or not of the form that its check vouches for.
    }
  }
  return undefined;
}

/** Code for Arm is no more than code for engines that fuse. */
function namesFor(engine: EngineName | undefined): EngineName[] {
  if (engine) return engine === "arm" ? ["arm", "fma"] : [engine];
  return [...(isX86() ? [] : (["arm"] as const)), "fma", "baseline"];
}

async function ask(module: WebAssembly.Module, shared?: WebAssembly.Memory): Promise<Fusing> {
  const imports = moduleImports(shared ?? new WebAssembly.Memory({ initial: 0 }));
  const { exports } = await WebAssembly.instantiate(module, imports);
  return exports as unknown as Fusing;
}

function read(file: PrecompiledFile, made: Precompiled): Omit<Ready, "engine" | "code" | "module"> {
  const stored = JSON.parse(new TextDecoder().decode(made.plan.slice())) as Stored;
  for (const [at, bytes] of stored.small) checkThere(file, at, bytes);
  const { program, planned, large } = new Reader(file, stored);
  const ports = new Graph();
  ports.inputs = stored.ports.inputs.map((p) => ({ ...p }));
  ports.outputs = stored.ports.outputs.map((p) => ({ ...p }));
  ports.meta = file.meta;
  const free = !ports.inputs.every((t) => isConcrete(t.shape));
  return {
    program,
    planned,
    kernels: stored.kernels,
    rest: free ? undefined : file.rest,
    ports,
    shapes: program.inputs.map((p) => p.view.shape),
    free,
    keep() {
      if (free) return async () => identify(...(await file.whole()), large);
      const whole = file.keep(stored.small);
      const standIns = new Map([...large].map(([at, data]) => [at, released(data)]));
      return async () => revive(...(await whole()), standIns);
    },
  };
}

/** What is read now must be there now. */
function checkThere({ rest, weights }: PrecompiledFile, at: number, bytes: number): void {
  if (rest && weights.byteOffset - rest.bytes.byteOffset + at + bytes > rest.from)
    throw new RangeError("still to come");
}

/** Constants that the plan has packed are known by their places: they need not be packed again. */
function identify(graph: Graph, weights: number, known: ReadonlyMap<number, TypedArray>): Graph {
  for (const t of graph.tensors()) {
    const same = t.kind === "constant" && t.data && known.get(t.data.byteOffset - weights);
    if (same && same.constructor === t.data?.constructor && same.length === t.data.length) setData(t, same);
  }
  return graph;
}

/** Large constants are what was packed of them. */
function revive(graph: Graph, weights: number, standIns: ReadonlyMap<number, TypedArray>): Graph {
  for (const t of graph.tensors())
    if (t.kind === "constant" && t.data && !isSmall(t.data))
      setData(t, standIns.get(t.data.byteOffset - weights) ?? released(t.data));
  ownSmallConstants(graph);
  return graph;
}

class Reader {
  readonly program: Program;
  readonly planned: readonly (PlannedKernel | null)[];
  /** Constants of the file that are not copied, by their place in the weights. */
  readonly large = new Map<number, TypedArray>();
  readonly #constants: readonly TypedArray[];
  readonly #packed: readonly Packed[];

  constructor(file: PrecompiledFile, stored: Stored) {
    this.#constants = stored.constants.map((c) => this.#constant(file, c));
    this.#packed = stored.packed.map((p) => this.#pack(p, file.data, stored.kernels));
    this.planned = stored.planned.map(
      (p) =>
        p && {
          ...p,
          key: stored.kernels[p.kernel] as string,
          args: p.args.map(wordOf),
          packed: p.packed.map((i) => this.#packed[i] as Packed),
          emit: emitted,
        },
    );
    const { buffers, steps, inputs, outputs, ...rest } = stored;
    this.program = {
      ...rest,
      buffers: buffers.map(({ constant, ...b }) =>
        constant === undefined ? b : { ...b, data: this.#constants[constant] as TypedArray },
      ),
      steps: steps.map((s) => ({ ...s, values: s.values.map(viewOf) })),
      inputs: inputs.map(([name, view]) => ({ name, view: viewOf(view) })),
      outputs: outputs.map(([name, view]) => ({ name, view: viewOf(view) })),
    };
  }

  #constant(file: PrecompiledFile, [dtype, where, at, length]: StoredConstant): TypedArray {
    const bytes = where === 0 ? file.weights : file.data;
    const made = arrayFromBytes(dtype, bytes.subarray(at)).subarray(0, length) as TypedArray;
    if (made.length !== length) throw new RangeError("beyond the file");
    // Elements at an odd place are a copy.
    if (where === 0 && (isSmall(made) || made.buffer !== bytes.buffer)) checkThere(file, at, made.byteLength);
    if (isSmall(made)) return made.slice() as TypedArray; // nothing of the file is kept alive
    if (where === 0) this.large.set(at, made);
    return made;
  }

  #pack(p: StoredPacked, data: Uint8Array, kernels: readonly string[]): Packed {
    const { bytes, pack, word, at = 0 } = p;
    const key = p.key.replace(/@(\d+)/g, (_, n) => dataId(this.#constants[n] as TypedArray));
    if (!pack)
      return {
        key,
        bytes,
        fill(memory, to) {
          if (word !== undefined) new Int32Array(memory, to, bytes / 4).fill(word);
          else new Uint8Array(memory, to, bytes).set(data.subarray(at, at + bytes));
        },
      };
    const source = this.#constants[pack.source] as TypedArray;
    const begins = placesOf(pack, source.byteLength);
    return {
      key,
      bytes,
      pack: {
        source,
        key: kernels[pack.kernel] as string,
        emit: emitted,
        extent: pack.extent,
        begins: (unit) => begins[unit] as number,
        words: (address) => pack.words.map((w, i) => (pack.addressed.includes(i) ? w + address : w)),
      },
    };
  }
}

const emitted = (): never => {
  throw new TypeError("the code is there");
};

/** Where each unit of a pack begins, and where the last one ends: at most one a byte of the source. */
function placesOf(
  { begins: [at, ...runs], extent }: NonNullable<StoredPacked["pack"]>,
  bytes: number,
): number[] {
  if (extent > bytes) throw new RangeError("more units than bytes");
  const places = [at];
  for (const [step, times] of runs)
    for (let i = 0; i < times && places.length <= extent; i++) places.push((places.at(-1) as number) + step);
  if (places.length !== extent + 1 || !((places[extent - 1] ?? 0) <= bytes))
    throw new RangeError("units beyond the source");
  return places;
}
