// Where a model's inputs come from on the command line: pictures, .npy, raw binary, numbers, random.
import { readFile } from "node:fs/promises";
import type { DType, Model, TensorSpec } from "minnow";
import { fromPixels, type PixelOptions, pixelOptions } from "minnow/image";
import { type Args, type Options, UsageError } from "./args.js";
import { half, isNpy, type NpyArray, readNpy } from "./npy.js";
import { note, shape as show } from "./output.js";
import { decodePicture, pictureFormat } from "./picture.js";

export const inputOptions: Options = {
  input: {
    value: "[NAME=]FILE",
    many: true,
    short: "i",
    help: "picture, .npy, raw binary, random, zeros, or numbers 1,2,3",
  },
  seed: { value: "N", help: "of random inputs (default 1)" },
  mean: { value: "M", help: "pictures: (pixel − mean) / std, one number or one a channel" },
  std: { value: "S", help: "pictures: see mean; default: the model's own, else 0…1" },
  layout: { value: "NHWC|NCHW", help: "pictures: default: what the model says" },
  order: { value: "rgb|bgr|gray", help: "pictures: order of the channels" },
  fit: { value: "stretch|contain|cover", help: "pictures: how to fit another aspect (default stretch)" },
};

export interface InputGiven {
  readonly data:
    | Float32Array
    | Float64Array
    | Int8Array
    | Uint8Array
    | Int16Array
    | Int32Array
    | BigInt64Array
    | string[];
  readonly shape: readonly number[];
}
export type Inputs = Record<string, InputGiven>;

/** Sizes that a run needs of an input: its own, with free dimensions at 1 unless the data says. */
const concrete = (spec: TensorSpec): number[] => spec.shape.map((d) => (typeof d === "number" ? d : 1));
const count = (s: readonly number[]): number => s.reduce((a, b) => a * b, 1);

/** Pictures, files and words on the command line, by input name; the rest is random. */
export async function gatherInputs(
  model: Pick<Model, "inputs" | "metadata">,
  given: readonly string[],
  args: Args,
): Promise<{ inputs: Inputs; from: Record<string, string> }> {
  const inputs: Inputs = {};
  const from: Record<string, string> = {};
  for (const text of given) {
    const [spec, source] = target(model, text, inputs);
    inputs[spec.name] = await readInput(model, spec, source, args);
    from[spec.name] = source;
  }
  const seed = args.number("seed", 0) ?? 1;
  model.inputs.forEach((spec, i) => {
    if (inputs[spec.name]) return;
    inputs[spec.name] = {
      data: randomData(spec.dtype, count(concrete(spec)), seed + i),
      shape: concrete(spec),
    };
    from[spec.name] = "random";
  });
  return { inputs, from };
}

/** "name=file", or the next input that has nothing yet. */
function target(model: Pick<Model, "inputs">, text: string, taken: Inputs): [TensorSpec, string] {
  for (let at = text.indexOf("="); at > 0; at = text.indexOf("=", at + 1)) {
    const name = text.slice(0, at);
    const spec = model.inputs.find((t) => t.name === name || t.aliases.includes(name));
    if (spec) return [spec, text.slice(at + 1)];
  }
  const free = model.inputs.find((t) => !taken[t.name]);
  if (!free)
    throw new UsageError(
      `${JSON.stringify(text)} is one input too many: the model has ${model.inputs.map((t) => t.name).join(", ")}`,
    );
  return [free, text];
}

async function readInput(
  model: Pick<Model, "inputs" | "metadata">,
  spec: TensorSpec,
  source: string,
  args: Args,
): Promise<InputGiven> {
  const size = concrete(spec);
  const word = /^(random|zeros|ones)$/.exec(source)?.[1];
  if (word) {
    const n = count(size);
    if (word === "random")
      return { data: randomData(spec.dtype, n, args.number("seed", 0) ?? 1), shape: size };
    return { data: arrayOf(spec.dtype, n, () => (word === "ones" ? 1 : 0)), shape: size };
  }
  if (/^[-+.\d][-+.\deE]*(,[-+.\deE]+)*$/.test(source)) return numbers(spec, source.split(",").map(Number));
  let bytes: Uint8Array;
  try {
    bytes = await readFile(source);
  } catch (e) {
    throw new UsageError(
      `cannot read the input ${source}: ${(e as { code?: string }).code === "ENOENT" ? "no such file" : String(e)}`,
    );
  }
  if (isNpy(bytes)) return matchType(spec, readNpy(bytes));
  if (pictureFormat(bytes)) return picture(model, spec, bytes, source, args);
  return raw(spec, bytes, source);
}

function numbers(spec: TensorSpec, values: readonly number[]): InputGiven {
  return {
    data: arrayOf(spec.dtype, values.length, (i) => values[i] as number),
    shape: shapeFor(spec, values.length),
  };
}

/** .npy files of another width: numbers are numbers. */
function matchType(spec: TensorSpec, { data, shape }: NpyArray): InputGiven {
  return { data: arrayOf(spec.dtype, data.length, (i) => data[i] as number | bigint), shape };
}

async function picture(
  model: Pick<Model, "inputs" | "metadata">,
  spec: TensorSpec,
  bytes: Uint8Array,
  source: string,
  args: Args,
): Promise<InputGiven> {
  const pixels = await decodePicture(bytes).catch((e: unknown) => {
    throw new UsageError(`cannot read the picture ${source}: ${e instanceof Error ? e.message : e}`);
  });
  const own = pixelOptions(model, spec.name);
  const list = (name: string): number[] | undefined => {
    const text = args.text(name);
    if (text === undefined) return undefined;
    const values = text.split(",").map(Number);
    if (values.some((x) => !Number.isFinite(x)))
      throw new UsageError(`--${name} is ${JSON.stringify(text)}, not numbers`);
    return values;
  };
  const mean = list("mean");
  const std = list("std");
  const layout = args.choice("layout", ["NHWC", "NCHW"]);
  const order = args.choice("order", ["rgb", "bgr", "gray"]);
  const fit = args.choice("fit", ["stretch", "contain", "cover"]);
  const q = spec.quantization;
  const said = mean || std || own.mean !== undefined;
  const options: PixelOptions = {
    ...own,
    ...(mean && { mean }),
    ...(std && { std }),
    ...((mean || std) && q && { quantization: { scale: q.scale, zeroPoint: q.zeroPoint } }),
    ...(layout && { layout }),
    ...(order && { order }),
    ...(fit && { fit }),
    ...(!said && own.dtype === "float32" && { range: [0, 1] as const }),
  };
  if (!said && own.dtype === "float32")
    note(
      args,
      `${spec.name}: the model says nothing of normalisation; pixels become 0…1 (set --mean and --std)`,
    );
  const { data, shape } = fromPixels(pixels, options);
  return { data, shape };
}

const sizes: Partial<Record<DType, number>> = {
  float32: 4,
  float16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
  int4: 1,
  int16: 2,
  int32: 4,
  int64: 8,
};

function raw(spec: TensorSpec, bytes: Uint8Array, source: string): InputGiven {
  const size = sizes[spec.dtype];
  if (!size) throw new UsageError(`${source}: ${spec.dtype} has no raw form`);
  if (bytes.length % size)
    throw new UsageError(`${source} has ${bytes.length} bytes, not a multiple of ${size} (${spec.dtype})`);
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const read: Partial<Record<DType, (at: number) => number | bigint>> = {
    float32: (at) => v.getFloat32(at, true),
    float16: (at) => half(v.getUint16(at, true)),
    int8: (at) => v.getInt8(at),
    int4: (at) => v.getInt8(at),
    uint8: (at) => v.getUint8(at),
    bool: (at) => v.getUint8(at),
    int16: (at) => v.getInt16(at, true),
    int32: (at) => v.getInt32(at, true),
    int64: (at) => v.getBigInt64(at, true),
  };
  const get = read[spec.dtype] as (at: number) => number | bigint;
  const n = bytes.length / size;
  return { data: arrayOf(spec.dtype, n, (i) => get(i * size)), shape: shapeFor(spec, n) };
}

/** The declared shape; its one free dimension takes what is left. */
function shapeFor(spec: TensorSpec, n: number): number[] {
  const free = spec.shape.filter((d) => typeof d === "string");
  const known = count(spec.shape.filter((d): d is number => typeof d === "number"));
  if (free.length > 1) throw new UsageError(`${spec.name} is ${show(spec.shape)}: give --shape or --dim`);
  if (free.length === 0 ? known !== n : n % known !== 0)
    throw new UsageError(`${spec.name} is ${show(spec.shape)}, ${n} elements were given`);
  return spec.shape.map((d) => (typeof d === "number" ? d : n / known));
}

const makers: Readonly<
  Record<Exclude<DType, "string">, new (n: number) => Exclude<InputGiven["data"], string[]>>
> = {
  float32: Float32Array,
  float16: Float32Array,
  int8: Int8Array,
  int4: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
};

export function arrayOf(dtype: DType, n: number, at: (i: number) => number | bigint): InputGiven["data"] {
  if (dtype === "string") return Array.from({ length: n }, () => "");
  const out = new makers[dtype](n);
  for (let i = 0; i < n; i++) {
    const v = at(i);
    if (out instanceof BigInt64Array) out[i] = BigInt(v);
    else out[i] = Number(v);
  }
  return out;
}

/** Seeded: floats 0…1, 8-bit types their whole range, other integers 0 and 1 (they are often indices). */
export function randomData(dtype: DType, n: number, seed: number): InputGiven["data"] {
  let state = (seed * 2654435761) >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 8; i++) next();
  const span: Partial<Record<DType, readonly [number, number]>> = {
    int8: [-128, 256],
    uint8: [0, 256],
    int4: [-8, 16],
  };
  const [low, width] = span[dtype] ?? [0, 2];
  if (dtype === "float32" || dtype === "float16") return arrayOf(dtype, n, next);
  return arrayOf(dtype, n, () => Math.floor(low + next() * width));
}
