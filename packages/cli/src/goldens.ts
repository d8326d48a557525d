// A folder of goldens: inputs and tensors that somebody else's runtime made. Either meta.json (inputs
// and outputs with name, shape, dtype, file) or .npy files called after their tensors.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { DType, Model } from "minnow";
import { UsageError } from "./args.js";
import type { Numbers } from "./difference.js";
import { half, readNpy } from "./npy.js";
import type { InputGiven, Inputs } from "./values.js";

export interface Goldens {
  readonly inputs: Inputs;
  /** Reference values by tensor name (or, from meta.json, in output order). */
  readonly tensors: { readonly name: string; readonly value: Numbers }[];
  readonly signature?: string;
}

interface Entry {
  readonly name: string;
  readonly shape: number[];
  readonly dtype?: DType;
  readonly dt?: DType;
  readonly file: string;
}

/** File names cannot hold all that tensor names can. */
export const fileName = (tensor: string): string => tensor.replace(/[^\w.-]+/g, "_").slice(0, 120);

export async function readGoldens(
  folder: string,
  model: Pick<Model, "inputs">,
  tensorNames: readonly string[],
): Promise<Goldens> {
  const files = await readdir(folder);
  if (files.includes("meta.json")) return readMeta(folder, model);
  const npy = files.filter((f) => f.endsWith(".npy"));
  if (npy.length === 0) throw new UsageError(`${folder} holds neither meta.json nor .npy files`);
  const inputs: Inputs = {};
  const tensors: Goldens["tensors"] = [];
  for (const file of npy) {
    const { data, shape } = readNpy(await readFile(join(folder, file)));
    const base = file.slice(0, -4);
    const input = model.inputs.find((t) => fileName(t.name) === base);
    if (input) {
      inputs[input.name] = { data: data as InputGiven["data"], shape };
      continue;
    }
    const name = tensorNames.find((t) => fileName(t) === base);
    if (name === undefined) continue;
    tensors.push({ name, value: { data: data as ArrayLike<number>, shape, dtype: dtypeOf(data) } });
  }
  const missing = model.inputs.filter((t) => !inputs[t.name]).map((t) => `${fileName(t.name)}.npy`);
  if (missing.length) throw new UsageError(`${folder} lacks the inputs ${missing.join(", ")}`);
  if (tensors.length === 0)
    throw new UsageError(`no file in ${folder} is called after a tensor of the model`);
  return { inputs, tensors };
}

async function readMeta(folder: string, model: Pick<Model, "inputs">): Promise<Goldens> {
  const meta = JSON.parse(await readFile(join(folder, "meta.json"), "utf8")) as {
    inputs?: Entry[];
    outputs?: Entry[];
    signature?: string;
  };
  if (!Array.isArray(meta.inputs) || !Array.isArray(meta.outputs))
    throw new UsageError(`${folder}/meta.json has no inputs and outputs`);
  const inputs: Inputs = {};
  for (const [i, e] of meta.inputs.entries()) {
    const named = model.inputs.find((t) => t.name === e.name) ?? model.inputs[i];
    if (!named) throw new UsageError(`${folder} has more inputs than the model`);
    const { data, shape } = await readEntry(folder, e);
    inputs[named.name] = { data: data as InputGiven["data"], shape };
  }
  const tensors: Goldens["tensors"] = [];
  for (const e of meta.outputs) tensors.push({ name: e.name, value: await readEntry(folder, e) });
  return { inputs, tensors, ...(meta.signature && { signature: meta.signature }) };
}

const arrays: Partial<Record<DType, new (b: ArrayBuffer) => ArrayLike<number | bigint>>> = {
  float32: Float32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
};

async function readEntry(folder: string, e: Entry): Promise<Numbers> {
  const bytes = await readFile(join(folder, e.file));
  const buffer = new Uint8Array(bytes).buffer;
  const dtype = (e.dtype ?? e.dt) as DType;
  if (dtype === "float16")
    return { data: Float32Array.from(new Uint16Array(buffer), half), shape: e.shape, dtype };
  const make = arrays[dtype];
  if (!make) throw new UsageError(`${folder}/${e.file}: ${dtype} is not read`);
  return { data: new make(buffer), shape: e.shape, dtype };
}

function dtypeOf(data: ArrayLike<unknown>): DType {
  if (data instanceof Int8Array) return "int8";
  if (data instanceof Uint8Array) return "uint8";
  if (data instanceof Int16Array) return "int16";
  if (data instanceof Int32Array) return "int32";
  return data instanceof BigInt64Array ? "int64" : "float32";
}
