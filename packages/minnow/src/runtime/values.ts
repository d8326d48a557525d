// From what the user gives to what a device takes: elements as stored, checked. Arrays of the right
// type pass through untouched; others are converted into staging arrays that are kept between runs.
import { count } from "../graph/dim.js";
import { type DType, floatToHalf, halfToFloat, newArray, type TypedArray } from "../graph/dtype.js";
import type { RawArray } from "./device.js";
import type { AnyTypedArray, InputValue, TensorData } from "./types.js";

/** Elements in a row, with the shape where the value says one. */
export interface FlatValue {
  readonly data: AnyTypedArray | readonly unknown[];
  readonly shape?: readonly number[];
}

/** A plain message; the caller says which input it was about. */
export class ValueError extends Error {
  constructor(
    message: string,
    readonly hint?: string,
  ) {
    super(message);
  }
}

const isTyped = (x: unknown): x is AnyTypedArray => ArrayBuffer.isView(x) && !(x instanceof DataView);

export const isValue = (x: unknown): boolean =>
  typeof x === "object" ? isTyped(x) || Array.isArray(x) : scalars.has(typeof x);
const scalars = new Set(["number", "bigint", "boolean", "string"]);

/** Flattens nested arrays and checks `{ data, shape }`. */
export function flatten(value: InputValue | undefined | null): FlatValue {
  if (isTyped(value)) return { data: value };
  if (Array.isArray(value))
    return Array.isArray(value[0]) ? flattenNested(value) : { data: value as unknown[] };
  if (isValue(value)) return { data: [value] };
  if (value && typeof value === "object" && "data" in value) {
    const { data } = flatten(value.data as InputValue);
    if (value.shape === undefined) return { data };
    const shape = checkShape(value.shape);
    if (count(shape) !== data.length)
      throw new ValueError(`shape [${shape}] holds ${count(shape)} elements, data has ${data.length}`);
    return { data, shape };
  }
  throw new ValueError(`is ${describeValue(value)}`, "give a typed array, plain numbers, or { data, shape }");
}

export function checkShape(shape: unknown): readonly number[] {
  const given = isTyped(shape) ? Array.from(shape as Int32Array) : shape;
  if (!Array.isArray(given) || !given.every((d) => Number.isSafeInteger(d) && d >= 0))
    throw new ValueError(`shape ${JSON.stringify(shape)} is not a list of sizes`);
  return given as number[];
}

function flattenNested(value: readonly unknown[]): FlatValue {
  const shape: number[] = [];
  for (let level: unknown = value; Array.isArray(level); level = level[0]) shape.push(level.length);
  const data: unknown[] = [];
  const walk = (list: readonly unknown[], depth: number): void => {
    if (list.length !== shape[depth])
      throw new ValueError(`nested arrays have different lengths (${list.length} and ${shape[depth]})`);
    for (const x of list) {
      if (Array.isArray(x) !== depth + 1 < shape.length)
        throw new ValueError("nested arrays have different depths");
      if (Array.isArray(x)) walk(x, depth + 1);
      else data.push(x);
    }
  };
  walk(value, 0);
  return { data, shape };
}

/** "Uint8Array of 12", "an object without data", … for messages. */
export function describeValue(value: unknown): string {
  if (isTyped(value)) return `${value.constructor.name} of ${value.length}`;
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value === null || value === undefined) return String(value);
  if (typeof value === "object")
    return `an object with ${Object.keys(value).slice(0, 6).join(", ") || "nothing"}`;
  return `a ${typeof value}`;
}

const ranges: Partial<Record<DType, readonly [number, number]>> = {
  int4: [-8, 7],
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  int32: [-2147483648, 2147483647],
};

/** What a user may give for each dtype, for messages. */
export const accepted: Record<DType, string> = {
  float32: "Float32Array or numbers",
  float16: "Float32Array or numbers",
  int8: "Int8Array or integers from -128 to 127",
  uint8: "Uint8Array or integers from 0 to 255",
  int16: "Int16Array or integers from -32768 to 32767",
  int32: "Int32Array or integers",
  int64: "BigInt64Array or integers",
  bool: "Uint8Array of 0 and 1 or booleans",
  int4: "Int8Array or integers from -8 to 7",
  string: "strings",
};

/** Arrays that a device takes as they are. */
export const exact: Partial<Record<DType, { new (n: number): TypedArray }>> = {
  float32: Float32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
};

/** A place to keep a converted input between runs. */
export interface Staging {
  array?: TypedArray;
}

/**
 * Elements of `data` as stored for `dtype`.
 * @throws ValueError when an element or the array's type does not fit
 */
export function toRaw(data: AnyTypedArray | readonly unknown[], dtype: DType, staging: Staging): RawArray {
  const want = exact[dtype];
  if (want && data instanceof want) return data as TypedArray;
  if (dtype === "uint8" && data instanceof Uint8ClampedArray)
    return new Uint8Array(data.buffer, data.byteOffset, data.length);
  if (dtype === "string") return stringsOf(data);
  const length = data.length;
  if (staging.array?.length !== stagingLength(dtype, length)) staging.array = newArray(dtype, length);
  const out = staging.array as TypedArray;
  switch (dtype) {
    case "float32":
      toFloat(data, (i, x) => {
        out[i] = x;
      });
      break;
    case "float16":
      toFloat(data, (i, x) => {
        out[i] = floatToHalf(x);
      });
      break;
    case "bool":
      toBool(data, out as Uint8Array);
      break;
    case "int64":
      toInt64(data, out as BigInt64Array);
      break;
    default:
      toInteger(data, dtype, out);
  }
  return out;
}

const stagingLength = (dtype: DType, n: number): number => (dtype === "int4" ? Math.ceil(n / 2) : n);

function stringsOf(data: AnyTypedArray | readonly unknown[]): string[] {
  if (isTyped(data)) throw wrongType(data, "string");
  for (const s of data)
    if (typeof s !== "string") throw new ValueError(`has ${describeValue(s)} among strings`);
  return data as string[];
}

const isFloatArray = (x: unknown): boolean => {
  const name = Object.prototype.toString.call(x);
  return (
    name === "[object Float32Array]" || name === "[object Float64Array]" || name === "[object Float16Array]"
  );
};

function toFloat(data: AnyTypedArray | readonly unknown[], put: (i: number, x: number) => void): void {
  if (isTyped(data) && !isFloatArray(data)) throw wrongType(data, "float32");
  for (let i = 0; i < data.length; i++) {
    const x = data[i];
    if (typeof x !== "number") throw badElement(x, i, "a number");
    put(i, x);
  }
}

function toBool(data: AnyTypedArray | readonly unknown[], out: Uint8Array): void {
  if (isTyped(data) && !(data instanceof Uint8Array)) throw wrongType(data, "bool");
  for (let i = 0; i < data.length; i++) {
    const x = data[i];
    if (typeof x !== "number" && typeof x !== "boolean") throw badElement(x, i, "a boolean");
    out[i] = x ? 1 : 0;
  }
}

function toInt64(data: AnyTypedArray | readonly unknown[], out: BigInt64Array): void {
  if (isFloatArray(data)) throw wrongType(data as AnyTypedArray, "int64");
  for (let i = 0; i < data.length; i++) {
    const x = data[i];
    if (typeof x === "bigint") {
      if (BigInt.asIntN(64, x) !== x) throw badElement(x, i, "in the range of int64");
      out[i] = x;
    } else if (Number.isSafeInteger(x)) out[i] = BigInt(x as number);
    else throw badElement(x, i, "an integer");
  }
}

function toInteger(data: AnyTypedArray | readonly unknown[], dtype: DType, out: TypedArray): void {
  if (isFloatArray(data)) throw wrongType(data as AnyTypedArray, dtype);
  const [low, high] = ranges[dtype] as readonly [number, number];
  for (let i = 0; i < data.length; i++) {
    const x = data[i];
    const n = typeof x === "bigint" ? Number(x) : x;
    if (!Number.isInteger(n)) throw badElement(x, i, "an integer");
    const v = n as number;
    if (v < low || v > high) throw badElement(x, i, `from ${low} to ${high}`);
    if (dtype !== "int4") out[i] = v;
    else {
      const at = i >> 1;
      const old = out[at] as number;
      out[at] = i & 1 ? (old & 15) | ((v & 15) << 4) : (old & 240) | (v & 15);
    }
  }
}

const badElement = (x: unknown, i: number, want: string): ValueError =>
  new ValueError(`element ${i} is ${typeof x === "string" ? JSON.stringify(x) : String(x)}, not ${want}`);

function wrongType(data: AnyTypedArray, dtype: DType): ValueError {
  const pixels = dtype === "float32" && (data instanceof Uint8Array || data instanceof Uint8ClampedArray);
  return new ValueError(
    `is ${describeValue(data)}, not ${accepted[dtype]}`,
    pixels ? "fromPixels of minnow/image normalises pixels" : undefined,
  );
}

/** A new array of the kind that users get for `dtype`. */
export function newOutput(dtype: DType, length: number): TensorData {
  if (dtype === "string") return new Array<string>(length).fill("");
  if (dtype === "float16") return new Float32Array(length);
  if (dtype === "int4") return new Int8Array(length);
  return newArray(dtype, length) as TensorData;
}

/** Devices fill arrays of the stored form; these two have another one for users. */
export const needsUnpack = (dtype: DType): boolean => dtype === "float16" || dtype === "int4";

export function unpack(raw: RawArray, dtype: DType, out: TensorData): void {
  if (dtype === "float16") for (let i = 0; i < out.length; i++) out[i] = halfToFloat(raw[i] as number);
  else for (let i = 0; i < out.length; i++) out[i] = (((raw[i >> 1] as number) >> (4 * (i & 1))) << 28) >> 28;
}
