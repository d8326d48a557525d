// A model that runs in this thread: matches inputs, picks the plan for their shapes, runs it, and
// hands out arrays that belong to the caller.
import { count, isConcrete } from "../graph/dim.js";
import { newArray } from "../graph/dtype.js";
import type { Graph, Metadata, Tensor } from "../graph/graph.js";
import { ModelError } from "../error.js";
import type { DeviceModel, Plan, PlanPort, RawArray, StepHook } from "./device.js";
import { asModelError, type Emit } from "./events.js";
import { about, matchNames, matchShapes, type Overrides, type Wanted } from "./inputs.js";
import { Lru } from "./lru.js";
import { acceptedNames, findSignature, type Names, suggestion } from "./names.js";
import { makeProfile, type Profile, Recorder } from "./profile.js";
import { Queue } from "./queue.js";
import { makeReport, operatorRows, type Report, type ReportData } from "./report.js";
import { type Dims, matchShape, substitute } from "./shapes.js";
import type { Model, ModelInputs, ModelOutputs, ProfileOptions, RunOptions, TensorData, TensorSpec, TensorValue } from "./types.js";
import { checkShape, needsUnpack, newOutput, type Staging, toRaw, unpack, ValueError } from "./values.js";

const maxPlans = 16;

export interface ModelParts {
  readonly graph: Graph;
  readonly device: DeviceModel;
  readonly deviceName: string;
  readonly emit: Emit | undefined;
  /** What report() says of the choice of device and threads. */
  readonly choice: Pick<ReportData, "threads" | "fallbacks" | "format">;
}

/** A plan with the arrays that its runs reuse. */
interface Slot {
  readonly plan: Plan;
  readonly staging: readonly Staging[];
  /** Arrays given to and filled by the device; refilled each run. */
  readonly inputs: RawArray[];
  readonly outputs: RawArray[];
  /** For outputs whose stored form is not what users get. */
  readonly packed: (RawArray | undefined)[];
  readonly intoResults: WeakMap<object, ModelOutputs>;
}

interface Names2 {
  readonly wanted: Wanted;
  readonly outputNames: readonly (readonly [string, number])[];
  readonly outputs: Names;
}

const specOf = (t: Tensor, names: ReadonlyMap<string, number>, i: number): TensorSpec => ({
  name: t.name,
  shape: [...t.shape],
  dtype: t.dtype,
  ...(t.quant && { quantization: t.quant }),
  aliases: [...names].filter(([n, j]) => j === i && n !== t.name).map(([n]) => n),
});

export class LocalModel implements Model {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly metadata: Metadata;
  private readonly queue = new Queue();
  private readonly slots: Lru<Slot>;
  private readonly overrides: Overrides = new Map();
  private readonly plain: Names2;
  private readonly signatures = new Map<string, Names2>();
  private readonly inputTensors: readonly Tensor[];
  private device: DeviceModel | null;
  private current: Slot | null = null;
  private closing: Promise<void> | null = null;

  constructor(private readonly parts: ModelParts) {
    const { graph, device } = parts;
    this.device = device;
    this.metadata = graph.meta;
    this.inputTensors = graph.inputs;
    const signatures = Object.values(graph.meta.signatures ?? {});
    const inputs = acceptedNames(graph.inputs, signatures.map((s) => s.inputs));
    const outputs = acceptedNames(graph.outputs, signatures.map((s) => s.outputs));
    this.inputs = graph.inputs.map((t, i) => specOf(t, inputs, i));
    this.outputs = graph.outputs.map((t, i) => specOf(t, outputs, i));
    this.plain = {
      wanted: { names: inputs, required: new Map(graph.inputs.map((t, i) => [i, t.name])) },
      outputNames: graph.outputs.map((t, i) => [t.name, i]),
      outputs,
    };
    this.slots = new Lru<Slot>(maxPlans, (s) => s.plan.release?.());
  }

  run(inputs: ModelInputs, options: RunOptions = {}): Promise<ModelOutputs> {
    return this.guarded("run", () => this.queue.add(() => this.runNow(inputs, options), options.signal));
  }

  /** Plans for the declared shapes, if all are concrete: so that load() tells what cannot run. */
  async prepare(): Promise<void> {
    const shapes = this.inputTensors.map((t) => t.shape);
    if (shapes.every(isConcrete)) await this.plan(shapes as (readonly number[])[], new Map());
  }

  resize(shapes: Readonly<Record<string, readonly number[]>>): Promise<void> {
    return this.guarded("resize", () =>
      this.queue.add(async () => {
        await this.plan(...this.resized(shapes));
      }),
    );
  }

  profile(inputs: ModelInputs, options: ProfileOptions = {}): Promise<Profile> {
    const runs = options.runs ?? 10;
    return this.guarded("profile", () =>
      this.queue.add(async () => {
        if (!Number.isInteger(runs) || runs < 1)
          throw new ModelError("bad_option", `runs is ${runs}, not a whole number above 0`);
        await this.runNow(inputs, options);
        const { plan } = this.current as Slot;
        const recorder = new Recorder(plan);
        for (let i = 0; i < runs; i++) {
          if (options.signal?.aborted) throw new ModelError("aborted", "the call was aborted");
          const start = performance.now();
          await this.runNow(inputs, options, recorder.onStep);
          recorder.endRun(performance.now() - start, i === runs - 1);
        }
        return makeProfile(recorder.data(this.parts.deviceName));
      }, options.signal),
    );
  }

  report(): Report {
    const { graph, choice, deviceName } = this.parts;
    if (!this.device) throw new ModelError("disposed", "the model has been disposed");
    const plan = this.current?.plan;
    return makeReport({
      device: deviceName,
      ...choice,
      operators: plan ? operatorRows(plan, deviceName) : [],
      shapes: plan ? Object.fromEntries(plan.inputs.map((p) => [p.name, p.shape])) : {},
      memory: this.device.memory(),
      arena: plan?.arena ?? { bytes: 0, bound: 0, buffers: [] },
      passes: graph.meta.passes ?? {},
      fusions: plan?.fusions ?? {},
      notes: this.device.notes,
      plans: this.slots.size,
      kernels: this.device.kernels(),
    });
  }

  dispose(): Promise<void> {
    this.closing ??= this.close();
    return this.closing;
  }

  [Symbol.dispose](): void {
    void this.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  private async close(): Promise<void> {
    await this.queue.close();
    this.slots.clear();
    this.current = null;
    this.device?.dispose();
    this.device = null;
  }

  private async guarded<T>(doing: string, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await work();
    } catch (e) {
      const error = asModelError(e, doing);
      const { code, message } = error;
      if (code !== "aborted" && code !== "disposed")
        this.parts.emit?.({ type: "error", ms: performance.now() - start, bytes: 0, code, message });
      throw error;
    }
  }

  private async runNow(given: ModelInputs, options: RunOptions, onStep?: StepHook): Promise<ModelOutputs> {
    const start = performance.now();
    const names = options.signature === undefined ? this.plain : this.signature(options.signature);
    const values = matchNames(given, this.inputTensors, names.wanted);
    const { values: flat, shapes, dims } = matchShapes(values, this.inputTensors, this.overrides);
    const slot = this.find(shapes) ?? (await this.plan(shapes, dims));
    let bytes = 0;
    this.inputTensors.forEach((t, i) => {
      const raw = about(t, () => toRaw((flat[i] as (typeof flat)[number]).data, t.dtype, slot.staging[i] as Staging));
      slot.inputs[i] = raw;
      if (ArrayBuffer.isView(raw)) bytes += raw.byteLength;
    });
    const results = this.results(slot, names, options.into);
    try {
      await slot.plan.run(slot.inputs, slot.outputs, onStep);
      this.unpackOutputs(slot, results.data);
    } finally {
      slot.inputs.fill([]); // keep nobody's arrays alive
      slot.outputs.fill([]);
    }
    this.parts.emit?.({ type: "run", ms: performance.now() - start, bytes });
    return results.record;
  }

  /** Arrays for the outputs, the caller's own where given, and the record to return. */
  private results(slot: Slot, names: Names2, into?: Record<string, TensorData>): { record: ModelOutputs; data: TensorData[] } {
    const own = into && this.matchInto(into, slot.plan, names);
    const complete = own !== undefined && own.size === slot.plan.outputs.length;
    const known = complete ? slot.intoResults.get(into as object) : undefined;
    const record: ModelOutputs = known ?? Object.create(null);
    const data = slot.plan.outputs.map((p, i) => {
      const array = own?.get(i) ?? newOutput(p.dtype, count(p.shape));
      slot.outputs[i] = needsUnpack(p.dtype) ? packedFor(slot, p, i) : (array as RawArray);
      return array;
    });
    for (const [name, i] of names.outputNames) {
      const { dtype, shape } = slot.plan.outputs[i] as PlanPort;
      const old = record[name] as { data: TensorData } | undefined;
      if (old) old.data = data[i] as TensorData;
      else record[name] = { data: data[i] as TensorData, shape: [...shape], dtype } satisfies TensorValue;
    }
    if (complete && !known) slot.intoResults.set(into as object, record);
    return { record, data };
  }

  private matchInto(into: Record<string, TensorData>, plan: Plan, names: Names2): Map<number, TensorData> {
    const found = new Map<number, TensorData>();
    for (const [name, array] of Object.entries(into)) {
      const i = names.outputs.get(name);
      if (i === undefined)
        throw new ModelError("bad_input", `into: unknown output ${JSON.stringify(name)}`, {
          hint: suggestion(name, names.outputNames.map(([n]) => n)),
        });
      const { dtype, shape } = plan.outputs[i] as PlanPort;
      const want = newOutput(dtype, 0).constructor;
      if (array?.constructor !== want || array.length !== count(shape))
        throw new ModelError(
          "bad_input",
          `into: output ${JSON.stringify(name)} needs a ${want.name} of ${count(shape)} ([${shape.join(", ")}]), ` +
            `not ${array ? `${array.constructor.name} of ${array.length}` : String(array)}`,
          { tensor: name },
        );
      found.set(i, array);
    }
    return found;
  }

  private unpackOutputs(slot: Slot, data: readonly TensorData[]): void {
    slot.plan.outputs.forEach((p, i) => {
      if (needsUnpack(p.dtype)) unpack(slot.outputs[i] as RawArray, p.dtype, data[i] as TensorData);
    });
  }

  private find(shapes: readonly (readonly number[])[]): Slot | undefined {
    const current = this.current;
    if (current && sameShapes(current.plan, shapes)) return current;
    const slot = this.slots.get(keyOf(shapes));
    if (slot) this.current = slot;
    return slot;
  }

  /** Plans for concrete input shapes; keeps the plan. */
  private async plan(shapes: readonly (readonly number[])[], dims: Dims): Promise<Slot> {
    const known = this.find(shapes);
    if (known) return known;
    const device = this.device as DeviceModel;
    const start = performance.now();
    const byName = Object.fromEntries(this.inputTensors.map((t, i) => [t.name, shapes[i] as readonly number[]]));
    const plan = await device.plan({ dims: Object.fromEntries(dims), shapes: byName });
    const slot: Slot = {
      plan,
      staging: plan.inputs.map(() => ({})),
      inputs: plan.inputs.map(() => []),
      outputs: plan.outputs.map(() => []),
      packed: [],
      intoResults: new WeakMap(),
    };
    this.slots.set(keyOf(shapes), slot);
    this.current = slot;
    const ms = performance.now() - start;
    this.parts.emit?.({ type: "compile", ms, bytes: device.memory().total, shapes: byName, kernels: device.kernels() });
    return slot;
  }

  /** Shapes of all inputs after resize(); what differs from the declaration is allowed from now on. */
  private resized(given: Readonly<Record<string, readonly number[]>>): [(readonly number[])[], Dims] {
    const dims: Dims = new Map();
    const shapes: (readonly number[])[] = [];
    for (const [name, shape] of Object.entries(given)) {
      const i = this.plain.wanted.names.get(name);
      if (i === undefined)
        throw new ModelError("bad_input", `resize: unknown input ${JSON.stringify(name)}`, {
          hint: suggestion(name, this.inputTensors.map((t) => t.name)),
        });
      const t = this.inputTensors[i] as Tensor;
      about(t, () => {
        checkShape(shape);
        if (shape.length !== t.shape.length)
          throw new ValueError(`cannot have rank ${shape.length}`);
        matchShape(t.shape.map((d, k) => (typeof d === "number" ? (shape[k] as number) : d)), shape, dims);
      });
      shapes[i] = [...shape];
      if (t.shape.some((d, k) => typeof d === "number" && d !== shape[k]))
        this.overrides.set(i, [...(this.overrides.get(i) ?? []), [...shape]]);
    }
    this.inputTensors.forEach((t, i) => {
      if (shapes[i]) return;
      const shape = substitute(t.shape, dims);
      const open = shape.filter((d) => typeof d === "string");
      if (open.length)
        throw new ModelError("bad_input", `resize: ${open.join(", ")} of input ${JSON.stringify(t.name)} stay open`, {
          tensor: t.name,
        });
      shapes[i] = shape as number[];
    });
    return [shapes, dims];
  }

  private signature(name: string): Names2 {
    const known = this.signatures.get(name);
    if (known) return known;
    const { wanted, outputs } = this.plain;
    const found = findSignature(this.metadata, name, wanted.names, outputs);
    const own: Names2 = {
      wanted: {
        names: new Map([...wanted.names, ...found.inputs]),
        required: new Map([
          ...wanted.required,
          ...[...found.inputs].map(([n, i]) => [i, n] as const),
        ]),
      },
      outputNames: [...found.outputs],
      outputs: new Map([...outputs, ...found.outputs]),
    };
    this.signatures.set(name, own);
    return own;
  }
}

const keyOf = (shapes: readonly (readonly number[])[]): string => shapes.map((s) => s.join("x")).join(",");

function sameShapes(plan: Plan, shapes: readonly (readonly number[])[]): boolean {
  return plan.inputs.every((p, i) => {
    const s = shapes[i] as readonly number[];
    return p.shape.length === s.length && p.shape.every((d, k) => d === s[k]);
  });
}

function packedFor(slot: Slot, p: PlanPort, i: number): RawArray {
  slot.packed[i] ??= newArray(p.dtype, count(p.shape));
  return slot.packed[i];
}
