// The CPU device: runs a graph of concrete shapes on WebAssembly, generated here or ahead of time.
import type { Program, View } from "../compiler/program.js";
import { isConcrete } from "../graph/dim.js";
import type { TypedArray } from "../graph/dtype.js";
import type { Graph } from "../graph/graph.js";
import type { PrecompiledFile } from "../graph/precompiled.js";
import { ownSmallConstants, releaseConstants } from "../graph/released.js";
import { ModelError } from "../error.js";
import type { Binding } from "../ops/infer.js";
import type { Crew } from "../targets/wasm/crew.js";
import { type Engine, knownEngine, nameOf, presets } from "../targets/wasm/engine.js";
import { integerNotes } from "../targets/wasm/integer_notes.js";
import type { BoundProgram } from "../targets/wasm/bound.js";
import { WasmModel } from "../targets/wasm/instance.js";
import { findPrecompiled, type Ready } from "../targets/wasm/precompiled.js";
import { costs } from "../targets/wasm/views.js";
import { canShare } from "./sharing.js";
import { breathEvery, macrotask } from "./queue.js";
import { throwIfAborted } from "./arriving.js";
import type {
  ArenaPlan,
  Device,
  DeviceModel,
  DeviceOptions,
  MemoryUse,
  OpenedModel,
  Plan,
  PlannedStep,
  RawArray,
  StepHook,
} from "./device.js";

/** Plans and emits: on demand. */
export const planner = () => import("./planner.js");

export const wasmDevice: Device = {
  name: "wasm",
  async open(graph: Graph, options: DeviceOptions): Promise<DeviceModel> {
    check();
    const engine = (await planner()).engineFor(options);
    return new WasmDeviceModel(graph, options, engine, await crewFor(options));
  },
  async openPrecompiled(file: PrecompiledFile, options: DeviceOptions): Promise<OpenedModel | undefined> {
    check();
    const known = knownEngine();
    const wanted = options.deterministic ? "baseline" : known && nameOf(known);
    const crewed = await crewFor(options);
    const ready = await findPrecompiled(file, wanted, crewed.crew);
    if (ready && ready.program.operations <= (options.maxOperations ?? Number.POSITIVE_INFINITY))
      return {
        graph: ready.ports,
        model: new WasmDeviceModel(ready.ports, options, presets[ready.engine], crewed, ready),
      };
    await crewed.crew?.dispose();
    return undefined;
  },
};

function check(): void {
  if (typeof WebAssembly === "undefined")
    throw new ModelError("device", "this engine has no WebAssembly", {
      hint: "is it switched off, or forbidden by a CSP?",
    });
}

interface Crewed {
  readonly crew?: Crew;
  /** Why there is none. */
  readonly why: string;
}

const mostThreads = 32;

async function crewFor({ threads, maxMemory }: DeviceOptions): Promise<Crewed> {
  if (threads < 2) return { why: "" };
  const { memory, wait } = canShare();
  if (!memory)
    return { why: "no shared memory here: a page needs cross-origin isolation (the COOP and COEP headers)" };
  if (!wait) return { why: "a page's main thread must not wait: leave out worker: false" };
  try {
    const { openCrew } = await import("./threads.js"); // for those who ask for threads
    return { crew: await openCrew(Math.min(threads, mostThreads), maxMemory), why: "" };
  } catch (e) {
    return { why: `no thread could be started: ${e instanceof Error ? e.message : e}` };
  }
}

class WasmDeviceModel implements DeviceModel {
  private readonly wasm: WasmModel;
  readonly shapes: DeviceModel["shapes"];
  /** Kernels of the plan made last. */
  #labels: readonly string[] = [];
  /** All shapes are known, and none has been planned yet. */
  #fixed: boolean;
  #graph: () => Graph | Promise<Graph>;
  /** The plan made last came with the file. */
  #ahead = false;

  constructor(
    graph: Graph,
    private readonly options: DeviceOptions,
    private readonly engine: Engine,
    private readonly crewed: Crewed,
    /** A plan that is there: its shapes are asked for first. */
    private ready?: Ready,
  ) {
    this.shapes = ready?.shapes;
    const { crew } = crewed;
    this.wasm = new WasmModel({ maxMemory: options.maxMemory, crew });
    this.wasm.onDrop = options.onDrop;
    this.#graph = () => graph;
    this.#fixed = graph.inputs.every((t) => isConcrete(t.shape));
  }

  get notes(): readonly string[] {
    const { engine, options } = this;
    const ahead = this.#ahead ? ["plan and code came with the file"] : [];
    return [describe(engine, options.deterministic), ...ahead, ...integerNotes(this.#labels, engine.dot)];
  }

  async plan(binding: Binding): Promise<Plan> {
    const { ready } = this;
    this.ready = undefined;
    this.#ahead = !!ready;
    const bound = await (ready ? this.#bindReady(ready) : this.#bind(binding));
    this.#labels = bound.labels;
    return new WasmPlan(this.wasm, bound);
  }

  /** A model of fixed shapes needs its constants as stored only once. */
  async #bind(binding: Binding): Promise<BoundProgram> {
    const graph = await this.#graph();
    const last = this.#fixed ? () => releaseConstants(graph) : undefined;
    if (last) ownSmallConstants(graph);
    this.#fixed = false;
    const { plan } = await planner();
    return this.wasm.bind(await plan(graph, binding, this.options, this.engine, this.wasm), last);
  }

  /** The graph is read from what is kept of the file, if other shapes need it. */
  #bindReady(ready: Ready): Promise<BoundProgram> {
    this.#fixed = false;
    this.wasm.checkMemory(ready.program, ready.planned);
    const keep = (): void => {
      const read = ready.keep();
      let graph: Promise<Graph> | undefined;
      this.#graph = () => {
        graph ??= read();
        return graph;
      };
    };
    if (!ready.free) return this.wasm.bind(ready, keep);
    keep();
    return this.wasm.bind(ready);
  }

  memory(): MemoryUse {
    const { other: _, ...use } = this.wasm.memoryUse();
    return { ...use, code: this.wasm.codeBytes };
  }

  kernels(): number {
    return this.wasm.kernelsCompiled;
  }

  threads(): { used: number; reason: string } {
    return this.crewed.crew?.state() ?? { used: 1, reason: this.crewed.why };
  }

  dispose(): void | Promise<void> {
    return this.wasm.dispose();
  }
}

function describe(e: Engine, deterministic: boolean): string {
  const sums = e.fma ? "fused multiply-add (relaxed SIMD)" : "multiply and add";
  const why = deterministic ? " (deterministic)" : "";
  return `float32 tile ${e.f32.mr}×${e.f32.nr}, ${sums}${e.wide ? ", 256-bit pairs" : ""}${why}`;
}

class WasmPlan implements Plan {
  readonly inputs;
  readonly outputs;
  readonly steps: readonly PlannedStep[];
  readonly fusions;
  readonly arena: ArenaPlan;

  constructor(
    private readonly wasm: WasmModel,
    private readonly bound: BoundProgram,
  ) {
    const { program } = bound;
    const ports = (list: Program["inputs"]) =>
      list.map(({ name, view }) => ({ name, dtype: view.dtype, shape: view.shape }));
    this.inputs = ports(program.inputs);
    this.outputs = ports(program.outputs);
    this.steps = program.steps.map((s, i) => plannedStep(s, bound.labels[i] ?? s.kernel));
    this.fusions = program.fusions;
    this.arena = {
      bytes: program.arenaBytes,
      bound: program.boundBytes,
      buffers: program.buffers
        .filter((b) => b.space === "arena")
        .map(({ label, offset, bytes, first, last }) => ({ label, offset, bytes, first, last })),
    };
  }

  run(
    inputs: readonly RawArray[],
    outputs: (RawArray | undefined)[],
    onStep?: StepHook,
    signal?: AbortSignal,
  ): void | Promise<void> {
    const [given, into] = [inputs as readonly TypedArray[], outputs as (TypedArray | undefined)[]];
    if (signal && !onStep) return this.wasm.runInSlices(this.bound, given, into, breaths(signal));
    this.wasm.run(this.bound, given, into, onStep);
  }

  release(): void {
    this.wasm.unbind(this.bound);
  }
}

/** Between steps: stops an aborted run, and lets the event loop, which tells of aborts, have its turns. */
function breaths(signal: AbortSignal): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    throwIfAborted(signal);
    if (performance.now() - last < breathEvery) return;
    return macrotask().then(() => {
      last = performance.now();
      throwIfAborted(signal);
    });
  };
}

function plannedStep(s: Program["steps"][number], kernel: string): PlannedStep {
  const { macs, bytes, reads, writes } = costs(s);
  const view = (i: number): View => s.values[i] as View;
  return {
    op: s.op,
    node: s.node,
    fused: s.fused,
    kernel,
    inputs: [...new Set(reads)].map((i) => view(i).shape),
    output: writes[0] === undefined ? [] : view(writes[0]).shape,
    macs,
    bytes,
  };
}
