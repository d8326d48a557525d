// load(): source → bytes → Graph → device → Model. What can be read and where it can run comes as a
// Setup from the entry point, so that `minnow/run` carries no reader and no reference.
import { annotate } from "../ops/infer.js";
import { type Dim, symbol } from "../graph/dim.js";
import type { Graph, Tensor } from "../graph/graph.js";
import { isConcrete } from "../graph/dim.js";
import { ModelError } from "../error.js";
import type { Device, DeviceModel } from "./device.js";
import { type Emit, asModelError, emitter } from "./events.js";
import { LocalModel } from "./model.js";
import { suggestion } from "./names.js";
import { isNode, startThread } from "./node.js";
import type { Transport } from "./protocol.js";
import { loadRemote } from "./remote.js";
import { readSource, throwIfAborted } from "./source.js";
import type { LoadOptions, Model, ModelSource } from "./types.js";

export interface Setup {
  /** Reads a model file; `outputs` are tensors that passes must keep and the graph must give. */
  read(bytes: Uint8Array, options: { outputs?: readonly string[] }): Graph | Promise<Graph>;
  /** By the names that users wish for; made on first use. */
  readonly devices: Readonly<Record<string, () => Device | Promise<Device>>>;
  /** In order of preference, for "auto". */
  readonly auto: readonly string[];
  /** A web worker that serves this setup; and the file of it for Node. */
  readonly worker: () => Worker;
  readonly workerFile: string;
}

const defaultMemory = 2 ** 31;

/**
 * @throws ModelError io, unknown_format, bad_file, unsupported (with all `problems`), device,
 * out_of_memory, bad_option, aborted
 */
export async function loadWith(setup: Setup, source: ModelSource, options: LoadOptions = {}): Promise<Model> {
  checkOptions(options);
  const { signal, onProgress, worker } = options;
  const bytes = await readSource(source, { signal, onProgress });
  if (!worker) return loadHere(setup, bytes, options);
  const transport = worker === true ? await startWorker(setup) : worker;
  return loadRemote(transport, bytes, !isOwn(source, bytes), options);
}

/** The caller still holds these bytes. */
const isOwn = (source: ModelSource, bytes: Uint8Array): boolean =>
  source instanceof ArrayBuffer || ArrayBuffer.isView(source) || (bytes.buffer as unknown) === source;

async function startWorker(setup: Setup): Promise<Transport> {
  if (isNode() && typeof Worker === "undefined") return startThread(setup.workerFile);
  try {
    return setup.worker();
  } catch (cause) {
    throw new ModelError("device", `no worker could be started: ${cause instanceof Error ? cause.message : cause}`, {
      hint: "give a Worker of your own: { worker: new Worker(…) }",
      cause,
    });
  }
}

/** Loads in this thread. */
export async function loadHere(setup: Setup, bytes: Uint8Array, options: LoadOptions): Promise<Model> {
  const start = performance.now();
  const emit = emitter(options.onEvent);
  let opened: DeviceModel | null = null;
  try {
    const graph = await read(setup, bytes, options);
    const device = await open(setup, graph, options, emit);
    opened = device.model;
    throwIfAborted(options.signal);
    const model = new LocalModel({
      graph,
      device: device.model,
      deviceName: device.name,
      emit,
      choice: { format: graph.meta.format ?? "", threads: threadsOf(options.threads), fallbacks: device.fallbacks },
    });
    options.onProgress?.({ phase: "compile", loaded: 0, total: 1 });
    if (graph.inputs.every((t) => isConcrete(t.shape))) await model.resize({});
    throwIfAborted(options.signal);
    options.onProgress?.({ phase: "ready", loaded: 1, total: 1 });
    emit?.({ type: "load", ms: performance.now() - start, bytes: bytes.length, format: graph.meta.format ?? "" });
    return model;
  } catch (e) {
    opened?.dispose();
    const error = asModelError(e, "load");
    const { code, message } = error;
    emit?.({ type: "error", ms: performance.now() - start, bytes: bytes.length, code, message });
    throw error;
  }
}

async function read(setup: Setup, bytes: Uint8Array, options: LoadOptions): Promise<Graph> {
  options.onProgress?.({ phase: "parse", loaded: 0, total: 1 });
  const { outputs } = options;
  const graph = await setup.read(bytes, outputs ? { outputs } : {});
  bind(graph, options);
  return graph;
}

/** Writes `shapes` and `dims` into the declared inputs, and infers the rest anew. */
function bind(graph: Graph, { dims, shapes }: LoadOptions): void {
  if (!dims && !shapes) return;
  for (const [name, shape] of Object.entries(shapes ?? {})) {
    const t = graph.inputs.find((x) => x.name === name || x.aliases?.includes(name));
    if (!t) throw new ModelError("bad_option", `shapes: no input ${JSON.stringify(name)}`, { hint: suggestion(name, graph.inputs.map((x) => x.name)) });
    if (shape.length !== t.shape.length || !shape.every((d) => Number.isSafeInteger(d) && d >= 0))
      throw new ModelError("bad_option", `shapes: [${shape}] does not fit input ${JSON.stringify(name)} [${t.shape.join(", ")}]`, { tensor: t.name });
    t.shape = [...shape];
  }
  const symbols = new Set(graph.inputs.flatMap((t: Tensor) => t.shape.filter((d) => typeof d === "string")));
  const sizes = new Map<Dim, number>();
  for (const [name, size] of Object.entries(dims ?? {})) {
    const known = symbols.has(name) ? name : symbol(name);
    if (!symbols.has(known as string))
      throw new ModelError("bad_option", `dims: the model has no free dimension ${JSON.stringify(name)}`, { hint: suggestion(name, [...symbols]) });
    if (!Number.isSafeInteger(size) || size < 0)
      throw new ModelError("bad_option", `dims: ${name} is ${size}, not a size`);
    sizes.set(known, size);
  }
  for (const t of graph.inputs) t.shape = t.shape.map((d) => sizes.get(d) ?? d);
  annotate(graph);
}

interface Opened {
  readonly name: string;
  readonly model: DeviceModel;
  readonly fallbacks: { device: string; reason: string }[];
}

/** The first wished device that exists here; those skipped are told. */
async function open(setup: Setup, graph: Graph, options: LoadOptions, emit: Emit | undefined): Promise<Opened> {
  const { device = "auto" } = options;
  const wishes = typeof device === "string" ? [device] : device;
  const names = [...new Set(wishes.flatMap((d) => (d === "auto" ? setup.auto : [d])))];
  const skipped: { device: string; reason: string }[] = [];
  for (const wish of names) {
    const make = Object.hasOwn(setup.devices, wish) ? setup.devices[wish] : undefined;
    if (!make) {
      skipped.push({ device: wish, reason: known.has(wish) ? "not available in this version" : "unknown device" });
      continue;
    }
    const made = await make();
    for (const s of skipped) emit?.({ type: "fallback", ms: 0, bytes: 0, ...s, to: made.name });
    const { maxMemory = defaultMemory, deterministic = false, fuse = true } = options;
    return { name: made.name, model: await made.open(graph, { maxMemory, deterministic, fuse }), fallbacks: skipped };
  }
  const why = skipped.map((s) => `${JSON.stringify(s.device)}: ${s.reason}`).join("; ");
  throw new ModelError("device", `none of the wished devices is here: ${why || "the list is empty"}`, {
    hint: `this build runs on ${Object.keys(setup.devices).join(", ")}`,
  });
}

const known: ReadonlySet<string> = new Set(["gpu", "npu", "webgpu", "webnn", "reference"]);

function threadsOf(asked = 1): { used: number; asked: number; reason: string } {
  return { used: 1, asked, reason: asked > 1 ? `${asked} were asked for; this version runs on one` : "" };
}

function checkOptions(o: LoadOptions): void {
  if (o === null || typeof o !== "object") throw new ModelError("bad_option", "options must be an object");
  const positive = (name: string, v: number | undefined, whole: boolean): void => {
    if (v !== undefined && !(whole ? Number.isInteger(v) && v > 0 : v > 0))
      throw new ModelError("bad_option", `${name} is ${String(v)}, not a positive ${whole ? "integer" : "number"}`);
  };
  positive("threads", o.threads, true);
  positive("maxMemory", o.maxMemory, false);
}
