// LSTM, GRU and RNN with their usual activations.
import type { Tensor } from "../../../graph/graph.js";
import { permuteData } from "../../../graph/permute.js";
import type { Call, Row, Table } from "../call.js";
import { channelSums, type Stored } from "./integer.js";

const activations: Readonly<Record<string, readonly string[]>> = {
  LSTM: ["Sigmoid", "Tanh", "Tanh"],
  GRU: ["Sigmoid", "Tanh"],
  RNN: ["Tanh"],
};

/** What an operator's attributes say; fails at what is not supported. */
function settings(c: Call, op: string): { direction: string; resetAfter?: boolean } {
  const usual = activations[op] as readonly string[];
  const given = c.strs("activations");
  if (given?.some((a, i) => a.toLowerCase() !== usual[i % usual.length]?.toLowerCase()))
    c.unsupported(`activations ${given} are not supported`, usual.join());
  c.ignore("hidden_size", "activation_alpha", "activation_beta", "output_sequence");
  if (c.hasAttr("clip")) c.unsupported("clip is not supported");
  if (c.int("input_forget", 0) !== 0) c.unsupported("input_forget is not supported");
  if (c.has(7)) c.unsupported("peepholes are not supported");
  return {
    direction: c.str("direction", "forward"),
    ...(op === "GRU" && { resetAfter: c.int("linear_before_reset", 0) !== 0 }),
  };
}

const layer: Row = (c) => {
  const attrs = settings(c, c.op);
  const byBatch = c.int("layout", 0) === 1;
  const turned = (t: Tensor | null, perm: readonly number[]): Tensor | null =>
    t && byBatch ? c.emit("Transpose", [t], { perm }) : t;
  const x = turned(c.x(0), [1, 0, 2]) as Tensor;
  wholeSequences(c, x);
  const states = (c.op === "LSTM" ? [5, 6] : [5]).map((i) => turned(c.opt(i), [1, 0, 2]));
  const types = ["float32", ...states.map(() => "float32")] as "float32"[];
  const [y, ...last] = c.emitMany(c.op, [x, c.x(1), c.x(2), c.opt(3), ...states], attrs, types) as [
    Tensor,
    ...Tensor[],
  ];
  return [turned(y, [2, 0, 1, 3]), ...last.map((t) => turned(t, [1, 0, 2]))] as Tensor[];
};

/** Directions one by one, because each row of each has a scale of its own. */
const dynamicLstm: Row = (c) => {
  const { direction } = settings(c, "LSTM");
  const both = direction === "bidirectional";
  const directions = both ? ["forward", "reverse"] : [direction];
  const x = c.x(0);
  wholeSequences(c, x);
  const each = (t: Tensor | null): (Tensor | null)[] =>
    t && both ? c.emitMany("Split", [t], { axis: 0 }, ["float32", "float32"]) : [t, t];
  const given = [3, 5, 6].map((i) => each(c.opt(i)));
  const parts = directions.map((direction, d) => {
    const [w, r] = [1, 2].map((i) => storedWeights(c, i, 6 + 2 * i, d, directions.length)) as [
      Stored,
      Stored,
    ];
    const sums = c.builder.constant(
      `${c.name}/sums`,
      "int32",
      [1, w.sums.length + r.sums.length],
      Int32Array.of(...w.sums, ...r.sums),
    );
    const inputs = [x, w.weights, r.weights, ...given.map((list) => list[d] ?? null), sums];
    return c.emitMany("LSTM", inputs, { direction }, ["float32", "float32", "float32"]);
  });
  const output = (i: number): Tensor => {
    const list = parts.map((p) => p[i] as Tensor);
    return both ? c.emit("Concat", list, { axis: i === 0 ? 1 : 0 }) : (list[0] as Tensor);
  };
  return [0, 1, 2].map(output);
};

/** Direction d of D of weights [D,K,G·H] as [1,G·H,K]; scales, and zero points behind them, [D] or [D,G·H]. */
function storedWeights(c: Call, i: number, scaleAt: number, d: number, directions: number): Stored {
  const raw = c.raw(i);
  const scales = c.numbers(scaleAt);
  const zeros = c.has(scaleAt + 1) ? c.numbers(scaleAt + 1) : scales?.map(() => 0);
  const { data, dtype } = raw;
  if (
    raw.kind !== "constant" ||
    !(data instanceof Int8Array || data instanceof Uint8Array) ||
    !scales ||
    !zeros
  )
    c.unsupported("computed weights or scales are not supported");
  if (raw.shape.length !== 3 || raw.shape[0] !== directions || scales.length !== zeros.length)
    c.bad(`its weights are [${raw.shape}], with ${scales.length} scales and ${zeros.length} zero points`);
  const [k, rows] = raw.shape.slice(1) as [number, number];
  const own = <T extends { length: number; slice(from: number, to: number): T }>(list: T): T =>
    list.slice((d * list.length) / directions, ((d + 1) * list.length) / directions);
  const [part, zeroPoint] = [own<Int8Array | Uint8Array>(data), own(zeros)];
  const turned = permuteData(part, dtype, [k, rows], [1, 0]);
  const weights = c.builder.constant(`${raw.name}/${d}`, dtype, [1, rows, k], turned);
  weights.quant = { scale: own(scales), zeroPoint, axis: 1 };
  return { weights, sums: channelSums(part, [k, rows], 1, zeroPoint) };
}

/** Lengths of sequences may only say that all have all steps. */
function wholeSequences(c: Call, x: Tensor): void {
  if (!c.has(4)) return;
  const [steps] = c.shape(x);
  if (!c.numbers(4)?.every((n) => n === steps))
    c.unsupported("sequences of several lengths are not supported");
}

export const recurrent: Table = { LSTM: layer, GRU: layer, RNN: layer };

/** Of com.microsoft. */
export const recurrentContrib: Table = { DynamicQuantizeLSTM: dynamicLstm };
