// Operators of ONNX Runtime's own domain, com.microsoft, that its quantiser and optimiser write into files:
// the rest of the QLinear family, and fused activations, which are split again.
import type { Tensor } from "../../../graph/graph.js";
import type { Call, Row, Table } from "../call.js";
import { attentionContrib } from "./attention.js";
import { averagePool, convolve, globalPool } from "./convolution.js";
import { integerContrib } from "./integer.js";
import { gemm } from "./linear.js";
import { quantization, real, realBias, stored } from "./quantization.js";
import { recurrentContrib } from "./recurrent.js";
import { alongAxis } from "./reduction.js";

/** a scale zero · b scale zero · y scale zero */
const qLinearBinary =
  (op: string): Row =>
  (c) =>
    stored(c, c.emit(op, [real(c, 0, 1, 0), real(c, 3, 4, 0)]), c.raw(0).dtype, 6, 0);

/** a scale zero · b scale zero · bias · y scale zero; y is real where they are missing. */
const qGemm: Row = (c) => {
  const b = real(c, 3, 4, c.int("transB", 0) === 0 ? 1 : 0);
  const y = gemm(c, real(c, 0, 1, 0), b, c.has(6) ? c.scale(realBias(c, 6), c.float("alpha", 1)) : null);
  return c.has(8) ? stored(c, y, c.raw(8).dtype, 7, 0) : y;
};

/** condition · a scale zero · b scale zero · y scale zero */
const qLinearWhere: Row = (c) =>
  stored(c, c.emit("Where", [c.x(0), real(c, 1, 2, 0), real(c, 4, 5, 0)]), c.raw(1).dtype, 7, 0);

/** x scale zero · y scale zero */
const qLinearUnary =
  (f: (c: Call, x: Tensor) => Tensor): Row =>
  (c) => {
    if (c.int("channels_last", 0) !== 0) c.unsupported("channels_last is not supported");
    return stored(c, f(c, real(c, 0, 1, 0)), c.raw(0).dtype, 3, 0);
  };

/** y scale zero, then x scale zero of each operand. */
const qLinearConcat: Row = (c) => {
  const xs: Tensor[] = [];
  for (let i = 2; i < c.inputNames.length; i += 3) xs.push(real(c, i, i + 1, 0));
  return stored(c, c.emit("Concat", xs, { axis: c.int("axis") }), c.raw(2).dtype, 0, 0);
};

const qLinearSoftmax = qLinearUnary((c, x) =>
  alongAxis(c, x, c.int("opset", 13), (t, axis) => c.emit("Softmax", [t], { axis })),
);

const gelu =
  (approximate: string): Row =>
  (c) => {
    const x = c.x(0);
    return c.emit("Gelu", [c.has(1) ? c.emit("Add", [x, c.x(1)]) : x], { approximate });
  };

const quickGelu: Row = (c) => {
  const x = c.x(0);
  return c.emit("Mul", [x, c.emit("Sigmoid", [c.scale(x, c.float("alpha", 1.702))])]);
};

/** Convolution, a residual, an activation. */
const fusedConv: Row = (c) => {
  const y = convolve(c, c.x(0), c.raw(1), c.opt(2));
  const sum = c.has(3) ? c.emit("Add", [y, c.x(3)]) : y;
  const kind = c.str("activation", "");
  const p = c.floats("activation_params") ?? [];
  switch (kind) {
    case "":
      return sum;
    case "Relu":
    case "Sigmoid":
    case "Tanh":
      return c.emit(kind, [sum]);
    case "LeakyRelu":
      return c.emit(kind, [sum], { alpha: p[0] ?? 0.01 });
    case "Clip":
      return c.emit(kind, [sum], {
        min: p[0] ?? Number.NEGATIVE_INFINITY,
        max: p[1] ?? Number.POSITIVE_INFINITY,
      });
    case "HardSigmoid":
      return c.emit(kind, [sum], { alpha: p[0] ?? 0.2, beta: p[1] ?? 0.5 });
    default:
      return c.unsupported(`activation ${kind} is not supported`);
  }
};

export const contrib: Table = {
  ...attentionContrib,
  ...integerContrib,
  ...recurrentContrib,
  QuantizeLinear: quantization.QuantizeLinear as Row,
  DequantizeLinear: quantization.DequantizeLinear as Row,
  QGemm: qGemm,
  QLinearWhere: qLinearWhere,
  QLinearAdd: qLinearBinary("Add"),
  QLinearMul: qLinearBinary("Mul"),
  QLinearConcat: qLinearConcat,
  QLinearSoftmax: qLinearSoftmax,
  QLinearSigmoid: qLinearUnary((c, x) => c.emit("Sigmoid", [x])),
  QLinearLeakyRelu: qLinearUnary((c, x) => c.emit("LeakyRelu", [x], { alpha: c.float("alpha", 0.01) })),
  QLinearAveragePool: qLinearUnary(averagePool),
  QLinearGlobalAveragePool: qLinearUnary((c, x) => globalPool(c, "ReduceMean", x)),
  Gelu: gelu("none"),
  BiasGelu: gelu("none"),
  FastGelu: gelu("tanh"),
  QuickGelu: quickGelu,
  FusedConv: fusedConv,
};
