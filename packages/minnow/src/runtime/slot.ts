// A plan with the arrays that its runs reuse, so that a run allocates nothing but its outputs.
import { count } from "../graph/dim.js";
import { type DType, newArray } from "../graph/dtype.js";
import type { Tensor } from "../graph/graph.js";
import { ModelError } from "../error.js";
import type { CallNames } from "./call_names.js";
import type { Plan, PlanPort, RawArray, StepHook } from "./device.js";
import { about } from "./inputs.js";
import { suggestion } from "./names.js";
import type { InputValue, ModelOutputs, TensorData } from "./types.js";
import { exact, type FlatValue, needsUnpack, newOutput, type Staging, toRaw, unpack } from "./values.js";

type Into = Record<string, TensorData>;
type Owned = ReadonlyMap<number, TensorData> | undefined;
type Exact = NonNullable<(typeof exact)[DType]>;
const nothing = new Uint8Array(0);

export interface SlotCall {
  readonly names: CallNames;
  readonly into: Into | undefined;
  readonly onStep: StepHook | undefined;
  readonly signal: AbortSignal | undefined;
}

export class Slot {
  /** For inputs that had to be converted. */
  readonly #staging: readonly Staging[];
  /** What the device reads and fills. */
  readonly #inputs: RawArray[];
  private readonly outputs: (RawArray | undefined)[];
  /** What the caller gets: the same arrays, but where the stored form is another. */
  readonly #results: TensorData[] = [];
  readonly #stored: (RawArray | undefined)[] = [];
  /** Records given for an `into`: given again for the same one. */
  readonly #records = new WeakMap<Into, ModelOutputs>();

  readonly #sizes: readonly number[];
  /** What is taken as it is, where the model's own shapes are these. */
  readonly #exact: readonly { readonly type: Exact; readonly length: number }[] | undefined;

  constructor(
    readonly plan: Plan,
    tensors: readonly Tensor[],
  ) {
    this.#exact = exactInputs(plan, tensors);
    this.#sizes = plan.outputs.map((p) => count(p.shape));
    this.#staging = plan.inputs.map(() => ({}));
    this.#inputs = plan.inputs.map(() => nothing);
    this.outputs = plan.outputs.map(() => undefined);
  }

  /** Whether it was planned for these input shapes. */
  fits(shapes: readonly (readonly number[])[]): boolean {
    return this.plan.inputs.every((p, i) => {
      const s = shapes[i] as readonly number[];
      return p.shape.length === s.length && p.shape.every((d, k) => d === s[k]);
    });
  }

  /**
   * Sets the inputs, if they are arrays of the declared types and sizes: most calls give what the call before gave,
   * and matching shapes and names of dimensions takes longer than a small layer.
   */
  takes(values: readonly InputValue[]): boolean {
    const exact = this.#exact;
    if (!exact) return false;
    for (let i = 0; i < exact.length; i++) {
      const { type, length } = exact[i] as { type: Exact; length: number };
      const x = values[i];
      if (!(x instanceof type) || x.length !== length) return false;
    }
    for (let i = 0; i < exact.length; i++) this.#inputs[i] = values[i] as RawArray;
    return true;
  }

  /** Checks and converts the values. */
  setInputs(tensors: readonly Tensor[], values: readonly FlatValue[]): void {
    tensors.forEach((t, i) => {
      this.#inputs[i] = about(t, () =>
        toRaw((values[i] as FlatValue).data, t.dtype, this.#staging[i] as Staging),
      );
    });
  }

  /** Of those that are set. */
  get inputBytes(): number {
    return this.#inputs.reduce((sum, raw) => sum + (ArrayBuffer.isView(raw) ? raw.byteLength : 0), 0);
  }

  /** Runs on the inputs that were set. */
  run({ names, into, onStep, signal }: SlotCall): ModelOutputs | Promise<ModelOutputs> {
    let running: Promise<ModelOutputs> | undefined;
    try {
      const own = into && this.#matchInto(into, names);
      this.#setOutputs(own);
      const ran = this.plan.run(this.#inputs, this.outputs, onStep, signal);
      if (!ran) return this.#record(names, into, own);
      running = ran.then(() => this.#record(names, into, own)).finally(() => this.#clear());
      return running;
    } finally {
      if (!running) this.#clear();
    }
  }

  /** Nobody's arrays are kept alive. */
  #clear(): void {
    for (let i = 0; i < this.#inputs.length; i++) this.#inputs[i] = nothing;
    for (let i = 0; i < this.outputs.length; i++) {
      this.outputs[i] = undefined;
      this.#results[i] = nothing;
    }
  }

  /** The caller's own arrays where given, or ours where the stored form is another; else the device makes some. */
  #setOutputs(own: Owned): void {
    const { outputs } = this.plan;
    for (let i = 0; i < outputs.length; i++) {
      const p = outputs[i] as PlanPort;
      this.outputs[i] = needsUnpack(p.dtype) ? this.#storedFor(p, i) : (own?.get(i) as RawArray | undefined);
    }
  }

  /** The record of what the device filled. */
  #record(names: CallNames, into: Into | undefined, own: Owned): ModelOutputs {
    const { outputs } = this.plan;
    for (let i = 0; i < outputs.length; i++) this.#results[i] = this.#result(i, own?.get(i));
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

  #result(i: number, own: TensorData | undefined): TensorData {
    const { dtype } = this.plan.outputs[i] as PlanPort;
    const filled = this.outputs[i] as RawArray;
    if (!needsUnpack(dtype)) return filled as TensorData;
    const out = own ?? newOutput(dtype, this.#sizes[i] as number);
    unpack(filled, dtype, out);
    return out;
  }

  #storedFor(p: PlanPort, i: number): RawArray {
    this.#stored[i] ??= newArray(p.dtype, this.#sizes[i] as number);
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
      const { dtype } = this.plan.outputs[i] as PlanPort;
      checkInto(name, array, newOutput(dtype, 0), this.#sizes[i] as number);
      found.set(i, array);
    }
    return found;
  }
}

function exactInputs(plan: Plan, tensors: readonly Tensor[]): { type: Exact; length: number }[] | undefined {
  const found = plan.inputs.flatMap(({ dtype, shape }, i) => {
    const type = exact[dtype];
    const declared = tensors[i]?.shape;
    return type && declared?.join() === shape.join() ? [{ type, length: count(shape) }] : [];
  });
  return found.length === tensors.length ? found : undefined;
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
