// Small TFLite files for tests, written with Google's flatbuffers library from a plain description: an
// independent writer for the checked reader, and a way to make files that no converter would.
import { Builder } from "flatbuffers";
import { bytesOf, type TypedArray } from "../../graph/dtype.js";
import * as schema from "./schema.js";

type Value =
  | { i8: number }
  | { i32: number }
  | { f32: number }
  | { i32s: readonly number[] }
  | { f32s: readonly number[] }
  | { i64s: readonly number[] }
  | { u8s: Uint8Array }
  | { text: string }
  | { table: Fields }
  | { tables: readonly Fields[] };

/** A table: slot → value. */
export type Fields = Readonly<Record<number, Value | undefined>>;

/** Places in the schema's union BuiltinOptions; LiteRT passes over options of another type. */
// biome-ignore format: many short entries
const optionsTypes: Readonly<Record<string, number>> = {
  CONV_2D: 1, DEPTHWISE_CONV_2D: 2, MAX_POOL_2D: 5, AVERAGE_POOL_2D: 5, L2_POOL_2D: 5, FULLY_CONNECTED: 8,
  SOFTMAX: 9, CONCATENATION: 10, ADD: 11, L2_NORMALIZATION: 12, LOCAL_RESPONSE_NORMALIZATION: 13,
  RESIZE_BILINEAR: 15, RESHAPE: 17, SPACE_TO_DEPTH: 19, MUL: 21, GATHER: 23, SUM: 27, MEAN: 27,
  REDUCE_MAX: 27, REDUCE_PROD: 27, SUB: 28, DIV: 29, SQUEEZE: 30, STRIDED_SLICE: 32, SPLIT: 35,
  ARG_MAX: 40, TRANSPOSE_CONV: 49, SHAPE: 55, ARG_MIN: 57, PACK: 59, UNPACK: 64,
  RESIZE_NEAREST_NEIGHBOR: 74, LEAKY_RELU: 75, MIRROR_PAD: 77, SPLIT_V: 79, DEPTH_TO_SPACE: 94,
  IF: 92, BATCH_MATMUL: 101, CUMSUM: 102, GELU: 116, UNIDIRECTIONAL_SEQUENCE_LSTM: 71,
  CONV_3D: 106,
  BIDIRECTIONAL_SEQUENCE_LSTM: 69, UNIDIRECTIONAL_SEQUENCE_RNN: 31, BIDIRECTIONAL_SEQUENCE_RNN: 70,
};

export interface TensorSpec {
  name?: string;
  type: string;
  shape: readonly number[];
  signature?: readonly number[];
  data?: TypedArray;
  quant?: { scale: readonly number[]; zeroPoint?: readonly number[]; axis?: number };
  variable?: boolean;
  sparsity?: Fields;
}

export interface OpSpec {
  op: string;
  inputs: readonly number[];
  outputs: readonly number[];
  options?: Fields;
  customOptions?: Uint8Array;
}

export interface SubgraphSpec {
  tensors: readonly TensorSpec[];
  ops: readonly OpSpec[];
  inputs: readonly number[];
  outputs: readonly number[];
}

export interface ModelSpec extends SubgraphSpec {
  /** Sub-graphs after the first. */
  branches?: readonly SubgraphSpec[];
  version?: number;
  metadata?: Uint8Array;
  signatures?: readonly Fields[];
}

/** Writes a table of `fields`; children first, as FlatBuffers want it. */
export function table(b: Builder, fields: Fields): number {
  const slots = Object.entries(fields).flatMap(([slot, v]) => (v ? [[Number(slot), v] as const] : []));
  const offsets = new Map(slots.map(([slot, v]) => [slot, child(b, v)]));
  b.startObject(Math.max(0, ...slots.map(([slot]) => slot + 1)));
  for (const [slot, v] of slots)
    if ("i8" in v) b.addFieldInt8(slot, v.i8, null);
    else if ("i32" in v) b.addFieldInt32(slot, v.i32, null);
    else if ("f32" in v) b.addFieldFloat32(slot, v.f32, null);
    else b.addFieldOffset(slot, offsets.get(slot) as number, 0);
  return b.endObject();
}

function child(b: Builder, v: Value): number {
  const vector = <T>(list: readonly T[], size: number, add: (x: T) => void): number => {
    b.startVector(size, list.length, size);
    for (const x of [...list].reverse()) add(x);
    return b.endVector();
  };
  if ("i32s" in v) return vector(v.i32s, 4, (x) => b.addInt32(x));
  if ("f32s" in v) return vector(v.f32s, 4, (x) => b.addFloat32(x));
  if ("i64s" in v) return vector(v.i64s, 8, (x) => b.addInt64(BigInt(x)));
  if ("u8s" in v) return b.createByteVector(v.u8s);
  if ("text" in v) return b.createString(v.text);
  if ("table" in v) return table(b, v.table);
  if ("tables" in v)
    return vector(
      v.tables.map((t) => table(b, t)),
      4,
      (x) => b.addOffset(x),
    );
  return 0;
}

/** The bytes of a TFLite file. */
export function buildTflite(spec: ModelSpec): Uint8Array {
  const buffers: Fields[] = [{}];
  const addBuffer = (bytes: Uint8Array): number => buffers.push({ [schema.buffer.data]: { u8s: bytes } }) - 1;
  const all = [spec, ...(spec.branches ?? [])];
  const names = [...new Set(all.flatMap((g) => g.ops.map((o) => o.op)))];
  const operator = (o: OpSpec): Fields => ({
    [schema.operator.opcodeIndex]: { i32: names.indexOf(o.op) },
    [schema.operator.inputs]: { i32s: o.inputs },
    [schema.operator.outputs]: { i32s: o.outputs },
    ...(o.options && {
      [schema.operator.optionsType]: { i8: optionsTypes[o.op] ?? 1 },
      [schema.operator.options]: { table: o.options },
    }),
    ...(o.customOptions && { [schema.operator.customOptions]: { u8s: o.customOptions } }),
  });
  const subgraphs = all.map((g): Fields => {
    const tensors = g.tensors.map((t) => tensorFields(t, t.data ? addBuffer(bytesOf(t.data)) : 0));
    return {
      [schema.subgraph.tensors]: { tables: tensors },
      [schema.subgraph.inputs]: { i32s: g.inputs },
      [schema.subgraph.outputs]: { i32s: g.outputs },
      [schema.subgraph.operators]: { tables: g.ops.map(operator) },
      [schema.subgraph.name]: { text: "main" },
    };
  });
  const metadata: Fields[] = spec.metadata
    ? [
        {
          [schema.metadata.name]: { text: "TFLITE_METADATA" },
          [schema.metadata.buffer]: { i32: addBuffer(spec.metadata) },
        },
      ]
    : [];
  const b = new Builder(1024);
  const root = table(b, {
    [schema.model.version]: { i32: spec.version ?? 3 },
    [schema.model.operatorCodes]: { tables: names.map(operatorCode) },
    [schema.model.subgraphs]: { tables: subgraphs },
    [schema.model.description]: { text: "built by a test" },
    [schema.model.buffers]: { tables: buffers },
    [schema.model.metadata]: { tables: metadata },
    ...(spec.signatures && { [schema.model.signatureDefs]: { tables: spec.signatures } }),
  });
  b.finish(root, "TFL3");
  return b.asUint8Array().slice();
}

function operatorCode(name: string): Fields {
  const code = schema.builtinNames.indexOf(name);
  if (code < 0)
    return {
      [schema.operatorCode.deprecatedBuiltinCode]: { i8: 32 },
      [schema.operatorCode.customCode]: { text: name },
      [schema.operatorCode.builtinCode]: { i32: 32 },
    };
  return {
    [schema.operatorCode.deprecatedBuiltinCode]: { i8: Math.min(code, 127) },
    [schema.operatorCode.version]: { i32: name === "BROADCAST_TO" ? 2 : 1 },
    [schema.operatorCode.builtinCode]: { i32: code },
  };
}

function tensorFields(t: TensorSpec, buffer: number): Fields {
  const type = schema.tensorTypes.findIndex(([name]) => name === t.type);
  const { quant } = t;
  return {
    [schema.tensor.shape]: { i32s: t.shape },
    [schema.tensor.type]: { i8: type },
    [schema.tensor.buffer]: { i32: buffer },
    [schema.tensor.name]: { text: t.name ?? "" },
    ...(t.signature && { [schema.tensor.shapeSignature]: { i32s: t.signature } }),
    ...(t.variable && { [schema.tensor.isVariable]: { i8: 1 } }),
    ...(t.sparsity && { [schema.tensor.sparsity]: { table: t.sparsity } }),
    ...(quant && {
      [schema.tensor.quantization]: {
        table: {
          [schema.quantization.scale]: { f32s: quant.scale },
          [schema.quantization.zeroPoint]: { i64s: quant.zeroPoint ?? quant.scale.map(() => 0) },
          [schema.quantization.quantizedDimension]: { i32: quant.axis ?? 0 },
        },
      },
    }),
  };
}
