// One small model an operator row, for rows.test.ts: what each must give was computed by LiteRT
// (fixtures/tflite-rows.json says which version), from the files that buildTflite makes of these.
import type { TypedArray } from "../../graph/dtype.js";
import type { Fields, ModelSpec, TensorSpec } from "./build.test.helper.js";

type Options = Fields;
type Shape = readonly number[];

const x = (shape: Shape): TensorSpec => ({ name: "x", type: "FLOAT32", shape });
const y = (shape: Shape, type = "FLOAT32"): TensorSpec => ({ name: "y", type, shape });
const size = (shape: Shape): number => shape.reduce((a, b) => a * b, 1);
/** Weights that are exact in float32 and differ from each other. */
const f32 = (shape: Shape, scale = 0.25): TensorSpec => ({
  type: "FLOAT32",
  shape,
  data: Float32Array.from({ length: size(shape) }, (_, i) => (((i * 7) % 13) - 6) * scale),
});
const i32 = (shape: Shape, ...values: number[]): TensorSpec => ({
  type: "INT32",
  shape,
  data: Int32Array.from(values),
});
const list = (...values: number[]): TensorSpec => i32([values.length], ...values);
const scalar = (v: number): TensorSpec => i32([], v);

/** Operands in order (the first "x" is the graph's input, null is left out), then the outputs. */
function model(
  op: string,
  operands: readonly (TensorSpec | null)[],
  outputs: TensorSpec[],
  options?: Options,
): ModelSpec {
  const given = operands.filter((t) => t !== null);
  const tensors = [...given, ...outputs.map((t, i) => ({ ...t, name: i ? `y${i}` : "y" }))];
  const out = outputs.map((_, i) => given.length + i);
  const inputs = operands.map((t) => (t ? given.indexOf(t) : -1));
  return {
    tensors,
    ops: [{ op, inputs, outputs: out, ...(options && { options }) }],
    inputs: [given.findIndex((t) => t.name === "x")],
    outputs: out,
  };
}

const flag = (...slots: number[]): Options => Object.fromEntries(slots.map((s) => [s, { i8: 1 }]));
const same = { 0: { i8: 0 } };
const valid = { 0: { i8: 1 } };
const image = [1, 5, 6, 2];
const unary = (op: string, options?: Options): [string, ModelSpec] => [
  op,
  model(op, [x([2, 3])], [y([2, 3])], options),
];
const binary = (op: string, type = "FLOAT32", options?: Options): [string, ModelSpec] => [
  op,
  model(op, [x([2, 3]), f32([3], 0.5)], [y([2, 3], type)], options),
];

const none = (n: number): null[] => new Array<null>(n).fill(null);
/** A state that an interpreter keeps. */
const state = (...shape: number[]): TensorSpec => ({ type: "FLOAT32", shape, variable: true });
/** Gates of 3 cells over 2 numbers: weights of x and of h, no peepholes, biases, no projection. */
const lstmGates = (scale: number): (TensorSpec | null)[] => [
  ...[1, 2, 3, 4].map((k) => f32([3, 2], scale * k)),
  ...[4, 2, 3, 1].map((k) => f32([3, 3], (scale * k) / 2)),
  ...none(3),
  ...[1, 3, 2, 4].map((k) => f32([3], scale * k)),
  ...none(2),
];
const rnnCell = (scale: number): TensorSpec[] => [f32([3, 2], scale), f32([3, 3], scale), f32([3], scale)];
const lstmStates = [state(2, 3), state(2, 3)];
const tanh = { 0: { i8: 4 } };
const both = [...lstmGates(1 / 16), ...lstmGates(1 / 32)];
const bothStates = [state(2, 3), state(2, 3), state(2, 3), state(2, 3), ...none(9)];
const rnnBoth = [...rnnCell(1 / 8), state(2, 3), ...rnnCell(1 / 16), state(2, 3), ...none(3)];

// biome-ignore format: one case a line
export const cases: readonly (readonly [name: string, model: ModelSpec])[] = [
  unary("ABS"), unary("NEG"), unary("SQUARE"), unary("EXP"), unary("SIN"), unary("COS"), unary("TANH"), unary("LOGISTIC"),
  unary("FLOOR"), unary("RELU"), unary("RELU6"), unary("RELU_N1_TO_1"), unary("RELU_0_TO_1"), unary("ELU"), unary("HARD_SWISH"), unary("SIGN"),
  unary("LEAKY_RELU", { 0: { f32: 0.125 } }),
  unary("GELU"),
  ["GELU tanh", model("GELU", [x([2, 3])], [y([2, 3])], flag(0))],
  ["PRELU", model("PRELU", [x([2, 3]), f32([3])], [y([2, 3])])],
  binary("ADD"), binary("SUB"), binary("MUL"), binary("MAXIMUM"), binary("MINIMUM"), binary("SQUARED_DIFFERENCE"),
  binary("LESS", "BOOL"), binary("GREATER_EQUAL", "BOOL"), binary("NOT_EQUAL", "BOOL"),
  ["ADD relu", model("ADD", [x([2, 3]), f32([3])], [y([2, 3])], { 0: { i8: 1 } })],
  ["MUL relu6", model("MUL", [x([2, 3]), f32([3], 4)], [y([2, 3])], { 0: { i8: 3 } })],
  ["SUB relu ±1", model("SUB", [f32([3]), x([2, 3])], [y([2, 3])], { 0: { i8: 2 } })],
  ["ADD_N", model("ADD_N", [x([2, 3]), f32([2, 3]), f32([2, 3], 2)], [y([2, 3])])],
  ["DIV", model("DIV", [x([2, 3]), { type: "FLOAT32", shape: [3], data: Float32Array.of(2, -4, 0.5) }], [y([2, 3])])],
  ["SELECT_V2", model("SELECT_V2", [{ type: "BOOL", shape: [3], data: Uint8Array.of(1, 0, 1) }, x([2, 3]), f32([1])], [y([2, 3])])],
  ["SELECT a row", model("SELECT", [{ type: "BOOL", shape: [2], data: Uint8Array.of(1, 0) }, x([2, 3]), f32([2, 3])], [y([2, 3])])],
  ["CAST", model("CAST", [x([2, 3])], [y([2, 3], "INT32")])],
  ["CONV_2D same", model("CONV_2D", [x(image), f32([3, 3, 2, 2]), f32([3])], [y([1, 3, 3, 3])], { ...same, 1: { i32: 2 }, 2: { i32: 2 } })],
  ["CONV_2D dilated", model("CONV_2D", [x(image), f32([3, 2, 2, 2]), f32([3])], [y([1, 3, 5, 3])], { ...valid, 1: { i32: 1 }, 2: { i32: 1 }, 3: { i8: 1 }, 4: { i32: 1 }, 5: { i32: 2 } })],
  ["CONV_2D grouped", model("CONV_2D", [x([1, 4, 4, 4]), f32([4, 2, 2, 2]), f32([4])], [y([1, 3, 3, 4])], { ...valid, 1: { i32: 1 }, 2: { i32: 1 } })],
  ["DEPTHWISE_CONV_2D", model("DEPTHWISE_CONV_2D", [x(image), f32([1, 3, 2, 4]), f32([4])], [y([1, 3, 6, 4])], { ...same, 1: { i32: 1 }, 2: { i32: 2 }, 3: { i32: 2 }, 4: { i8: 1 } })],
  ["TRANSPOSE_CONV same", model("TRANSPOSE_CONV", [list(1, 9, 12, 3), f32([3, 3, 2, 2]), x(image), f32([3])], [y([1, 9, 12, 3])], { ...same, 1: { i32: 2 }, 2: { i32: 2 } })],
  ["TRANSPOSE_CONV valid", model("TRANSPOSE_CONV", [list(1, 11, 7, 3), f32([3, 3, 2, 2]), x(image)], [y([1, 11, 7, 3])], { ...valid, 1: { i32: 1 }, 2: { i32: 2 } })],
  ["CONV_3D same", model("CONV_3D", [x([1, 4, 3, 5, 2]), f32([3, 2, 3, 2, 3]), f32([3])], [y([1, 2, 3, 3, 3])], { 0: { i8: 0 }, 1: { i32: 2 }, 2: { i32: 2 }, 3: { i32: 1 }, 4: { i8: 1 } })],
  ["CONV_3D dilated", model("CONV_3D", [x([2, 4, 3, 5, 2]), f32([2, 2, 3, 2, 3])], [y([2, 2, 2, 3, 3])], { 0: { i8: 1 }, 1: { i32: 1 }, 2: { i32: 1 }, 3: { i32: 1 }, 5: { i32: 2 } })],
  ["FULLY_CONNECTED", model("FULLY_CONNECTED", [x([2, 2, 3]), f32([4, 3]), f32([4])], [y([4, 4])], { 0: { i8: 1 } })],
  ["FULLY_CONNECTED all dims", model("FULLY_CONNECTED", [x([2, 2, 3]), f32([4, 3])], [y([2, 2, 4])], flag(2))],
  ["BATCH_MATMUL", model("BATCH_MATMUL", [x([2, 3, 4]), f32([2, 5, 4])], [y([2, 3, 5])], flag(1))],
  ["MAX_POOL_2D", model("MAX_POOL_2D", [x(image)], [y([1, 3, 3, 2])], { ...same, 1: { i32: 2 }, 2: { i32: 2 }, 3: { i32: 3 }, 4: { i32: 2 } })],
  ["AVERAGE_POOL_2D", model("AVERAGE_POOL_2D", [x(image)], [y([1, 3, 3, 2])], { ...same, 1: { i32: 2 }, 2: { i32: 2 }, 3: { i32: 3 }, 4: { i32: 2 } })],
  ["L2_POOL_2D", model("L2_POOL_2D", [x(image)], [y([1, 4, 4, 2])], { ...valid, 1: { i32: 1 }, 2: { i32: 1 }, 3: { i32: 3 }, 4: { i32: 2 } })],
  ["L2_NORMALIZATION", model("L2_NORMALIZATION", [x([2, 3])], [y([2, 3])], { 0: { i8: 0 } })],
  ["LOCAL_RESPONSE_NORMALIZATION", model("LOCAL_RESPONSE_NORMALIZATION", [x([1, 2, 2, 5])], [y([1, 2, 2, 5])], { 0: { i32: 1 }, 1: { f32: 1 }, 2: { f32: 0.5 }, 3: { f32: 0.75 } })],
  ["SOFTMAX", model("SOFTMAX", [x([2, 3])], [y([2, 3])], { 0: { f32: 2 } })],
  ["LOG_SOFTMAX", model("LOG_SOFTMAX", [x([2, 3])], [y([2, 3])])],
  ["RESIZE_BILINEAR", model("RESIZE_BILINEAR", [x(image), list(7, 4)], [y([1, 7, 4, 2])], { 2: { i8: 0 } })],
  ["RESIZE_BILINEAR corners", model("RESIZE_BILINEAR", [x(image), list(7, 4)], [y([1, 7, 4, 2])], flag(2))],
  ["RESIZE_BILINEAR half", model("RESIZE_BILINEAR", [x(image), list(7, 4)], [y([1, 7, 4, 2])], flag(3))],
  ["RESIZE_NEAREST_NEIGHBOR", model("RESIZE_NEAREST_NEIGHBOR", [x(image), list(7, 4)], [y([1, 7, 4, 2])], { 0: { i8: 0 } })],
  ["RESIZE_NEAREST_NEIGHBOR corners", model("RESIZE_NEAREST_NEIGHBOR", [x(image), list(9, 11)], [y([1, 9, 11, 2])], flag(0))],
  ["RESIZE_NEAREST_NEIGHBOR half", model("RESIZE_NEAREST_NEIGHBOR", [x(image), list(10, 3)], [y([1, 10, 3, 2])], flag(1))],
  ["SUM", model("SUM", [x([2, 3, 4]), list(0, -1)], [y([1, 3, 1])], flag(0))],
  ["MEAN", model("MEAN", [x([2, 3, 4]), list(1)], [y([2, 4])], { 0: { i8: 0 } })],
  ["REDUCE_MAX", model("REDUCE_MAX", [x([2, 3]), scalar(-1)], [y([2])], { 0: { i8: 0 } })],
  ["REDUCE_PROD", model("REDUCE_PROD", [x([2, 3]), list(0)], [y([3])], { 0: { i8: 0 } })],
  ["ARG_MAX", model("ARG_MAX", [x([2, 3, 4]), scalar(1)], [y([2, 4], "INT32")], { 0: { i8: 2 } })],
  ["ARG_MIN", model("ARG_MIN", [x([2, 3, 4]), scalar(-1)], [y([2, 3], "INT64")], { 0: { i8: 4 } })],
  ["CUMSUM", model("CUMSUM", [x([2, 3]), scalar(1)], [y([2, 3])], flag(0, 1))],
  ["RESHAPE by options", model("RESHAPE", [x([2, 6])], [y([3, 4])], { 0: { i32s: [3, -1] } })],
  ["RESHAPE by tensor", model("RESHAPE", [x([2, 6]), list(-1, 2)], [y([6, 2])])],
  ["SQUEEZE", model("SQUEEZE", [x([1, 3, 1])], [y([1, 3])], { 0: { i32s: [-1] } })],
  ["EXPAND_DIMS", model("EXPAND_DIMS", [x([2, 3]), scalar(-2)], [y([2, 1, 3])])],
  ["TRANSPOSE", model("TRANSPOSE", [x([2, 3, 4]), list(2, 0, 1)], [y([4, 2, 3])])],
  ["CONCATENATION", model("CONCATENATION", [f32([2, 1]), x([2, 3])], [y([2, 4])], { 0: { i32: -1 } })],
  ["PACK", model("PACK", [x([2, 3]), f32([2, 3])], [y([2, 2, 3])], { 0: { i32: 2 }, 1: { i32: 1 } })],
  ["UNPACK", model("UNPACK", [x([2, 3])], [y([2]), y([2]), y([2])], { 0: { i32: 3 }, 1: { i32: -1 } })],
  ["SPLIT", model("SPLIT", [scalar(1), x([2, 6])], [y([2, 2]), y([2, 2]), y([2, 2])], { 0: { i32: 3 } })],
  ["SPLIT_V", model("SPLIT_V", [x([2, 6]), list(1, -1, 2), scalar(1)], [y([2, 1]), y([2, 3]), y([2, 2])], { 0: { i32: 3 } })],
  ["SLICE", model("SLICE", [x([4, 5]), list(1, 2), list(-1, 2)], [y([3, 2])])],
  ["STRIDED_SLICE", model("STRIDED_SLICE", [x([4, 5]), list(3, 1), list(0, 99), list(-1, 2)], [y([3, 2])], { 0: { i32: 0 } })],
  ["STRIDED_SLICE masks", model("STRIDED_SLICE", [x([4, 5, 3]), list(2, 9, 1), list(3, 9, 2), list(1, 1, 1)], [y([5, 1])], { 0: { i32: 0 }, 2: { i32: 2 }, 4: { i32: 1 } })],
  ["PAD", model("PAD", [x([2, 3]), i32([2, 2], 1, 0, 0, 2)], [y([3, 5])])],
  ["PADV2", model("PADV2", [x([2, 3]), i32([2, 2], 1, 0, 0, 2), { type: "FLOAT32", shape: [], data: Float32Array.of(9) }], [y([3, 5])])],
  ["MIRROR_PAD reflect", model("MIRROR_PAD", [x([2, 3]), i32([2, 2], 1, 0, 2, 1)], [y([3, 6])], { 0: { i8: 0 } })],
  ["MIRROR_PAD symmetric", model("MIRROR_PAD", [x([2, 3]), i32([2, 2], 1, 2, 0, 3)], [y([5, 6])], { 0: { i8: 1 } })],
  ["BROADCAST_TO", model("BROADCAST_TO", [x([3]), list(2, 3)], [y([2, 3])])],
  ["TILE", model("TILE", [x([2, 3]), list(2, 1)], [y([4, 3])])],
  ["GATHER", model("GATHER", [x([2, 3]), list(2, 0, 0)], [y([2, 3])], { 0: { i32: 1 } })],
  ["GATHER batches", model("GATHER", [x([2, 3]), i32([2, 2], 2, 0, 1, 1)], [y([2, 2])], { 0: { i32: 1 }, 1: { i32: 1 } })],
  ["GATHER_ND", model("GATHER_ND", [x([2, 3]), i32([2, 2], 1, 2, 0, 1)], [y([2])])],
  ["EMBEDDING_LOOKUP", model("EMBEDDING_LOOKUP", [list(2, 0), x([3, 2])], [y([2, 2])])],
  ["UNIDIRECTIONAL_SEQUENCE_LSTM", model("UNIDIRECTIONAL_SEQUENCE_LSTM", [x([2, 4, 2]), ...lstmGates(1 / 16), ...lstmStates], [y([2, 4, 3])], { ...tanh, 3: { i8: 0 } })],
  ["UNIDIRECTIONAL_SEQUENCE_LSTM time first", model("UNIDIRECTIONAL_SEQUENCE_LSTM", [x([4, 2, 2]), ...lstmGates(1 / 8), ...lstmStates, ...none(4)], [y([4, 2, 3])], { ...tanh, 1: { f32: 0.5 }, 3: { i8: 1 } })],
  ["BIDIRECTIONAL_SEQUENCE_LSTM", model("BIDIRECTIONAL_SEQUENCE_LSTM", [x([2, 4, 2]), ...both, ...bothStates], [y([2, 4, 3]), y([2, 4, 3])], { ...tanh, 4: { i8: 0 } })],
  ["BIDIRECTIONAL_SEQUENCE_LSTM merged", model("BIDIRECTIONAL_SEQUENCE_LSTM", [x([4, 2, 2]), ...both, ...bothStates], [y([4, 2, 6])], { ...tanh, 3: { i8: 1 } })],
  ["UNIDIRECTIONAL_SEQUENCE_RNN", model("UNIDIRECTIONAL_SEQUENCE_RNN", [x([2, 4, 2]), ...rnnCell(1 / 8), state(2, 3)], [y([2, 4, 3])], { 1: { i8: 4 } })],
  ["BIDIRECTIONAL_SEQUENCE_RNN", model("BIDIRECTIONAL_SEQUENCE_RNN", [x([4, 2, 2]), ...rnnBoth], [y([4, 2, 3]), y([4, 2, 3])], { 0: { i8: 1 }, 1: { i8: 4 } })],
  ["SCATTER_ND", model("SCATTER_ND", [i32([3, 1], 1, 3, 1), x([3, 2]), list(4, 2)], [y([4, 2])])],
  ["TOPK_V2", model("TOPK_V2", [x([2, 5]), scalar(2)], [y([2, 2]), y([2, 2], "INT32")])],
  ["SHAPE", model("SHAPE", [x([2, 3])], [y([2], "INT32")], { 0: { i8: 2 } })],
  ["RANK", model("RANK", [x([2, 3])], [y([], "INT32")])],
  ["ZEROS_LIKE", model("ZEROS_LIKE", [x([2, 3])], [y([2, 3])])],
  ["REVERSE_V2", model("REVERSE_V2", [x([2, 3]), list(1)], [y([2, 3])])],
  ["SPACE_TO_DEPTH", model("SPACE_TO_DEPTH", [x([1, 4, 6, 2])], [y([1, 2, 3, 8])], { 0: { i32: 2 } })],
  ["DEPTH_TO_SPACE", model("DEPTH_TO_SPACE", [x([1, 2, 3, 8])], [y([1, 4, 6, 2])], { 0: { i32: 2 } })],
  ["SPACE_TO_BATCH_ND", model("SPACE_TO_BATCH_ND", [x([1, 3, 4, 2]), list(2, 2), i32([2, 2], 1, 0, 0, 2)], [y([4, 2, 3, 2])])],
  ["BATCH_TO_SPACE_ND", model("BATCH_TO_SPACE_ND", [x([4, 2, 3, 2]), list(2, 2), i32([2, 2], 1, 0, 0, 2)], [y([1, 3, 4, 2])])],
];

/** The input of a case: exact in float32, none twice, both signs. */
export function inputOf(spec: ModelSpec): { data: TypedArray; shape: readonly number[] } {
  const { shape } = spec.tensors[spec.inputs[0] as number] as TensorSpec;
  return { shape, data: Float32Array.from({ length: size(shape) }, (_, i) => (((i * 37) % 101) - 50) / 16) };
}
