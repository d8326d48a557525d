// Element-wise operators: most are ours by the same name; the rest are a few of ours in a row.
import type { DType } from "../../../graph/dtype.js";
import { isFloat } from "../../../graph/dtype.js";
import type { Tensor } from "../../../graph/graph.js";
import type { Call, Row, Table } from "../call.js";
import { computeType, typeName } from "../types.js";

const unary =
  (op: string): Row =>
  (c) =>
    c.emit(op, [c.x(0)]);

/** One float attribute or more, with ONNX's defaults. */
const parametric =
  (op: string, defaults: Record<string, number>): Row =>
  (c) =>
    c.emit(op, [c.x(0)], Object.fromEntries(Object.entries(defaults).map(([k, v]) => [k, c.float(k, v)])));

const binary =
  (op: string): Row =>
  (c) =>
    c.emit(op, [c.x(0), legacyOperand(c)]);

/** Before operator set 7 the second operand was aligned at `axis` of the first. */
function legacyOperand(c: Call): Tensor {
  const b = c.x(1);
  if (c.opset >= 7) return b;
  const broadcast = c.int("broadcast", 0);
  const rank = c.rank(c.x(0));
  const axis = c.int("axis", -1);
  if (!broadcast || axis === -1) return b;
  const trailing = rank - c.axis(axis, rank) - c.rank(b);
  if (trailing < 0) c.bad(`axis ${axis} leaves no room for the second operand`);
  return trailing === 0
    ? b
    : c.unsqueeze(
        b,
        Array.from({ length: trailing }, (_, i) => c.rank(b) + i),
      );
}

/** Any number of operands, pairwise. */
const chain =
  (op: string): Row =>
  (c) =>
    c.all().reduce((a, b) => c.emit(op, [a, b]));

const mean: Row = (c) => {
  const xs = c.all();
  return c.scale(
    xs.reduce((a, b) => c.emit("Add", [a, b])),
    1 / xs.length,
  );
};

/** Bounds are attributes before operator set 11, inputs after; computed bounds become Max and Min. */
const clip: Row = (c) => {
  let x = c.x(0);
  const attrs: Record<string, number> = {};
  if (c.opset < 11) {
    // the defaults of ONNX are the largest floats, which stand for no bound
    attrs.min = c.float("min", Number.NEGATIVE_INFINITY);
    attrs.max = c.float("max", Number.POSITIVE_INFINITY);
    return c.emit("Clip", [x], attrs);
  }
  const min = c.numbers(1);
  const max = c.numbers(2);
  if (min) attrs.min = min[0] as number;
  if (max) attrs.max = max[0] as number;
  if (c.has(1) && !min) x = c.emit("Max", [x, c.x(1)]);
  if (min || max) x = c.emit("Clip", [x], attrs);
  if (c.has(2) && !max) x = c.emit("Min", [x, c.x(2)]);
  return x;
};

/** The exponent may have another type than the base, which the result keeps. */
const pow: Row = (c) => {
  const base = c.x(0);
  const exponent = legacyOperand(c);
  if (exponent.dtype === base.dtype) return c.emit("Pow", [base, exponent]);
  if (isFloat(base.dtype) || !isFloat(exponent.dtype))
    return c.emit("Pow", [base, c.cast(exponent, base.dtype)]);
  return c.cast(c.emit("Pow", [c.cast(base, "float32"), exponent]), base.dtype);
};

/** fmod 0: sign of the divisor (integers only); fmod 1: sign of the dividend. */
const mod: Row = (c) => {
  const fmod = c.int("fmod", 0);
  return c.emit(fmod ? "Mod" : "FloorMod", [c.x(0), c.x(1)]);
};

/** Slopes of one dimension belonged to the channels before operator set 7. */
const prelu: Row = (c) => {
  const x = c.x(0);
  const slope = c.x(1);
  const trailing = c.rank(x) - 2;
  const perChannel = c.opset < 7 && c.rank(slope) === 1 && c.shape(slope)[0] !== 1 && trailing > 0;
  return c.emit("PRelu", [
    x,
    perChannel
      ? c.unsqueeze(
          slope,
          Array.from({ length: trailing }, (_, i) => i + 1),
        )
      : slope,
  ]);
};

function castTarget(c: Call, code: number): DType {
  const to = computeType(code);
  if (!to) c.unsupported(`casts to ${typeName(code)} are not supported`);
  return to;
}

const castTo = (c: Call, to: DType): Tensor => {
  const x = c.x(0);
  return x.dtype === to ? x : c.emit("Cast", [x], { to }, { dtype: to });
};

const cast: Row = (c) => {
  c.ignore("saturate", "round_mode"); // for float8 only
  return castTo(c, castTarget(c, c.int("to")));
};

const castLike: Row = (c) => {
  c.ignore("saturate", "round_mode");
  return castTo(c, c.x(1).dtype);
};

/** x, constant: both in the type of x. */
const withConstant = (c: Call, op: string, x: Tensor, k: number): Tensor =>
  c.emit(op, [x, c.cast(c.scalar(k), x.dtype)]);

const isInf: Row = (c) => {
  const x = c.x(0);
  const positive = c.int("detect_positive", 1);
  const negative = c.int("detect_negative", 1);
  if (positive && negative) return withConstant(c, "Equal", c.emit("Abs", [x]), Number.POSITIVE_INFINITY);
  if (!positive && !negative) return c.emit("NotEqual", [c.emit("Abs", [x]), c.emit("Abs", [x])]);
  return withConstant(c, "Equal", x, positive ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY);
};

/** x < −lambd: x + bias; x > lambd: x − bias; else 0. */
const shrink: Row = (c) => {
  const x = c.x(0);
  const bias = c.float("bias", 0);
  const lambd = c.float("lambd", 0.5);
  const low = c.emit("Where", [
    withConstant(c, "Less", x, -lambd),
    withConstant(c, "Add", x, bias),
    withConstant(c, "Mul", x, 0),
  ]);
  return c.emit("Where", [withConstant(c, "Greater", x, lambd), withConstant(c, "Sub", x, bias), low]);
};

/** (eˣ ± e⁻ˣ) / 2 */
const hyperbolic =
  (op: string): Row =>
  (c) => {
    const x = c.x(0);
    return c.scale(c.emit(op, [c.emit("Exp", [x]), c.emit("Exp", [c.emit("Neg", [x])])]), 0.5);
  };

/** ln(x + √(x² + k)): k = 1 asinh, k = −1 acosh. */
const areaHyperbolic =
  (k: number): Row =>
  (c) => {
    const x = c.x(0);
    const root = c.emit("Sqrt", [withConstant(c, "Add", c.emit("Square", [x]), k)]);
    return c.emit("Log", [c.emit("Add", [x, root])]);
  };

/** ½ ln((1 + x) / (1 − x)) */
const atanh: Row = (c) => {
  const x = c.x(0);
  const one = c.scalar(1);
  const ratio = c.emit("Div", [c.emit("Add", [one, x]), c.emit("Sub", [one, x])]);
  return c.scale(c.emit("Log", [ratio]), 0.5);
};

/** atan(x / √(1 − x²)) */
const asin = (c: Call): Tensor => {
  const x = c.x(0);
  const root = c.emit("Sqrt", [c.emit("Sub", [c.scalar(1), c.emit("Square", [x])])]);
  return c.emit("Atan", [c.emit("Div", [x, root])]);
};

/** x · sigmoid(alpha·x) */
const swish: Row = (c) => {
  const x = c.x(0);
  return c.emit("Mul", [x, c.emit("Sigmoid", [c.scale(x, c.float("alpha", 1))])]);
};

/** Inference keeps everything; the mask, where wanted, is all true (a float before operator set 10). */
const dropout: Row = (c) => {
  c.ignore("ratio", "seed", "is_test");
  const training = c.numbers(2);
  if (c.has(2) && !training?.every((v) => v === 0))
    c.unsupported("Dropout in training mode is not supported");
  const x = c.x(0);
  if (!c.wants(1)) return x;
  const to = c.opset < 10 ? x.dtype : "bool";
  return [x, c.emit("Fill", [c.shapeOf(x)], { value: 1, to }, { dtype: to })];
};

const same = Object.fromEntries(
  [
    "Neg",
    "Abs",
    "Sign",
    "Floor",
    "Ceil",
    "Round",
    "Sqrt",
    "Reciprocal",
    "Exp",
    "Log",
    "Sin",
    "Cos",
    "Atan",
    "Tanh",
    "Sigmoid",
  ]
    .concat(["Erf", "Softplus", "Softsign", "Not", "Relu", "HardSwish", "Mish"])
    .map((op) => [op, unary(op)]),
);

export const elementwise: Table = {
  ...same,
  Identity: (c) => c.x(0),
  Dropout: dropout,
  Clip: clip,
  LeakyRelu: parametric("LeakyRelu", { alpha: 0.01 }),
  Elu: parametric("Elu", { alpha: 1 }),
  Celu: parametric("Celu", { alpha: 1 }),
  Selu: parametric("Selu", { alpha: 1.6732631921768188, gamma: 1.0507010221481323 }),
  HardSigmoid: parametric("HardSigmoid", { alpha: 0.2, beta: 0.5 }),
  ThresholdedRelu: parametric("ThresholdedRelu", { alpha: 1 }),
  Gelu: (c) => c.emit("Gelu", [c.x(0)], { approximate: c.str("approximate", "none") }),
  PRelu: prelu,
  Add: binary("Add"),
  Sub: binary("Sub"),
  Mul: binary("Mul"),
  Div: binary("Div"),
  Equal: binary("Equal"),
  Less: binary("Less"),
  LessOrEqual: binary("LessEqual"),
  Greater: binary("Greater"),
  GreaterOrEqual: binary("GreaterEqual"),
  And: binary("And"),
  Or: binary("Or"),
  Xor: binary("Xor"),
  Pow: pow,
  Mod: mod,
  Sum: chain("Add"),
  Max: chain("Max"),
  Min: chain("Min"),
  Mean: mean,
  Where: (c) => c.emit("Where", [c.x(0), c.x(1), c.x(2)], {}, { dtype: c.x(1).dtype }),
  Cast: cast,
  CastLike: castLike,
  IsNaN: (c) => c.emit("NotEqual", [c.x(0), c.x(0)]),
  IsInf: isInf,
  Shrink: shrink,
  Swish: swish,
  Tan: (c) => c.emit("Div", [c.emit("Sin", [c.x(0)]), c.emit("Cos", [c.x(0)])]),
  Sinh: hyperbolic("Sub"),
  Cosh: hyperbolic("Add"),
  Asin: asin,
  Acos: (c) => c.emit("Sub", [c.scalar(Math.PI / 2), asin(c)]),
  Asinh: areaHyperbolic(1),
  Acosh: areaHyperbolic(-1),
  Atanh: atanh,
};
