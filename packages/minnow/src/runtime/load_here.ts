// Bytes → Graph → device → Model, in this thread. What can be read and where it can run comes as a
// Setup from the entry point, so that `minnow/run` carries no reader and no reference. This file knows
// nothing of workers: it runs in one.
import type { Graph } from "../graph/graph.js";
import { ModelError } from "../error.js";
import type { Device, DeviceModel } from "./device.js";
import { type Emit, asModelError, emitter } from "./events.js";
import { LocalModel } from "./model.js";
import { throwIfAborted } from "./source.js";
import type { GraphChanges } from "./specialize.js";
import type { LoadOptions, Model } from "./types.js";

export interface Setup {
  /** Reads a model file and makes it what the options ask for. */
  read(bytes: Uint8Array, options: GraphChanges): Graph | Promise<Graph>;
  /** By the names that users wish for; made on first use. */
  readonly devices: Readonly<Record<string, () => Device | Promise<Device>>>;
  /** In order of preference, for "auto". */
  readonly auto: readonly string[];
}

const defaultMemory = 2 ** 31;

/** Loads in this thread. */
export async function loadHere(setup: Setup, bytes: Uint8Array, options: LoadOptions): Promise<Model> {
  const start = performance.now();
  const emit = emitter(options.onEvent);
  const size = bytes.length; // of a buffer that may shrink
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
  }
}

async function read(setup: Setup, bytes: Uint8Array, options: LoadOptions): Promise<Graph> {
  options.onProgress?.({ phase: "parse", loaded: 0, total: 1 });
  const { outputs, shapes, dims } = options;
  return setup.read(bytes, { ...(outputs && { outputs }), ...(shapes && { shapes }), ...(dims && { dims }) });
}

interface Opened {
  readonly name: string;
  readonly model: DeviceModel;
  readonly fallbacks: { device: string; reason: string }[];
}

/** The first wished device that exists here; those skipped are told. */
async function open(
  setup: Setup,
  graph: Graph,
  options: LoadOptions,
  emit: Emit | undefined,
): Promise<Opened> {
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
    const made = await forText(graph, await make());
    for (const s of skipped) emit?.({ type: "fallback", ms: 0, bytes: 0, ...s, to: made.name });
    const { maxMemory = defaultMemory, maxOperations, deterministic = false, fuse = true, memory } = options;
    const { threads = 1 } = options;
    const onDrop = (reason: string): void =>
      emit?.({ type: "fallback", ms: 0, bytes: 0, device: `${threads} threads`, to: "1 thread", reason });
    return {
      name: made.name,
      model: await made.open(graph, {
        maxMemory,
        maxOperations,
        deterministic,
        fuse,
        small: memory === "small",
        threads,
        onDrop,
      }),
      fallbacks: skipped,
    };
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
