// The parts of onnx.proto that are read: field numbers as facts from the public specification
// (https://onnx.ai/onnx/repo-docs/IR.html). Branches of `If` nest; functions are only noticed.
import { decode, type Fields, many, one, type Packed } from "./wire.js";

export interface TensorProto {
  readonly dims: readonly number[];
  readonly dataType?: number;
  readonly segment?: true;
  readonly floatData?: Packed;
  readonly int32Data?: Packed;
  readonly stringData: readonly Uint8Array[];
  readonly int64Data?: Packed;
  readonly name?: string;
  readonly rawData?: Uint8Array;
  readonly doubleData?: Packed;
  readonly uint64Data?: Packed;
  readonly externalData: readonly Pair[];
  /** 1 = external */
  readonly dataLocation?: number;
}

export interface Pair {
  readonly key?: string;
  readonly value?: string;
}

export interface AttributeProto {
  readonly name?: string;
  readonly refAttrName?: string;
  /** 1 float, 2 int, 3 string, 4 tensor, 5 graph, 6–10 their lists, 11–14 sparse tensors and types. */
  readonly type?: number;
  readonly f?: number;
  readonly i?: number;
  readonly s?: Uint8Array;
  readonly t?: TensorProto;
  readonly g?: GraphProto;
  readonly floats: readonly number[];
  readonly ints: readonly number[];
  readonly strings: readonly Uint8Array[];
  readonly tensors: readonly TensorProto[];
  readonly graphs?: true;
  readonly sparseTensor?: true;
}

export interface NodeProto {
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly name?: string;
  readonly opType?: string;
  readonly domain?: string;
  readonly attribute: readonly AttributeProto[];
}

export interface DimProto {
  readonly dimValue?: number;
  readonly dimParam?: string;
}

export interface ValueInfoProto {
  readonly name?: string;
  readonly type?: {
    readonly tensorType?: {
      readonly elemType?: number;
      readonly shape?: { readonly dim: readonly DimProto[] };
    };
    readonly sequenceType?: true;
    readonly mapType?: true;
    readonly optionalType?: true;
    readonly sparseTensorType?: true;
  };
}

export interface GraphProto {
  readonly node: readonly NodeProto[];
  readonly name?: string;
  readonly initializer: readonly TensorProto[];
  readonly sparseInitializer?: true;
  readonly docString?: string;
  readonly input: readonly ValueInfoProto[];
  readonly output: readonly ValueInfoProto[];
}

export interface ModelProto {
  readonly irVersion?: number;
  readonly opsetImport: readonly { readonly domain?: string; readonly version?: number }[];
  readonly producerName?: string;
  readonly producerVersion?: string;
  readonly docString?: string;
  readonly graph?: GraphProto;
  readonly metadataProps: readonly Pair[];
  readonly functions: readonly { readonly name?: string; readonly domain?: string }[];
}

const pair: Fields = { 1: ["key", "string"], 2: ["value", "string"] };

const tensor: Fields = {
  1: ["dims", "ints"],
  2: ["dataType", "int"],
  3: ["segment", "present"],
  4: ["floatData", "packed"],
  5: ["int32Data", "packed"],
  6: ["stringData", "byteStrings"],
  7: ["int64Data", "packed"],
  8: ["name", "string"],
  9: ["rawData", "bytes"],
  10: ["doubleData", "packed"],
  11: ["uint64Data", "packed"],
  13: ["externalData", many(pair)],
  14: ["dataLocation", "int"],
};

const attribute: Fields = {
  1: ["name", "string"],
  2: ["f", "float"],
  3: ["i", "int"],
  4: ["s", "bytes"],
  5: ["t", one(tensor)],
  6: [
    "g",
    {
      get message() {
        return graph; // which holds attributes
      },
      many: false,
    },
  ],
  7: ["floats", "floats"],
  8: ["ints", "ints"],
  9: ["strings", "byteStrings"],
  10: ["tensors", many(tensor)],
  11: ["graphs", "present"],
  20: ["type", "int"],
  21: ["refAttrName", "string"],
  22: ["sparseTensor", "present"],
};

const node: Fields = {
  1: ["input", "strings"],
  2: ["output", "strings"],
  3: ["name", "string"],
  4: ["opType", "string"],
  5: ["attribute", many(attribute)],
  7: ["domain", "string"],
};

const shape: Fields = { 1: ["dim", many({ 1: ["dimValue", "int"], 2: ["dimParam", "string"] })] };

const valueInfo: Fields = {
  1: ["name", "string"],
  2: [
    "type",
    one({
      1: ["tensorType", one({ 1: ["elemType", "int"], 2: ["shape", one(shape)] })],
      4: ["sequenceType", "present"],
      5: ["mapType", "present"],
      8: ["sparseTensorType", "present"],
      9: ["optionalType", "present"],
    }),
  ],
};

const graph: Fields = {
  1: ["node", many(node)],
  2: ["name", "string"],
  5: ["initializer", many(tensor)],
  10: ["docString", "string"],
  11: ["input", many(valueInfo)],
  12: ["output", many(valueInfo)],
  15: ["sparseInitializer", "present"],
};

const model: Fields = {
  1: ["irVersion", "int"],
  2: ["producerName", "string"],
  3: ["producerVersion", "string"],
  6: ["docString", "string"],
  7: ["graph", one(graph)],
  8: ["opsetImport", many({ 1: ["domain", "string"], 2: ["version", "int"] })],
  14: ["metadataProps", many(pair)],
  25: ["functions", many({ 1: ["name", "string"], 10: ["domain", "string"] })],
};

/** A whole .onnx file. Byte fields are views of `bytes`. */
export const decodeModel = (bytes: Uint8Array): ModelProto => decode<ModelProto>(bytes, model);

/** A TensorProto alone, as in the `.pb` files of test data. */
export const decodeTensor = (bytes: Uint8Array): TensorProto => decode<TensorProto>(bytes, tensor);
