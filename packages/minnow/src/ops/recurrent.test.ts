import { checkOp, type OpCase } from "./harness.js";

interface Sizes {
  steps: number;
  batch: number;
  size: number;
  hidden: number;
  direction?: "forward" | "reverse" | "bidirectional";
  bias?: boolean;
  states?: boolean;
  resetAfter?: boolean;
  computed?: boolean;
}

function layer(op: "LSTM" | "GRU" | "RNN", s: Sizes): OpCase {
  const d = s.direction === "bidirectional" ? 2 : 1;
  const rows = { LSTM: 4, GRU: 3, RNN: 1 }[op] * s.hidden;
  const given = (shape: number[], constant: boolean) => ({ shape, constant, range: [-1, 1] as const });
  const state = s.states ? given([d, s.batch, s.hidden], false) : null;
  return {
    op,
    attrs: {
      ...(s.direction && { direction: s.direction }),
      ...(s.resetAfter !== undefined && { resetAfter: s.resetAfter }),
    },
    inputs: [
      given([s.steps, s.batch, s.size], false),
      given([d, rows, s.size], !s.computed),
      given([d, rows, s.hidden], !s.computed),
      s.bias ? given([d, 2 * rows], !s.computed) : null,
      ...(op === "LSTM" ? [state, state] : [state]),
    ],
    outputs: Array.from({ length: op === "LSTM" ? 3 : 2 }, () => ({ dtype: "float32" as const })),
    tolerance: 1e-5,
  };
}

const sizes: Sizes[] = [
  { steps: 1, batch: 1, size: 5, hidden: 8 },
  { steps: 4, batch: 1, size: 24, hidden: 16, bias: true, states: true },
  { steps: 3, batch: 2, size: 7, hidden: 13, bias: true, direction: "reverse" },
  { steps: 5, batch: 3, size: 4, hidden: 9, bias: true, states: true, direction: "bidirectional" },
  { steps: 2, batch: 2, size: 3, hidden: 4, bias: true, states: true, computed: true },
];
checkOp(
  "LSTM",
  sizes.map((s) => layer("LSTM", s)),
);
checkOp(
  "RNN",
  sizes.map((s) => layer("RNN", s)),
);
for (const resetAfter of [false, true])
  checkOp(
    `GRU, resetAfter ${resetAfter}`,
    sizes.map((s) => layer("GRU", { ...s, resetAfter })),
  );
