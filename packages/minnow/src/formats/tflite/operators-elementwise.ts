// TFLite's element-wise operators: mostly the same operator under another name.
import type { Attrs, Tensor } from "../../graph/graph.js";
import type { Op, Row } from "./op.js";

const same =
  (op: string, attrs: Attrs = {}): Row =>
  (c) =>
    c.emit(op, c.inputs.slice(), [c.output], { ...attrs });

/** Two operands and a fused activation at `slot` of the options. */
const fusedBinary =
  (op: string, slot = 0): Row =>
  (c) =>
    c.fused(op, [c.input(0), c.input(1)], {}, slot);

/** Operators whose quantised form TFLite defines by a table or in float: through Dequantize. */
const inFloat =
  (op: string): Row =>
  (c) =>
    c.finishFloat(
      op,
      c.inputs.map((t) => t && c.asFloat(t)),
    );

/** Condition of SELECT may be one value a row: trailing ones make it broadcast. */
function select(c: Op): void {
  let condition = c.input(0);
  const rank = c.input(1).shape.length;
  if (condition.shape.length === 1 && rank > 1) {
    const axes = Array.from({ length: rank - 1 }, (_, i) => i + 1);
    condition = c.value("Unsqueeze", [condition], { axes }, condition);
  }
  c.emit("Where", [condition, c.input(1), c.input(2)], [c.output]);
}

function addN(c: Op): void {
  let sum: Tensor = c.input(0);
  const last = c.inputs.length - 1;
  if (last === 0) return c.emit("Identity", [sum], [c.output]);
  for (let i = 1; i < last; i++) sum = c.value("Add", [sum, c.input(i)]);
  c.emit("Add", [sum, c.input(last)], [c.output]);
}

/** x · min(max(…)) on a number of steps: TFLite's training-time rounding, kept at inference. */
function fakeQuant(c: Op): void {
  const [min, max] = [c.num(0, "f32"), c.num(1, "f32")];
  const bits = c.num(2);
  const low = c.flag(3) ? 1 : 0;
  if (bits !== 8) c.reject(`fake quantisation to ${bits} bits`);
  if (!(min <= 0 && max >= 0 && max > min)) c.fail(`range ${min} … ${max}`);
  const scale = (max - min) / (255 - low);
  const zeroPoint = Math.max(low, Math.min(255, Math.round(low - min / scale)));
  const q = c.temp("quantized", "uint8", { scale: [scale], zeroPoint: [zeroPoint], axis: 0 });
  const clipped = c.value("Clip", [c.input(0)], {
    min: (low - zeroPoint) * scale,
    max: (255 - zeroPoint) * scale,
  });
  c.emit("Quantize", [clipped], [q], { to: "uint8" });
  c.emit("Dequantize", [q], [c.output], { to: "float32" });
}

function dequantize(c: Op): void {
  const x = c.input(0);
  c.emit(x.dtype === "float16" ? "Cast" : "Dequantize", [x], [c.output], { to: c.output.dtype });
}

export const elementwise: Record<string, Row> = {
  ADD: fusedBinary("Add"),
  SUB: fusedBinary("Sub"),
  MUL: fusedBinary("Mul"),
  DIV: fusedBinary("Div"),
  ADD_N: addN,
  MAXIMUM: same("Max"),
  MINIMUM: same("Min"),
  POW: same("Pow"),
  SQUARED_DIFFERENCE: same("SquaredDifference"),
  FLOOR_DIV: same("FloorDiv"),
  FLOOR_MOD: same("FloorMod"),
  EQUAL: same("Equal"),
  NOT_EQUAL: same("NotEqual"),
  LESS: same("Less"),
  LESS_EQUAL: same("LessEqual"),
  GREATER: same("Greater"),
  GREATER_EQUAL: same("GreaterEqual"),
  LOGICAL_AND: same("And"),
  LOGICAL_OR: same("Or"),
  LOGICAL_NOT: same("Not"),
  SELECT: select,
  SELECT_V2: same("Where"),
  ABS: same("Abs"),
  NEG: same("Neg"),
  SIGN: same("Sign"),
  FLOOR: same("Floor"),
  CEIL: same("Ceil"),
  ROUND: same("Round"),
  SQRT: same("Sqrt"),
  RSQRT: inFloat("Rsqrt"),
  SQUARE: same("Square"),
  EXP: inFloat("Exp"),
  LOG: inFloat("Log"),
  SIN: same("Sin"),
  COS: same("Cos"),
  TANH: same("Tanh"),
  LOGISTIC: same("Sigmoid"),
  RELU: same("Relu"),
  RELU6: same("Clip", { min: 0, max: 6 }),
  RELU_N1_TO_1: same("Clip", { min: -1, max: 1 }),
  RELU_0_TO_1: same("Clip", { min: 0, max: 1 }),
  LEAKY_RELU: (c) => c.emit("LeakyRelu", [c.input(0)], [c.output], { alpha: c.num(0, "f32") }),
  PRELU: same("PRelu"),
  ELU: same("Elu", { alpha: 1 }),
  GELU: (c) => c.emit("Gelu", [c.input(0)], [c.output], { approximate: c.flag(0) ? "tanh" : "none" }),
  HARD_SWISH: same("HardSwish"),
  CAST: (c) => c.emit("Cast", [c.input(0)], [c.output], { to: c.output.dtype }),
  QUANTIZE: (c) => c.emit("Quantize", [c.input(0)], [c.output], { to: c.output.dtype }),
  DEQUANTIZE: dequantize,
  FAKE_QUANT: fakeQuant,
};
