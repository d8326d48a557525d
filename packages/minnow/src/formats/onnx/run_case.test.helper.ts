// Runs one ONNX backend case on a target and says how it went.
import { ModelError } from "../../error.js";
import { type DType, halfToFloat, type TypedArray } from "../../graph/dtype.js";
import type { Graph } from "../../graph/graph.js";
import { numbered, Texts } from "../../runtime/strings.js";
import { evaluate, type RefTensor, toArray } from "../../targets/reference/index.js";
import type { Case } from "./backend.test.helper.js";
import { doublesAsFloats, withInitializers } from "./fields.test.helper.js";
import { decodeTensor } from "./proto.js";
import { readOnnx } from "./reader.js";
import { type ConstantData, readTensor } from "./tensor.js";
import { materialize } from "../../graph/deferred.js";

type Read = Omit<ConstantData, "data"> & { readonly data: TypedArray };

export interface Value {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: ArrayLike<number | bigint>;
}
export type Target = (
  graph: Graph,
  inputs: Record<string, { data: TypedArray; shape: readonly number[] }>,
) => Promise<readonly Value[]>;

export type Outcome =
  | { readonly kind: "passed" }
  /** The reader or compiler says, with reasons, that it cannot. */
  | { readonly kind: "unsupported"; readonly reason: string }
  | { readonly kind: "wrong"; readonly reason: string };

const isUnsupported = (e: unknown): e is ModelError => e instanceof ModelError && e.code === "unsupported";
const reasonOf = (e: ModelError): string => e.problems?.map((p) => `${p.op}: ${p.reason}`)[0] ?? e.message;

/**
 * Shapes, axes and sizes that the case gives as inputs are tried as constants, as real models have them;
 * double is tried as float32.
 */
export async function runCase(c: Case, target: Target): Promise<Outcome> {
  let last: Outcome = { kind: "unsupported", reason: "it has no data" };
  for (const set of c.sets) {
    const source = doublesAsFloats(c.model);
    const [first = new Uint8Array(0), ...rest] = set.inputs;
    for (const baked of [[], rest, [first, ...rest]]) {
      last = await runSet(baked.length > 0 ? withInitializers(source, baked) : source, set, target);
      if (last.kind !== "unsupported" || !/must be known|known only while running|computed/.test(last.reason))
        break;
    }
    if (last.kind !== "passed") return last;
  }
  return last;
}

async function runSet(model: Uint8Array, set: Case["sets"][number], target: Target): Promise<Outcome> {
  let results: readonly Value[];
  let expected: Read[];
  try {
    const texts = new Texts();
    const graph = numbered(readOnnx(model), texts);
    const given = set.inputs.map((b) => ({ name: decodeTensor(b).name ?? "", bytes: b }));
    const inputs = Object.fromEntries(
      graph.inputs.map((t, i) => {
        const tensor = given.find((g) => g.name === t.name) ?? given[i];
        return [t.name, readArray(tensor?.bytes ?? new Uint8Array(0), texts)];
      }),
    );
    expected = set.outputs.map((b) => readArray(b, texts));
    results = await target(graph, inputs);
  } catch (e) {
    if (isUnsupported(e)) return { kind: "unsupported", reason: reasonOf(e) };
    return {
      kind: "wrong",
      reason: e instanceof ModelError ? `${e.code}: ${e.message}` : String((e as Error).stack).slice(0, 400),
    };
  }
  for (const [i, want] of expected.entries()) {
    const reason = difference(results[i], want);
    if (reason) return { kind: "wrong", reason: `output ${i}: ${reason}` };
  }
  return { kind: "passed" };
}

/** Text as the numbers that `texts` gives it. */
const readArray = (bytes: Uint8Array, texts: Texts): Read => {
  const { dtype, shape, data, strings } = readTensor(decodeTensor(bytes));
  if (strings) return { dtype: "int32", shape, data: Int32Array.from(strings, texts.id) };
  return { dtype, shape, data: materialize(data) };
};

const number = (dtype: DType, v: number | bigint | undefined): number =>
  dtype === "float16" ? halfToFloat(v as number) : Number(v);

/** ONNX's own tolerance: |got − want| ≤ 1e-7 + 1e-3·|want|; integers equal. */
function difference(got: Value | undefined, want: Read): string | undefined {
  if (!got) return "is missing";
  if (got.dtype !== want.dtype) return `is ${got.dtype}, not ${want.dtype}`;
  if (got.shape.join() !== want.shape.join()) return `has shape [${got.shape}], not [${want.shape}]`;
  const float = got.dtype === "float32" || got.dtype === "float16";
  for (let i = 0; i < want.data.length; i++) {
    const a = number(got.dtype, got.data[i]);
    const b = number(got.dtype, want.data[i]);
    const same = Object.is(a, b) || a === b || (float && Math.abs(a - b) <= 1e-7 + 1e-3 * Math.abs(b));
    if (!same) return `element ${i} of [${want.shape}] is ${a}, not ${b}`;
  }
  return undefined;
}

/** The plain reference, in float64. */
export const onReference: Target = async (graph, inputs) => {
  const values = evaluate(graph, inputs);
  return graph.outputs.map((t) => {
    const v = values.get(t) as RefTensor;
    return { dtype: v.dtype, shape: v.shape, data: toArray(v) };
  });
};
