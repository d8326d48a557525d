// One row times constant weights where the row comes from a ReLU: about half of it is zeros, and the weights that they
// meet need not be read. What is not zero is listed first, values and where their weights begin, four lanes at a time
// without branches. Then rows of weights, up to 4 KB of channels each, are added to sums in the first-level cache,
// eight rows at a time: what is skipped is whole streams of memory (32 channels in registers instead, so that 128
// bytes are read and 128 skipped, is slower than reading all where weights come from memory: 4096→4096, half of x
// zeros, 2.21 ms by gemv.ts, 5.65 so, 1.74 here; 256→256 3.2, 2.5, 2.4 µs; Zen 4). Without a zero in x it is level
// up to 1024→1024, 25 % slower at 4096→4096. A sum's order is the list's. Zero times an infinite weight counts as zero.
import type { Expr } from "../../../compiler/expr.js";
import type { Step } from "../../../compiler/program.js";
import type { Engine } from "../engine.js";
import type { ArgWord, Packed, PlannedKernel, Planning, TunedKernel } from "../kernel.js";
import { Layout } from "./arguments.js";
import { constantProduct } from "./dense.js";
import { epilogueNames, epilogueOf, epilogueWords } from "./epilogue.js";
import { block, emitGroups, sparseWords, widest } from "./gemv_sparse_code.js";
import { roundUp } from "./operands.js";
import { packGroups } from "./pack.js";
import { isFloatProduct } from "./products.js";
import { gemvGrain } from "./tiles.js";

export const sparse: TunedKernel = { kernels: ["dense", "matmul"], plan };

function plan(step: Step, engine: Engine, program: Planning): PlannedKernel | null {
  const { nest } = step;
  if (!nest || !isFloatProduct(step, nest) || !fromRelu(step, program.steps ?? [])) return null;
  const rows = nest.loops.slice(0, -1).reduce((a, b) => a * b, 1);
  const p = rows === 1 ? constantProduct(step, nest, program) : null;
  const epilogue = p && epilogueOf(step, nest, program, { bias: false });
  const { n, k } = p?.weights ?? { n: 0, k: 0 };
  const width = widthOf(n);
  const groups = Math.ceil(n / width);
  // Channels are filled up to whole groups, other kernels' to panels of 8.
  const most = engine.small ? roundUp(n, 8) : 1.1 * n;
  if (!epilogue || !p || k < 32 || n < block || groups * width > most) return null;
  const packed = packGroups(p.weights, width / 8);
  if (!packed) return null;
  const layout = new Layout<string>([...sparseWords, ...epilogueNames(epilogue)]);
  const { words: extra, packed: operands } = epilogueWords(epilogue, 2, n);
  const name = `f32_gemv_sparse_${engine.fma ? "fma" : "muladd"}`;
  const listBytes = roundUp(4 * k, 64) + 64;
  const pitch = 4 * width;
  return {
    key: `${name}_n${n % block}_${epilogue.key}`,
    label: name,
    emit: (m) => emitGroups(m, { layout, epilogue, engine, rest: n % block }),
    extent: groups,
    // Every call lists x anew.
    grain: gemvGrain(pitch * k),
    unit: 1,
    args: layout.words({
      x: { kind: "view", value: p.x.value, element: p.x.offset },
      weights: { kind: "packed", index: 0 },
      out: { kind: "view", value: nest.out.value, element: epilogue.outOffset },
      outPitch: 0,
      scratch: { kind: "scratch" },
      table: { kind: "packed", index: 1 },
      vectors: Math.floor(k / 4),
      last: (1 << (k % 4)) - 1,
      places: listBytes,
      sums: 2 * listBytes,
      pitch,
      groupBytes: pitch * k,
      channels: n,
      ...Object.fromEntries(epilogueNames(epilogue).map((e, i) => [e, extra[i] as ArgWord])),
    }),
    packed: [packed, together, ...operands],
    scratchBytes: 2 * listBytes + pitch,
  };
}

/** Channels of a group, whole blocks. */
const widthOf = (n: number): number => roundUp(n / Math.ceil(n / widest), block);

/** Swizzles that bring the lanes of a mask of four to the front. */
const together: Packed = {
  key: "together",
  bytes: 256,
  fill(memory, at) {
    for (let mask = 0; mask < 16; mask++) {
      const kept = [0, 1, 2, 3].filter((lane) => mask & (1 << lane));
      const bytes = kept.flatMap((lane) => [0, 1, 2, 3].map((b) => 4 * lane + b));
      new Uint8Array(memory, at + 16 * mask, bytes.length).set(bytes);
    }
  },
};

/** Whether what a step multiplies was written by a ReLU, or is the largest of what one wrote, or a copy. */
export function fromRelu(step: Step, steps: readonly Step[]): boolean {
  let read = bufferOf(step, step.nest?.operands[0]?.value);
  for (let at = steps.indexOf(step) - 1; at >= 0; at--) {
    const writer = steps[at] as Step;
    if (bufferOf(writer, writer.nest?.out.value ?? writer.writes?.[0]) !== read) continue;
    const { nest } = writer;
    if (nest && isRelu(nest.result)) return true;
    const isCopy = nest && nest.reduce.length === 0 && nest.result.k === "in";
    if (!isCopy && writer.kernel !== "max_pool2d") return false;
    read = bufferOf(writer, nest?.operands[0]?.value);
  }
  return false;
}

const bufferOf = (step: Step, value = -1): number | undefined => step.values[value]?.buffer;

/** max(x, 0), or the smaller of that and a number. */
function isRelu(x: Expr): boolean {
  if (x.k !== "bin") return false;
  if (x.op === "min") return x.b.k === "const" && x.b.v >= 0 && isRelu(x.a);
  return x.op === "max" && x.b.k === "const" && x.b.v === 0;
}
