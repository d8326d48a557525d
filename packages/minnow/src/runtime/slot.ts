// A plan with the arrays that its runs reuse, so that a run allocates nothing but its outputs.
import { count } from "../graph/dim.js";
import { newArray } from "../graph/dtype.js";
import type { Tensor } from "../graph/graph.js";
import { ModelError } from "../error.js";
import type { CallNames } from "./call_names.js";
import type { Plan, PlanPort, RawArray, StepHook } from "./device.js";
import { about } from "./inputs.js";
import { suggestion } from "./names.js";
import type { ModelOutputs, TensorData } from "./types.js";
import { type FlatValue, needsUnpack, newOutput, type Staging, toRaw, unpack } from "./values.js";

type Into = Record<string, TensorData>;
const nothing: RawArray = new Uint8Array(0);

export class Slot {
  /** For inputs that had to be converted. */
  readonly #staging: readonly Staging[];
  /** What the device reads and fills. */
  readonly #inputs: RawArray[];
  private readonly outputs: RawArray[];
  /** What the caller gets: the same arrays, but where the stored form is another. */
  readonly #results: TensorData[] = [];
  readonly #stored: (RawArray | undefined)[] = [];
  /** Records given for an `into`: given again for the same one. */
  readonly #records = new WeakMap<Into, ModelOutputs>();

  constructor(readonly plan: Plan) {
    this.#staging = plan.inputs.map(() => ({}));
    this.#inputs = plan.inputs.map(() => nothing);
    this.outputs = plan.outputs.map(() => nothing);
  }

  /** Whether it was planned for these input shapes. */
  fits(shapes: readonly (readonly number[])[]): boolean {
    return this.plan.inputs.every((p, i) => {
      const s = shapes[i] as readonly number[];
      return p.shape.length === s.length && p.shape.every((d, k) => d === s[k]);
    });
  }

  /** Checks and converts the values; the number of bytes they have. */
  setInputs(tensors: readonly Tensor[], values: readonly FlatValue[]): number {
    let bytes = 0;
    tensors.forEach((t, i) => {
      const raw = about(t, () => toRaw((values[i] as FlatValue).data, t.dtype, this.#staging[i] as Staging));
      this.#inputs[i] = raw;
      if (ArrayBuffer.isView(raw)) bytes += raw.byteLength;
    });
    return bytes;
  }

  /** Runs on the inputs that were set. */
  run(
    names: CallNames,
    into: Into | undefined,
    onStep?: StepHook,
    signal?: AbortSignal,
  ): ModelOutputs | Promise<ModelOutputs> {
    let running: Promise<void> | undefined;
    try {
      const record = this.#setOutputs(names, into);
      running = this.plan.run(this.#inputs, this.outputs, onStep, signal) || undefined;
      if (running) return running.then(() => this.#unpack(record)).finally(() => this.#clear());
      return this.#unpack(record);
    } finally {
      if (!running) this.#clear();
    }
  }

  #unpack(record: ModelOutputs): ModelOutputs {
    this.plan.outputs.forEach((p, i) => {
      if (needsUnpack(p.dtype)) unpack(this.outputs[i] as RawArray, p.dtype, this.#results[i] as TensorData);
    });
    return record;
  }

  /** Nobody's arrays are kept alive. */
  #clear(): void {
    this.#inputs.fill(nothing);
    this.outputs.fill(nothing);
    this.#results.length = 0;
  }

  /** Arrays for the outputs, the caller's own where given, and the record that holds them. */
  #setOutputs(names: CallNames, into: Into | undefined): ModelOutputs {
    const { outputs } = this.plan;
    const own = into && this.#matchInto(into, names);
    outputs.forEach((p, i) => {
      const array = own?.get(i) ?? newOutput(p.dtype, count(p.shape));
      this.#results[i] = array;
      this.outputs[i] = needsUnpack(p.dtype) ? this.#storedFor(p, i) : (array as RawArray);
    });
    const complete = own !== undefined && own.size === outputs.length;
    const known = complete ? this.#records.get(into as Into) : undefined;
    const record: ModelOutputs = known ?? Object.create(null);
    for (const [name, i] of names.given) {
      const { dtype, shape } = outputs[i] as PlanPort;
      const data = this.#results[i] as TensorData;
      if (known && record[name]) (record[name] as { data: TensorData }).data = data;
      else record[name] = { data, shape: [...shape], dtype };
    }
    if (complete && !known) this.#records.set(into as Into, record);
    return record;
  }

  #storedFor(p: PlanPort, i: number): RawArray {
    this.#stored[i] ??= newArray(p.dtype, count(p.shape));
    return this.#stored[i];
  }

  #matchInto(into: Into, names: CallNames): Map<number, TensorData> {
    const found = new Map<number, TensorData>();
    for (const [name, array] of Object.entries(into)) {
      const i = names.outputs.get(name);
      if (i === undefined)
        throw new ModelError("bad_input", `into: unknown output ${JSON.stringify(name)}`, {
          hint: suggestion(
            name,
            names.given.map(([n]) => n),
          ),
        });
      const { dtype, shape } = this.plan.outputs[i] as PlanPort;
      checkInto(name, array, newOutput(dtype, 0), count(shape));
      found.set(i, array);
    }
    return found;
  }
}

/** @throws ModelError bad_input unless `array` is of the kind of `like` and has `length` elements */
export function checkInto(name: string, array: TensorData, like: TensorData, length: number): void {
  if (array?.constructor === like.constructor && array.length === length) return;
  const came =
    array === null || array === undefined ? String(array) : `${array.constructor.name} of ${array.length}`;
  throw new ModelError(
    "bad_input",
    `into: output ${JSON.stringify(name)} needs a ${like.constructor.name} of ${length}, not ${came}`,
    {
      tensor: name,
    },
  );
}
