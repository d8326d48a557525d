// TensorProto → constant data. Raw data stays a view of the file where alignment allows; the element
// count must match the dims before anything is allocated.
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { ModelError } from "../../error.js";
import { type Data, dataFromBytes } from "../../graph/deferred.js";
import { byteSize, type DType, newArray, type TypedArray } from "../../graph/dtype.js";
import { constant, type Tensor } from "../../graph/graph.js";
import type { TensorProto } from "./proto.js";
import { constantType, typeName } from "./types.js";
import type { Packed } from "./wire.js";

export interface ConstantData {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Data;
  /** Text, where dtype is "string"; `data` is empty then. */
  readonly strings?: readonly string[];
}

/** A constant of the graph. */
export function constantFrom(name: string, { dtype, shape, data, strings }: ConstantData): Tensor {
  return strings ? { name, dtype, shape, kind: "constant", strings } : constant(name, dtype, shape, data);
}

const fail = (name: string, message: string): never => {
  throw new ModelError("bad_file", `tensor ${JSON.stringify(name)}: ${message}`, { tensor: name });
};

/** Throws "bad_file" where data and dims disagree, "unsupported" for types and storage that cannot be read. */
export function readTensor(t: TensorProto, name = t.name ?? ""): ConstantData {
  const shape = t.dims;
  let count = 1;
  for (const d of shape) {
    if (!Number.isSafeInteger(d) || d < 0) fail(name, `a dimension is ${d}`);
    count *= d;
  }
  if (!Number.isSafeInteger(count)) fail(name, `its shape is [${shape}]`);
  if (t.dataLocation === 1 || t.externalData.length > 0)
    throw new ModelError("unsupported", `tensor ${JSON.stringify(name)} lies in another file`, {
      tensor: name,
      hint: "store the weights inside the .onnx file: onnx.save_model(model, path, save_as_external_data=False)",
    });
  if (t.segment)
    throw new ModelError("unsupported", `tensor ${JSON.stringify(name)} is stored in segments`, {
      tensor: name,
    });
  const dtype = constantType(t.dataType);
  if (!dtype)
    throw new ModelError("unsupported", `tensor ${JSON.stringify(name)} has type ${typeName(t.dataType)}`, {
      tensor: name,
    });
  if (dtype === "string") return { dtype, shape, data: new Uint8Array(0), strings: texts(t, count, name) };
  const data =
    t.rawData && t.rawData.length > 0
      ? fromRaw(t, t.rawData, dtype, count, name)
      : fromTyped(t, dtype, count, name);
  return { dtype, shape, data };
}

/** Bytes an element takes in raw_data; 0.5 for four-bit types. */
const rawBytes: Record<number, number> = { 4: 2, 11: 8, 12: 4, 13: 8, 16: 2, 21: 0.5 };

function fromRaw(t: TensorProto, raw: Uint8Array, dtype: DType, count: number, name: string): Data {
  const code = t.dataType ?? 0;
  const each = rawBytes[code];
  const want = each === undefined ? byteSize(dtype, count) : Math.ceil(each * count);
  if (raw.length !== want) fail(name, `${raw.length} bytes of data, its shape [${t.dims}] needs ${want}`);
  if (each === undefined && dtype === "bool")
    return raw.some((b) => b > 1) ? raw.map((b) => (b ? 1 : 0)) : raw;
  if (each === undefined) return dataFromBytes(dtype, raw);
  const out = newArray(dtype, count);
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const put = (read: (i: number) => number | bigint): TypedArray => {
    for (let i = 0; i < count; i++) out[i] = read(i);
    return out;
  };
  switch (code) {
    case 4:
      return put((i) => view.getUint16(2 * i, true));
    case 11:
      return put((i) => view.getFloat64(8 * i, true));
    case 12:
      return put((i) => BigInt(view.getUint32(4 * i, true)));
    case 13:
      return put((i) => small(view.getBigUint64(8 * i, true), name));
    case 21:
      return put((i) => ((raw[i >> 1] as number) >> (4 * (i & 1))) & 15);
    default: {
      const bits = new Uint32Array(out.buffer);
      for (let i = 0; i < count; i++) bits[i] = view.getUint16(2 * i, true) << 16;
      return out;
    }
  }
}

const small = (v: bigint, name: string): bigint => {
  if (v >> 63n !== 0n)
    throw new ModelError("unsupported", `tensor ${JSON.stringify(name)} holds uint64 values beyond int64`, {
      tensor: name,
    });
  return v;
};

function fromTyped(t: TensorProto, dtype: DType, count: number, name: string): Data {
  switch (t.dataType) {
    case 1:
      return fixed(t.floatData, 4, "float32", count, name) ?? newArray(dtype, 0);
    case 11: {
      const bytes = t.doubleData?.bytes ?? new Uint8Array(0);
      return fromRaw(t, bytes, dtype, count, name);
    }
    case 7:
      return varints(t.int64Data, dtype, count, name, (r) => r.int64() as bigint);
    case 12:
      return varints(t.uint64Data, dtype, count, name, (r) => (r.uint64() as bigint) & 0xffffffffn);
    case 13:
      return varints(t.uint64Data, dtype, count, name, (r) => small(r.uint64() as bigint, name));
    case 16: {
      const bits = varints(t.int32Data, "float16", count, name, (r) => r.int32());
      const out = new Float32Array(count);
      new Uint32Array(out.buffer).set(Uint32Array.from(bits as Uint16Array, (b) => b << 16));
      return out;
    }
    case 21:
    case 22: {
      // two elements in each number
      const packed = varints(t.int32Data, "uint8", Math.ceil(count / 2), name, (r) => r.int32());
      if (dtype === "int4") return packed;
      return Uint8Array.from({ length: count }, (_, i) => ((packed[i >> 1] as number) >> (4 * (i & 1))) & 15);
    }
    case 9:
      return varints(t.int32Data, dtype, count, name, (r) => (r.int32() ? 1 : 0));
    default:
      return varints(t.int32Data, dtype, count, name, (r) => r.int32());
  }
}

function fixed(p: Packed | undefined, size: number, dtype: DType, count: number, name: string): Data {
  const bytes = p?.bytes ?? new Uint8Array(0);
  if (bytes.length !== size * count) fail(name, `${bytes.length / size} numbers, its shape needs ${count}`);
  return dataFromBytes(dtype, bytes);
}

function varints(
  p: Packed | undefined,
  dtype: DType,
  count: number,
  name: string,
  read: (r: BinaryReader) => number | bigint,
): TypedArray {
  const bytes = p?.bytes ?? new Uint8Array(0);
  let n = 0;
  for (let i = 0; i < bytes.length; i++) if ((bytes[i] as number) < 128) n++;
  if (n !== count) fail(name, `${n} numbers, its shape needs ${count}`);
  const out = newArray(dtype, count);
  const r = new BinaryReader(bytes);
  try {
    for (let i = 0; i < count; i++) out[i] = read(r);
  } catch (e) {
    if (e instanceof ModelError) throw e;
    fail(name, "its numbers cannot be read");
  }
  return out;
}

/** String elements (type 8) as text. */
function texts(t: TensorProto, count: number, name: string): string[] {
  if (t.stringData.length !== count) fail(name, `${t.stringData.length} texts, its shape needs ${count}`);
  const decoder = new TextDecoder();
  return t.stringData.map((b) => decoder.decode(b));
}
