// A model that runs in this thread: matches inputs, picks the plan for their shapes, runs it, and
// hands out arrays that belong to the caller.
import { isConcrete } from "../graph/dim.js";
import type { Graph, Metadata, Tensor } from "../graph/graph.js";
import { ModelError } from "../error.js";
import { ModelNames } from "./call_names.js";
import type { DeviceModel, StepHook } from "./device.js";
import { asModelError, type Emit } from "./events.js";
import { about, matchNames, matchShapes, type Overrides } from "./inputs.js";
import { Lru } from "./lru.js";
import { suggestion } from "./names.js";
import type { Profile } from "./profile.js";
import { after, Queue } from "./queue.js";
import { makeReport, operatorRows, type Report, type ReportData } from "./report.js";
import { type Dims, matchShape, substitute } from "./shapes.js";
import { Slot, type SlotCall } from "./slot.js";
import { throwIfAborted } from "./arriving.js";
import type {
  InputValue,
  Model,
  ModelInputs,
  ModelOutputs,
  ProfileOptions,
  RunOptions,
  TensorSpec,
} from "./types.js";
import { checkShape, ValueError } from "./values.js";

const maxPlans = 16;

type Shapes = readonly (readonly number[])[];
type NamedShapes = Readonly<Record<string, readonly number[]>>;

export interface ModelParts {
  readonly graph: Graph;
  readonly device: DeviceModel;
  readonly deviceName: string;
  readonly emit: Emit | undefined;
  /** What report() says of the choice of device and threads. */
  readonly choice: Pick<ReportData, "fallbacks" | "format">;
  /** Threads asked for. */
  readonly threads: number;
}

export class LocalModel implements Model {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly metadata: Metadata;
  readonly #queue = new Queue();
  readonly #slots = new Lru<Slot>(maxPlans, (s) => s.plan.release?.());
  readonly #overrides: Overrides = new Map();
  readonly #names: ModelNames;
  readonly #tensors: readonly Tensor[];
  private device: DeviceModel | null;
  #current: Slot | null = null;
  #closing: Promise<void> | null = null;

  constructor(private readonly parts: ModelParts) {
    const { graph, device } = parts;
    this.device = device;
    this.#names = new ModelNames(graph);
    this.inputs = this.#names.inputs;
    this.outputs = this.#names.outputs;
    this.metadata = graph.meta;
    this.#tensors = graph.inputs;
  }

  run(inputs: ModelInputs, options: RunOptions = {}): Promise<ModelOutputs> {
    return this.#call("run", () => this.#runNow(inputs, options), options.signal);
  }

  resize(shapes: NamedShapes): Promise<void> {
    return this.#call("resize", async () => {
      await this.#plan(...this.#resized(shapes));
    });
  }

  profile(inputs: ModelInputs, options: ProfileOptions = {}): Promise<Profile> {
    return this.#call("profile", () => this.#profileNow(inputs, options), options.signal);
  }

  report(): Report {
    const { graph, choice, deviceName } = this.parts;
    if (!this.device) throw new ModelError("disposed", "the model has been disposed");
    const plan = this.#current?.plan;
    const threads = threadsOf(this.device, deviceName, this.parts.threads);
    return makeReport({
      device: deviceName,
      ...choice,
      threads,
      operators: plan ? operatorRows(plan, deviceName) : [],
      shapes: plan ? Object.fromEntries(plan.inputs.map((p) => [p.name, p.shape])) : {},
      memory: this.device.memory(),
      arena: plan?.arena ?? { bytes: 0, bound: 0, buffers: [] },
      passes: graph.meta.passes ?? {},
      fusions: plan?.fusions ?? {},
      notes: [...this.device.notes, ...(threads.reason ? [`one thread: ${threads.reason}`] : [])],
      plans: this.#slots.size,
      kernels: this.device.kernels(),
    });
  }

  dispose(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.dispose](): void {
    void this.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** Plans for what came with the model, or the declared shapes if all are concrete: so that load() tells what cannot run. */
  async prepare(): Promise<void> {
    const shapes = this.device?.shapes ?? this.#tensors.map((t) => t.shape);
    if (shapes.every(isConcrete)) await this.#plan(shapes as Shapes, new Map());
  }

  async #close(): Promise<void> {
    await this.#queue.close();
    this.#slots.clear();
    this.#current = null;
    await this.device?.dispose();
    this.device = null;
  }

  /** In its turn; whatever is thrown becomes a ModelError and an event. */
  #call<T>(doing: string, work: () => T | Promise<T>, signal?: AbortSignal): Promise<T> {
    const start = this.parts.emit ? performance.now() : 0;
    try {
      const result = this.#queue.add(work, signal);
      return result instanceof Promise ? this.#told(result, doing, start) : Promise.resolve(result);
    } catch (e) {
      return this.#told(Promise.reject(e), doing, start);
    }
  }

  #told<T>(result: Promise<T>, doing: string, start: number): Promise<T> {
    return result.catch((e) => {
      const error = asModelError(e, doing);
      const { code, message } = error;
      if (code !== "aborted" && code !== "disposed")
        this.parts.emit?.({ type: "error", ms: performance.now() - start, bytes: 0, code, message });
      throw error;
    });
  }

  /** Waits for nothing where the device does not and the shapes are known. */
  #runNow(given: ModelInputs, options: RunOptions, onStep?: StepHook): ModelOutputs | Promise<ModelOutputs> {
    const start = this.parts.emit ? performance.now() : 0;
    const names = this.#names.of(options.signature);
    const values = matchNames(given, this.#tensors, names.wanted);
    const call: SlotCall = { names, into: options.into, signal: options.signal, onStep };
    const slot = this.#current;
    if (slot?.takes(values)) return this.#runOn(slot, call, start);
    return this.#matched(values, (slot) => this.#runOn(slot, call, start));
  }

  #matched<T>(values: readonly InputValue[], run: (slot: Slot) => T | Promise<T>): T | Promise<T> {
    const matched = matchShapes(values, this.#tensors, this.#overrides);
    const slot = this.#find(matched.shapes) ?? this.#plan(matched.shapes, matched.dims);
    return after(slot, (slot) => {
      slot.setInputs(this.#tensors, matched.values);
      return run(slot);
    });
  }

  #runOn(slot: Slot, call: SlotCall, start: number): ModelOutputs | Promise<ModelOutputs> {
    const bytes = this.parts.emit ? slot.inputBytes : 0;
    const record = slot.run(call);
    return this.parts.emit ? this.#ran(record, start, bytes) : record;
  }

  #ran(
    record: ModelOutputs | Promise<ModelOutputs>,
    start: number,
    bytes: number,
  ): ModelOutputs | Promise<ModelOutputs> {
    return after(record, (record) => {
      this.parts.emit?.({ type: "run", ms: performance.now() - start, bytes });
      return record;
    });
  }

  async #profileNow(inputs: ModelInputs, options: ProfileOptions): Promise<Profile> {
    const runs = options.runs ?? 10;
    if (!Number.isInteger(runs) || runs < 1)
      throw new ModelError("bad_option", `runs is ${runs}, not a whole number above 0`);
    const { makeProfile, Recorder } = await import("./profile.js"); // for those who profile
    await this.#runNow(inputs, options);
    const recorder = new Recorder((this.#current as Slot).plan);
    for (let i = 0; i < runs; i++) {
      throwIfAborted(options.signal);
      const start = performance.now();
      await this.#runNow(inputs, options, recorder.onStep);
      recorder.endRun(performance.now() - start, i === runs - 1);
    }
    return makeProfile(recorder.data(this.parts.deviceName));
  }

  #find(shapes: Shapes): Slot | undefined {
    if (this.#current?.fits(shapes)) return this.#current;
    const slot = this.#slots.get(keyOf(shapes));
    if (slot) this.#current = slot;
    return slot;
  }

  /** Plans for concrete input shapes; keeps the plan. */
  async #plan(shapes: Shapes, dims: Dims): Promise<Slot> {
    const known = this.#find(shapes);
    if (known) return known;
    const device = this.device as DeviceModel;
    const start = performance.now();
    const byName = Object.fromEntries(this.#tensors.map((t, i) => [t.name, shapes[i] as readonly number[]]));
    const plan = await device.plan({ dims: Object.fromEntries(dims), shapes: byName });
    const slot = new Slot(plan, this.#tensors);
    this.#slots.set(keyOf(shapes), slot);
    this.#current = slot;
    const ms = performance.now() - start;
    this.parts.emit?.({
      type: "compile",
      ms,
      bytes: device.memory().total,
      shapes: byName,
      kernels: device.kernels(),
    });
    return slot;
  }

  /** Shapes of all inputs after resize(); what differs from the declaration is allowed from now on. */
  #resized(given: NamedShapes): [Shapes, Dims] {
    const dims: Dims = new Map();
    const shapes: (readonly number[])[] = [];
    const admitted = new Map<number, readonly number[]>();
    for (const [name, shape] of Object.entries(given)) {
      const i = this.#names.plain.wanted.names.get(name);
      const t = i === undefined ? undefined : this.#tensors[i];
      if (i === undefined || !t)
        throw new ModelError("bad_input", `resize: unknown input ${JSON.stringify(name)}`, {
          hint: suggestion(
            name,
            this.#tensors.map((x) => x.name),
          ),
        });
      about(t, () => {
        checkShape(shape);
        if (shape.length !== t.shape.length) throw new ValueError(`cannot have rank ${shape.length}`);
        matchShape(
          t.shape.map((d, k) => (typeof d === "number" ? (shape[k] as number) : d)),
          shape,
          dims,
        );
      });
      shapes[i] = [...shape];
      if (t.shape.some((d, k) => typeof d === "number" && d !== shape[k])) admitted.set(i, [...shape]);
    }
    this.#tensors.forEach((t, i) => {
      shapes[i] ??= this.#settled(t, dims);
    });
    for (const [i, shape] of admitted) {
      const before = this.#overrides.get(i) ?? [];
      if (!before.some((s) => s.join() === shape.join())) this.#overrides.set(i, [...before, shape]);
    }
    return [shapes, dims];
  }

  #settled(t: Tensor, dims: Dims): readonly number[] {
    const shape = substitute(t.shape, dims);
    if (isConcrete(shape)) return shape;
    const open = shape.filter((d) => typeof d === "string").join(", ");
    throw new ModelError("bad_input", `resize: ${open} of input ${JSON.stringify(t.name)} stay open`, {
      tensor: t.name,
    });
  }
}

function threadsOf(device: DeviceModel, name: string, asked: number): ReportData["threads"] {
  if (asked === 1) return { used: 1, asked, reason: "" };
  return { asked, ...(device.threads?.() ?? { used: 1, reason: `the device ${name} knows no threads` }) };
}

const keyOf = (shapes: Shapes): string => shapes.map((s) => s.join("x")).join(",");
