// Normalisations: batch, instance, layer as ours; group, RMS, Lp, response and mean-variance written out.
import type { Tensor } from "../../../graph/graph.js";
import type { Call, Row, Table } from "../call.js";

const batch: Row = (c) => {
  if (c.int("training_mode", 0) !== 0)
    c.unsupported("training mode is not supported", "export the model for inference");
  c.ignore("momentum", "is_test");
  if (c.int("spatial", 1) === 0)
    c.unsupported("normalisation of single elements (spatial 0) is not supported");
  c.onlyOutputs(1, "running statistics are not supported");
  const parameters = [1, 2, 3, 4].map((i) => c.x(i));
  return perChannel(c, (x, axis) =>
    c.emit("BatchNorm", [x, ...parameters], { axis, epsilon: c.float("epsilon", 1e-5) }),
  );
};

/** Images are normalised channels-last, like the convolutions around them. */
function perChannel(c: Call, f: (x: Tensor, axis: number) => Tensor): Tensor {
  const x = c.x(0);
  const rank = c.rank(x);
  return rank === 3 || rank === 4 ? c.image(x, (t) => f(t, 3)) : f(x, Math.min(1, rank - 1));
}

const instance: Row = (c) =>
  perChannel(c, (x, axis) =>
    c.emit("InstanceNorm", [x, c.x(1), c.x(2)], { axis, epsilon: c.float("epsilon", 1e-5) }),
  );

const from = (start: number, end: number): number[] =>
  Array.from({ length: end - start }, (_, i) => start + i);

const layer: Row = (c) => {
  c.ignore("stash_type");
  const x = c.x(0);
  const rank = c.rank(x);
  const axis = c.axis(c.int("axis", -1), rank);
  const epsilon = c.float("epsilon", 1e-5);
  const y = c.emit("LayerNorm", [x, c.opt(1), ...(c.has(2) ? [c.x(2)] : [])], { axis, epsilon });
  if (!c.wants(1) && !c.wants(2)) return y;
  const axes = from(axis, rank);
  const mean = c.emit("ReduceMean", [x], { axes, keepDims: true });
  const square = c.emit("Square", [c.emit("Sub", [x, mean])]);
  const variance = c.emit("ReduceMean", [square], { axes, keepDims: true });
  return [y, mean, c.emit("Rsqrt", [c.emit("Add", [variance, c.scalar(epsilon)])])];
};

/** x / √(mean(x²) + ε) · scale, over axis…last */
const rms: Row = (c) => {
  c.ignore("stash_type");
  const x = c.x(0);
  const rank = c.rank(x);
  const axes = from(c.axis(c.int("axis", -1), rank), rank);
  const mean = c.emit("ReduceMean", [c.emit("Square", [x])], { axes, keepDims: true });
  const inverse = c.emit("Rsqrt", [c.emit("Add", [mean, c.scalar(c.float("epsilon", 1e-5))])]);
  return c.emit("Mul", [c.emit("Mul", [x, inverse]), c.x(1)]);
};

/** Layer normalisation of each group of channels, then scale and bias: per group before operator set 21. */
const group: Row = (c) => {
  c.ignore("stash_type");
  const x = c.x(0);
  const groups = c.int("num_groups");
  const channels = c.shape(x)[1];
  const rows = c.emit("Reshape", [x], { shape: [0, groups, -1] });
  const normal = c.emit("LayerNorm", [rows], { axis: -1, epsilon: c.float("epsilon", 1e-5) });
  const trailing = from(1, c.rank(x) - 1);
  const affine = (i: number): Tensor => {
    const t = c.x(i);
    if (c.opset >= 21) return trailing.length > 0 ? c.unsqueeze(t, trailing) : t;
    return c.unsqueeze(t, [1]);
  };
  if (c.opset >= 21) {
    const y = c.emit("Reshape", [normal, c.shapeOf(x)]);
    return c.emit("Add", [c.emit("Mul", [y, affine(1)]), affine(2)]);
  }
  if (typeof channels === "number" && channels % groups !== 0)
    c.bad(`${channels} channels in ${groups} groups`);
  const y = c.emit("Add", [c.emit("Mul", [normal, affine(1)]), affine(2)]);
  return c.emit("Reshape", [y, c.shapeOf(x)]);
};

/** x / ‖x‖ along one axis; zero stays zero. */
const lp: Row = (c) => {
  const x = c.x(0);
  const p = c.int("p", 2);
  if (p !== 1 && p !== 2) c.unsupported(`norms of order ${p} are not supported`);
  const norm = c.emit(p === 1 ? "ReduceL1" : "ReduceL2", [x], { axes: [c.int("axis", -1)], keepDims: true });
  const zero = c.emit("Equal", [norm, c.scalar(0)]);
  return c.emit("Div", [x, c.emit("Where", [zero, c.scalar(1), norm], {}, { dtype: "float32" })]);
};

/**
 * Local response: x / (bias + alpha/size · Σ x²)^beta over `size` neighbouring channels. The sum is an
 * average pool of the image [channels × pixels], pads counted.
 */
const localResponse: Row = (c) => {
  const x = c.x(0);
  const size = c.int("size");
  const [alpha, beta, bias] = [c.float("alpha", 1e-4), c.float("beta", 0.75), c.float("bias", 1)];
  if (size < 1 || size > 1 << 16) c.bad(`size is ${size}`);
  if (c.rank(x) < 3) c.bad(`its input has rank ${c.rank(x)}`);
  const rows = c.reshape(c.emit("Square", [x]), [0, 0, -1, 1]);
  const before = Math.floor((size - 1) / 2);
  const mean = c.emit("AvgPool2D", [rows], {
    kernel: [size, 1],
    strides: [1, 1],
    padding: "explicit",
    pads: [before, 0, size - 1 - before, 0],
    countPads: true,
  });
  const base = c.emit("Add", [c.scale(mean, alpha), c.scalar(bias)]);
  const power = c.emit("Pow", [base, c.scalar(beta)]);
  return c.emit("Div", [x, c.emit("Reshape", [power, c.shapeOf(x)])]);
};

/** (x − mean) / (deviation + 1e-9) */
const meanVariance: Row = (c) => {
  const x = c.x(0);
  const axes = c.ints("axes") ?? [0, 2, 3];
  const centred = c.emit("Sub", [x, c.emit("ReduceMean", [x], { axes, keepDims: true })]);
  const variance = c.emit("ReduceMean", [c.emit("Square", [centred])], { axes, keepDims: true });
  return c.emit("Div", [centred, c.emit("Add", [c.emit("Sqrt", [variance]), c.scalar(1e-9)])]);
};

export const normalization: Table = {
  BatchNormalization: batch,
  InstanceNormalization: instance,
  LayerNormalization: layer,
  RMSNormalization: rms,
  GroupNormalization: group,
  LpNormalization: lp,
  LRN: localResponse,
  MeanVarianceNormalization: meanVariance,
};
