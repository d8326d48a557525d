// TFLite's recurrent layers are ONNX's with a tensor a gate. Their states are variables, which an interpreter keeps
// from run to run unless it is told to reset them; here each run starts from zeros, as the layer's first does.
import type { Tensor } from "../../graph/graph.js";
import type { Op, Row } from "./op.js";

interface Layer {
  readonly op: "LSTM" | "RNN";
  /** TFLite's gates (i f g o) in our order; their weights for x come first, then those for h. */
  readonly gates: readonly number[];
  /** From the first weights to the first bias, and to the other direction's first weights. */
  readonly bias: number;
  readonly next: number;
}

const lstm: Layer = { op: "LSTM", gates: [0, 3, 1, 2], bias: 11, next: 17 };
const rnn: Layer = { op: "RNN", gates: [0], bias: 2, next: 4 };

/** Where options have what. */
interface Slots {
  readonly activation: number;
  readonly timeMajor: number;
  readonly clip?: number;
  /** Of layers of two directions. */
  readonly merge?: number;
}

const recurrent =
  ({ op, gates, bias, next }: Layer, slots: Slots): Row =>
  (c) => {
    const x = c.input(0);
    if (x.dtype !== "float32") c.reject(`${x.dtype} activations are not supported`);
    if (c.num(slots.activation, "i8") !== 4) c.reject("its activation is not TANH");
    const cellClip = slots.clip === undefined ? 0 : c.num(slots.clip, "f32");
    if (!(cellClip >= 0 && cellClip < Infinity)) c.fail(`cells are clipped to ${cellClip}`);
    const directions = slots.merge === undefined ? 1 : 2;
    const used = new Set([0]);
    /** Tensors of every gate of every direction, which begin at `from` in each: [directions, gates · hidden, …]. */
    const stack = (from: number, get: (t: Tensor) => Tensor, ...row: number[]): Tensor => {
      const parts = Array.from({ length: directions }, (_, d) =>
        gates.map((gate) => {
          const at = 1 + d * next + from + gate;
          used.add(at);
          return get(c.inputs[at] ?? c.reject("a layer without one of its gates is not supported"));
        }),
      );
      return c.value("Reshape", [c.value("Concat", parts.flat(), { axis: 0 })], {
        shape: [directions, -1, ...row],
      });
    };
    const weights = (from: number): Tensor =>
      stack(from, (t) => c.weights(x, t), c.dim(c.input(1 + from + (gates.at(-1) as number)), 1));
    const w = weights(0);
    const r = weights(gates.length);
    const b = stack(bias, (t) => t);
    if (c.inputs.some((t, i) => t && !used.has(i)))
      c.reject("peepholes, projections, normalised gates and second inputs are not supported");
    const none = c.value("Fill", [c.value("Shape", [b], { to: "int32" }, b, "int32")], {
      value: 0,
      to: "float32",
    });
    const biases = c.value("Concat", [b, none], { axis: 1 });
    const timeMajor =
      c.num(slots.timeMajor, "bool", slots.clip !== undefined && directions === 2 ? 1 : 0) !== 0;
    const steps = timeMajor ? x : c.value("Transpose", [x], { perm: [1, 0, 2] });
    const direction = directions === 2 ? "bidirectional" : "forward";
    const y = c.value(op, [steps, w, r, biases], { direction, ...(cellClip && { cellClip }) });
    const turned = c.value("Transpose", [y], { perm: timeMajor ? [0, 2, 1, 3] : [2, 0, 1, 3] });
    finish(c, turned, directions === 1 || c.flag(slots.merge as number));
  };

/** [T, B, directions, H] as one output, or one a direction. */
function finish(c: Op, y: Tensor, merged: boolean): void {
  const attrs = { shape: [0, 0, -1] };
  if (merged) return c.emit("Reshape", [y], [c.output], attrs);
  c.emit("Split", [c.value("Reshape", [y], attrs)], [...c.outputs], { axis: 2 });
}

export const layers: Record<string, Row> = {
  UNIDIRECTIONAL_SEQUENCE_LSTM: recurrent(lstm, { activation: 0, clip: 1, timeMajor: 3 }),
  BIDIRECTIONAL_SEQUENCE_LSTM: recurrent(lstm, { activation: 0, clip: 1, merge: 3, timeMajor: 4 }),
  UNIDIRECTIONAL_SEQUENCE_RNN: recurrent(rnn, { timeMajor: 0, activation: 1 }),
  BIDIRECTIONAL_SEQUENCE_RNN: recurrent(rnn, { timeMajor: 0, activation: 1, merge: 2 }),
};
