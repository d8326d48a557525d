// Facts of TFLite's public schema (version 3), as far as they are read: field numbers of tables,
// element types, and the names of built-in operators (also of those that cannot run, for messages).
import type { DType } from "../../graph/dtype.js";

export const model = {
  version: 0,
  operatorCodes: 1,
  subgraphs: 2,
  description: 3,
  buffers: 4,
  metadata: 6,
  signatureDefs: 7,
} as const;
export const operatorCode = { deprecatedBuiltinCode: 0, customCode: 1, version: 2, builtinCode: 3 } as const;
export const subgraph = { tensors: 0, inputs: 1, outputs: 2, operators: 3, name: 4 } as const;
export const tensor = {
  shape: 0,
  type: 1,
  buffer: 2,
  name: 3,
  quantization: 4,
  isVariable: 5,
  sparsity: 6,
  shapeSignature: 7,
  hasRank: 8,
  externalBuffer: 10,
} as const;
export const quantization = { scale: 2, zeroPoint: 3, detailsType: 4, quantizedDimension: 6 } as const;
export const sparsity = { traversalOrder: 0, blockMap: 1, dimMetadata: 2 } as const;
export const dimMetadata = {
  format: 0,
  denseSize: 1,
  segmentsType: 2,
  segments: 3,
  indicesType: 4,
  indices: 5,
} as const;
export const operator = {
  opcodeIndex: 0,
  inputs: 1,
  outputs: 2,
  optionsType: 3,
  options: 4,
  customOptions: 5,
  largeCustomOptionsOffset: 9,
  largeCustomOptionsSize: 10,
} as const;
export const buffer = { data: 0, offset: 1, size: 2 } as const;
export const metadata = { name: 0, buffer: 1 } as const;
export const signatureDef = { inputs: 0, outputs: 1, key: 2, subgraphIndex: 4 } as const;
export const tensorMap = { name: 0, tensorIndex: 1 } as const;

/** TensorType in order; null = a type Minnow has no operators for. */
export const tensorTypes: readonly (readonly [name: string, dtype: DType | null])[] = [
  ["FLOAT32", "float32"],
  ["FLOAT16", "float16"],
  ["INT32", "int32"],
  ["UINT8", "uint8"],
  ["INT64", "int64"],
  ["STRING", null],
  ["BOOL", "bool"],
  ["INT16", "int16"],
  ["COMPLEX64", null],
  ["INT8", "int8"],
  ["FLOAT64", null],
  ["COMPLEX128", null],
  ["UINT64", null],
  ["RESOURCE", null],
  ["VARIANT", null],
  ["UINT32", null],
  ["UINT16", null],
  ["INT4", "int4"],
  ["BFLOAT16", null],
  ["INT2", null],
  ["UINT4", null],
  ["FLOAT8_E4M3FN", null],
  ["FLOAT8_E5M2", null],
];

/** BuiltinOperator in order, one name a code; those of StableHLO, which come after, by number. */
export const builtinNames = (
  "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE " +
  "EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D " +
  "LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 " +
  "RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM " +
  "EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND " +
  "TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN " +
  "EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX " +
  "MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV " +
  "SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT " +
  "REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV " +
  "REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU " +
  "SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU " +
  "REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE " +
  "NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL " +
  "PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS " +
  "HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE " +
  "READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM " +
  "MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX " +
  "UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT"
).split(" ");
