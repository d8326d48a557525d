import { type CaseInput, checkOp, generator, type OpCase } from "./harness.js";

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
  cellClip?: number;
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
      ...(s.cellClip && { cellClip: s.cellClip }),
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
  [...sizes, { steps: 6, batch: 1, size: 5, hidden: 8, states: true, cellClip: 0.25 }].map((s) =>
    layer("LSTM", s),
  ),
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

/** Weights as bytes, one scale and zero point or one a row, and what rows sum to. */
function ofBytes(s: Sizes, type: "int8" | "uint8", perRow: boolean): OpCase {
  const whole = layer("LSTM", s);
  const random = generator(7);
  const d = s.direction === "bidirectional" ? 2 : 1;
  const rows = 4 * s.hidden;
  const low = type === "int8" ? -128 : 0;
  const sums: number[][] = [];
  const weights = (k: number): CaseInput => {
    const data = Array.from({ length: d * rows * k }, () => low + Math.floor(random() * 256));
    const many = <T>(f: (i: number) => T): T[] => Array.from({ length: perRow ? rows : 1 }, (_, i) => f(i));
    const zeroPoint = many((i) => low + 120 + (i % 9));
    const zero = (row: number): number => zeroPoint[perRow ? row % rows : 0] as number;
    sums.push(
      Array.from({ length: d * rows }, (_, row) =>
        data.slice(row * k, (row + 1) * k).reduce((sum, v) => sum + v - zero(row), 0),
      ),
    );
    const quant = { scale: many((i) => 0.01 + i / 1e4), zeroPoint, axis: 1 };
    return { dtype: type, shape: [d, rows, k], constant: true, data, quant };
  };
  const [w, r] = [weights(s.size), weights(s.hidden)];
  const each = ([ws, rs]: number[][], i: number): number[] =>
    [ws, rs].flatMap((list) => (list as number[]).slice(i * rows, (i + 1) * rows));
  const all = Array.from({ length: d }, (_, i) => each(sums, i)).flat();
  const given: CaseInput = { dtype: "int32", shape: [d, 2 * rows], constant: true, data: all };
  const [x, , , ...more] = whole.inputs;
  return { ...whole, inputs: [x as CaseInput, w, r, ...more, given] };
}

checkOp(
  "LSTM with weights of bytes",
  sizes.flatMap((s) => [
    ofBytes(s, "uint8", false),
    ...(s.direction === "bidirectional" ? [] : [ofBytes(s, "int8", true)]),
  ]),
);
