// LSTM, GRU and RNN with their usual activations.
import type { Tensor } from "../../../graph/graph.js";
import type { Call, Row, Table } from "../call.js";

const activations: Readonly<Record<string, readonly string[]>> = {
  LSTM: ["Sigmoid", "Tanh", "Tanh"],
  GRU: ["Sigmoid", "Tanh"],
  RNN: ["Tanh"],
};

const layer: Row = (c) => {
  const usual = activations[c.op] as readonly string[];
  const given = c.strs("activations");
  if (given?.some((a, i) => a.toLowerCase() !== usual[i % usual.length]?.toLowerCase()))
    c.unsupported(`activations ${given} are not supported`, usual.join());
  c.ignore("hidden_size", "activation_alpha", "activation_beta", "output_sequence");
  if (c.hasAttr("clip")) c.unsupported("clip is not supported");
  if (c.int("input_forget", 0) !== 0) c.unsupported("input_forget is not supported");
  if (c.has(7)) c.unsupported("peepholes are not supported");
  const attrs = {
    direction: c.str("direction", "forward"),
    ...(c.op === "GRU" && { resetAfter: c.int("linear_before_reset", 0) !== 0 }),
  };
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

/** Lengths of sequences may only say that all have all steps. */
function wholeSequences(c: Call, x: Tensor): void {
  if (!c.has(4)) return;
  const [steps] = c.shape(x);
  if (!c.numbers(4)?.every((n) => n === steps))
    c.unsupported("sequences of several lengths are not supported");
}

export const recurrent: Table = { LSTM: layer, GRU: layer, RNN: layer };
