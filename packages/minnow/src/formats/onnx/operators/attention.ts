// Layers of transformers that ONNX Runtime's optimiser makes one operator of, and its quantiser one of bytes: split
// again into products, softmax and layer normalisation.
import type { Tensor } from "../../../graph/graph.js";
import type { Call, Row, Table } from "../call.js";
import { given, realProduct } from "./integer.js";
import { positions } from "./shape.js";

/** y, and what is normalised. */
function normalised(c: Call, sum: Tensor, gamma: Tensor, beta: Tensor | null): Tensor {
  const attrs = { axis: -1, epsilon: c.float("epsilon", 1e-12) };
  return c.emit("LayerNorm", [sum, gamma, ...(beta ? [beta] : [])], attrs);
}

/** x · skip · gamma · beta · bias → y · – · – · x + skip + bias */
const skipLayerNorm: Row = (c) => {
  if (c.wants(1) || c.wants(2)) c.unsupported("mean and deviation as outputs are not supported");
  const both = c.emit("Add", [c.x(0), c.x(1)]);
  const sum = c.has(4) ? c.emit("Add", [both, c.x(4)]) : both;
  const y = normalised(c, sum, c.x(2), c.opt(3));
  return [y, y, y, sum];
};

/** ids · segments · tables of words, positions, segments · gamma · beta · mask; `real` makes real what input i holds. */
function embedded(c: Call, real: (t: Tensor, i: number) => Tensor, positionIds: Tensor | null): Tensor[] {
  const ids = c.x(0);
  const rows = (i: number, at: Tensor): Tensor => real(c.emit("Gather", [c.raw(i), at], { axis: 0 }), i);
  const words = c.emit("Add", [rows(2, ids), rows(3, positionIds ?? positions(c, ids, 1))]);
  const sum = c.has(1) && c.has(4) ? c.emit("Add", [words, rows(4, c.x(1))]) : words;
  c.ignore("mask_index_type");
  const y = normalised(c, sum, real(c.raw(5), 5), real(c.raw(6), 6));
  if (!c.has(7)) {
    if (c.wants(1)) c.unsupported("lengths without a mask are not supported");
    return [y, y, sum];
  }
  const lengths = c.emit("ReduceSum", [c.cast(c.x(7), "int32")], { axes: [1], keepDims: false });
  return [y, lengths, sum];
}

const embedLayerNorm: Row = (c) => embedded(c, (t) => c.builder.compute(t), c.opt(8));

/** Behind the mask all scales, then all zero points. */
const qEmbedLayerNorm: Row = (c) =>
  embedded(
    c,
    (t, i) => {
      const steps = c.emit("Sub", [c.cast(t, "float32"), c.cast(c.raw(i + 11), "float32")]);
      return c.emit("Mul", [steps, c.x(i + 6)]);
    },
    null,
  );

/** What is added to scores [B,heads,S,S]: mask [B,S] or [B,S,S], or lengths [B] of what counts. */
function penalty(c: Call, qkv: Tensor, mask: Tensor): Tensor {
  const rank = c.rank(mask);
  if (rank < 1 || rank > 3) c.unsupported(`masks of rank ${rank} are not supported`);
  const lengths = (): Tensor =>
    c.emit("Less", [positions(c, qkv, 1), c.unsqueeze(c.cast(mask, "int64"), [1])], {}, { dtype: "bool" });
  const kept = c.cast(rank === 1 ? lengths() : mask, "float32");
  const gone = c.scale(c.emit("Sub", [c.scalar(1), kept]), c.float("mask_filter_value", -10000));
  return c.unsqueeze(gone, rank === 3 ? [1] : [1, 2]);
}

/** softmax(q·kᵀ·scale + mask)·v of each head, from q, k and v side by side. */
function attend(c: Call, qkv: Tensor, mask: Tensor | undefined): Tensor {
  const heads = c.int("num_heads");
  const width = c.shape(qkv)[2];
  if (typeof width !== "number" || width % (3 * heads) !== 0) c.bad(`${heads} heads of ${width} columns`);
  const sizes = c.ints("qkv_hidden_sizes") ?? [];
  if (sizes.some((s) => s !== width / 3)) c.unsupported("q, k and v of different sizes are not supported");
  for (const flag of ["unidirectional", "do_rotary", "past_present_share_buffer"])
    if (c.int(flag, 0) !== 0) c.unsupported(`${flag} is not supported`);
  c.onlyOutputs(1, "keys and values as an output are not supported");
  const each = width / 3 / heads;
  const parts = c.emitMany("Split", [qkv], { axis: 2 }, ["float32", "float32", "float32"]);
  const [q, k, v] = parts.map((t, i) =>
    c.emit("Transpose", [c.reshape(t, [0, 0, heads, each])], { perm: i === 1 ? [0, 2, 3, 1] : [0, 2, 1, 3] }),
  ) as [Tensor, Tensor, Tensor];
  const scores = c.scale(c.emit("MatMul", [q, k]), c.float("scale", 0) || 1 / Math.sqrt(each));
  const added = mask ? c.emit("Add", [scores, penalty(c, qkv, mask)]) : scores;
  const y = c.emit("MatMul", [c.emit("Softmax", [added], { axis: -1 }), v]);
  return c.reshape(c.emit("Transpose", [y], { perm: [0, 2, 1, 3] }), [0, 0, width / 3]);
}

/** x · weights · bias · mask · past · bias of scores */
const attention: Row = (c) => {
  if (c.has(4) || c.has(5)) c.unsupported("past states and biases of scores are not supported");
  const product = c.emit("MatMul", [c.x(0), c.x(1)]);
  return attend(c, c.has(2) ? c.emit("Add", [product, c.x(2)]) : product, given(c, 3));
};

/** x · weights · bias · their scales · mask · their zero points · past */
const qAttention: Row = (c) => {
  if (c.has(8)) c.unsupported("past states are not supported");
  const f = { a: c.raw(0), b: c.raw(1), za: given(c, 6), zb: given(c, 7) };
  return attend(c, realProduct(c, f, c.x(3), c.x(4), 2), given(c, 5));
};

/** Of com.microsoft. */
export const attentionContrib: Table = {
  Attention: attention,
  QAttention: qAttention,
  EmbedLayerNormalization: embedLayerNorm,
  QEmbedLayerNormalization: qEmbedLayerNorm,
  SkipLayerNormalization: skipLayerNorm,
};
