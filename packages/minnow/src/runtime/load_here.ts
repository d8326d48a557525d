// Bytes → Graph → device → Model, in this thread. What can be read and where it can run comes as a
// Setup from the entry point, so that `minnow/run` carries no reader and no reference. This file knows
// nothing of workers: it runs in one.
import type { Graph } from "../graph/graph.js";
import { ModelError } from "../error.js";
import type { Layout, PrecompiledFile, Rest } from "../graph/precompiled.js";
import { Arriving, throwIfAborted } from "./arriving.js";
import type { Device, DeviceModel, OpenedModel } from "./device.js";
import { type Emit, asModelError, emitter } from "./events.js";
import { LocalModel } from "./model.js";
import type { GraphChanges } from "./specialize.js";
import type { LoadOptions, Model } from "./types.js";

export interface Setup {
  /** Reads a model file and makes it what the options ask for. */
  read(bytes: Uint8Array, options: GraphChanges): Graph | Promise<Graph>;
  /** Plans and code that the file brings, if it is of the kind that can. */
  precompiled?(bytes: Uint8Array, rest?: Rest): PrecompiledFile | null;
  /** By the names that users wish for; made on first use. */
  readonly devices: Readonly<Record<string, () => Device | Promise<Device>>>;
  /**
   * Told the first bytes of a file: starts to fetch the parts of the library that it will need, and says how a
   * file with plans lies, if it can be used before all of it is there.
   */
  expect?(head: Uint8Array): Layout | undefined;
  /** In order of preference, for "auto". */
  readonly auto: readonly string[];
}

const defaultMemory = 2 ** 31;

/** Enough for what a file says of itself first. */
const headBytes = 1024;

/** Loads in this thread. */
export async function loadHere(
  setup: Setup,
  source: Uint8Array | Arriving,
  options: LoadOptions,
): Promise<Model> {
  const start = performance.now();
  const emit = emitter(options.onEvent);
  let opened: DeviceModel | null = null;
  let size = 0;
  try {
    const given = source instanceof Arriving ? await begin(setup, source, options) : { bytes: source };
    size = given.bytes.length; // of a buffer that may shrink
    const { graph, ...device } = await open(setup, given, options, emit);
    opened = device.model;
    throwIfAborted(options.signal);
    const model = new LocalModel({
      graph,
      device: device.model,
      deviceName: device.name,
      emit,
      choice: {
        format: graph.meta.format ?? "",
        fallbacks: device.fallbacks,
      },
      threads: options.threads ?? 1,
    });
    options.onProgress?.({ phase: "compile", loaded: 0, total: 1 });
    await model.prepare();
    throwIfAborted(options.signal);
    options.onProgress?.({ phase: "ready", loaded: 1, total: 1 });
    emit?.({
      type: "load",
      ms: performance.now() - start,
      bytes: size,
      format: graph.meta.format ?? "",
    });
    return model;
  } catch (e) {
    void opened?.dispose();
    const error = asModelError(e, "load");
    const { code, message } = error;
    emit?.({ type: "error", ms: performance.now() - start, bytes: size, code, message });
    throw error;
  } finally {
    if (source instanceof Arriving) source.close();
  }
}

interface Given {
  readonly bytes: Uint8Array;
  /** Where bytes are still to come. */
  readonly rest?: Rest;
}

/** A file with a plan may be packed as it comes: then its beginning will do. */
async function begin(setup: Setup, source: Arriving, options: LoadOptions): Promise<Given> {
  const layout = setup.expect?.(await source.upTo(headBytes));
  if (!layout || asksForOther(options) || !source.reserve(layout.size)) return { bytes: await source.all() };
  const { early, size } = layout;
  const bytes = await source.upTo(early);
  const pour: Rest["pour"] = (from, sink) => source.pour(from, size, sink);
  const all = (): Promise<void> => pour(early, (piece, at) => bytes.set(piece.subarray(0, size - at), at));
  return { bytes, rest: { bytes, from: early, pour, all } };
}

/** Something else than what was planned ahead. */
const asksForOther = (o: LoadOptions): boolean =>
  !!(o.outputs || o.shapes || o.dims || o.values || o.memory || o.fuse === false || o.precompiled === false);

async function read(setup: Setup, { bytes, rest }: Given, options: LoadOptions): Promise<Graph> {
  await rest?.all();
  const { outputs, shapes, dims, values } = options;
  return setup.read(bytes, {
    ...(outputs && { outputs }),
    ...(shapes && { shapes }),
    ...(dims && { dims }),
    ...(values && { values }),
  });
}

interface Opened extends OpenedModel {
  readonly name: string;
  readonly fallbacks: { device: string; reason: string }[];
}

/** The first wished device that exists here; those skipped are told. */
async function open(
  setup: Setup,
  given: Given, // in no closure of a function that makes others: they would keep the file
  options: LoadOptions,
  emit: Emit | undefined,
): Promise<Opened> {
  options.onProgress?.({ phase: "parse", loaded: 0, total: 1 });
  const file = (!asksForOther(options) && setup.precompiled?.(given.bytes, given.rest)) || null;
  let graph = file ? undefined : await read(setup, given, options);
  const { device = "auto" } = options;
  const wishes = typeof device === "string" ? [device] : device;
  const names = [...new Set(wishes.flatMap((d) => (d === "auto" ? setup.auto : [d])))];
  const skipped: { device: string; reason: string }[] = [];
  for (const wish of names) {
    const make = Object.hasOwn(setup.devices, wish) ? setup.devices[wish] : undefined;
    if (!make) {
      skipped.push({
        device: wish,
        reason: known.has(wish) ? "not available in this version" : "unknown device",
      });
      continue;
    }
    const device = await make();
    for (const s of skipped) emit?.({ type: "fallback", ms: 0, bytes: 0, ...s, to: device.name });
    const { maxMemory = defaultMemory, maxOperations, deterministic = false, fuse = true, memory } = options;
    const { threads = 1 } = options;
    const onDrop = (reason: string): void =>
      emit?.({ type: "fallback", ms: 0, bytes: 0, device: `${threads} threads`, to: "1 thread", reason });
    const wanted = {
      maxMemory,
      maxOperations,
      deterministic,
      fuse,
      small: memory === "small",
      threads,
      onDrop,
    };
    const opened = { name: device.name, fallbacks: skipped };
    const ready = file && (await device.openPrecompiled?.(file, wanted));
    if (ready) return { ...opened, ...ready };
    graph ??= await read(setup, given, options);
    return { ...opened, graph, model: await (await forText(graph, device)).open(graph, wanted) };
  }
  const why = skipped.map((s) => `${JSON.stringify(s.device)}: ${s.reason}`).join("; ");
  throw new ModelError("device", `none of the wished devices is here: ${why || "the list is empty"}`, {
    hint: `this build runs on ${Object.keys(setup.devices).join(", ")}`,
  });
}

/** Few models hold text: the others do without that part. */
async function forText(graph: Graph, device: Device): Promise<Device> {
  if (!graph.tensors().some((t) => t.dtype === "string")) return device;
  return (await import("./strings.js")).withText(device);
}

const known: ReadonlySet<string> = new Set(["gpu", "npu", "webgpu", "webnn", "reference"]);
