// The tail of a tuned kernel: nest.result on accumulators in registers. Channel operands are packed,
// padded to whole panels, so that full vectors may be read; full operands are read at their own pitch.
// A bias that is added to the bare accumulator becomes the accumulator's first value instead.
import { children, type Expr, print, substitute } from "../../../compiler/expr.js";
import type { LoopNest } from "../../../compiler/nest.js";
import type { Step } from "../../../compiler/program.js";
import type { DType } from "../../../graph/dtype.js";
import { isVectorizable } from "../expr.js";
import type { ArgWord, Packed } from "../kernel.js";
import {
  dataId,
  type Buffers,
  constantNumbers,
  type EpilogueOperand,
  epilogueOperands,
  joined,
  roundUp,
  walkOf,
} from "./operands.js";

const stored: readonly DType[] = ["float32", "int8", "uint8", "int32", "int16", "float16", "bool"];

export interface Epilogue {
  /** Code depends on this and nothing else. */
  readonly key: string;
  readonly expr: Expr;
  readonly operands: readonly EpilogueOperand[];
  /** Operand that the accumulator starts from. */
  readonly init: number | undefined;
  readonly outType: DType;
  readonly outBytes: number;
  /** Elements from one output pixel to the next, and where the output starts. */
  readonly outPitch: number;
  readonly outOffset: number;
  /** What is stored is the low 16 bits of the expression, saturated to 8. */
  readonly low: boolean;
  /** Numbers that differ between layers but not the code: see `hoist`. */
  readonly numbers: readonly { readonly v: number; readonly t: "f32" | "i32" }[];
}

export interface EpilogueOptions {
  /** Constants become arguments, so that layers with other scales share code. */
  readonly hoist?: boolean;
  /** false: the accumulator cannot start from a bias. */
  readonly bias?: boolean;
  /** First of the loops that walk channels; default: the last loop. */
  readonly channelLoop?: number;
  /** An expression of fewer operations that stores the same: see requantize.ts. */
  readonly shorten?: (e: Expr, type: DType, known: Known) => Expr;
  /** One whose low 16 bits do, if there is one. */
  readonly low?: ((e: Expr, type: DType, known: Known) => Expr | undefined) | undefined;
}

/** What is known of an epilogue's operands. */
export interface Known {
  readonly step: Step;
  readonly nest: LoopNest;
  readonly operands: readonly EpilogueOperand[];
  /** The accumulator starts from this operand. */
  readonly init: number | undefined;
  readonly channelLoop: number;
}

/**
 * @returns null when the epilogue or the output's layout is none that kernels do
 */
export function epilogueOf(
  step: Step,
  nest: LoopNest,
  program: Buffers,
  options: EpilogueOptions = {},
): Epilogue | null {
  const { hoist = false, bias = true, channelLoop = nest.loops.length - 1, shorten } = options;
  const operands = epilogueOperands(step, nest, program, channelLoop);
  const out = walkOf(step, nest, "out");
  if (!operands || !out || out.guarded || !stored.includes(out.dtype) || !isVectorizable(nest.result))
    return null;
  const channelStride = joined(out.strides, nest.loops, channelLoop, nest.loops.length);
  const outPitch = joined(out.strides, nest.loops, 0, channelLoop);
  if (outPitch === null || (channelStride !== 1 && channelStride !== 0)) return null;
  const { expr: bare, init } = bias
    ? takeBias(nest.result, operands)
    : { expr: nest.result, init: undefined };
  const numbers: { v: number; t: "f32" | "i32" }[] = [];
  const known = { step, nest, operands, init, channelLoop };
  const low = options.low?.(bare, out.dtype, known);
  const short = low ?? shorten?.(bare, out.dtype, known) ?? bare;
  const expr = hoist ? hoistNumbers(short, numbers) : short;
  const roles = operands.map((o) => `${o.operand}${o.role}:${o.walk.dtype}`);
  const classes = numbers.map((n) => (isSmall(n) ? "s" : "l")).join("");
  const key = `${print(expr)}|${classes}|${init ?? ""}|${roles}|${out.dtype}${low ? "|low" : ""}`;
  const common = { key, expr, operands, init, numbers, outPitch, outOffset: out.offset };
  return { ...common, outType: out.dtype, outBytes: out.bytes, low: low !== undefined };
}

/** acc + bias, used once → acc that starts as bias. */
function takeBias(
  result: Expr,
  operands: readonly EpilogueOperand[],
): { expr: Expr; init: number | undefined } {
  let uses = 0;
  let found: { node: Expr; init: number } | undefined;
  const seen = new Set<Expr>();
  const isAcc = (x: Expr): boolean => x.k === "in" && x.i < 0;
  const visit = (x: Expr): void => {
    if (seen.has(x)) return;
    seen.add(x);
    for (const c of children(x)) if (isAcc(c)) uses++;
    if (x.k === "bin" && x.op === "add") {
      const [a, b] = isAcc(x.a) ? [x.a, x.b] : [x.b, x.a];
      if (isAcc(a) && b.k === "in" && operands.some((o) => o.operand === b.i && o.role === "channel"))
        found = { node: x, init: b.i };
    }
    for (const c of children(x)) visit(c);
  };
  visit(result);
  if (uses !== 1 || !found) return { expr: result, init: undefined };
  const { node, init } = found;
  const memo = new Map<Expr, Expr>();
  const rebuild = (x: Expr): Expr => {
    if (x === node) return { k: "in", i: -1, t: x.t };
    let y = memo.get(x);
    if (!y) {
      y = replaceChildren(x, rebuild);
      memo.set(x, y);
    }
    return y;
  };
  return { expr: rebuild(result), init };
}

/** x with changed children. */
export function replaceChildren(x: Expr, change: (c: Expr) => Expr): Expr {
  switch (x.k) {
    case "in":
    case "const":
      return x;
    case "un":
    case "cast":
    case "bits":
      return { ...x, a: change(x.a) };
    case "bin":
    case "cmp":
      return { ...x, a: change(x.a), b: change(x.b) };
    case "select":
      return { ...x, c: change(x.c), a: change(x.a), b: change(x.b) };
  }
}

/** Pseudo operands for hoisted numbers start here. */
export const hoisted = 1 << 16;

/** Bounds below 2^22 make rounding between them shorter (see expr.ts). */
export const isSmall = (n: { readonly v: number }): boolean => Math.abs(n.v) < 2 ** 22;

function hoistNumbers(e: Expr, numbers: { v: number; t: "f32" | "i32" }[]): Expr {
  const memo = new Map<Expr, Expr>();
  const visit = (x: Expr): Expr => {
    if (x.k === "const" && x.t !== "i64") {
      let i = numbers.findIndex((n) => Object.is(n.v, x.v) && n.t === x.t);
      if (i < 0) i = numbers.push({ v: x.v, t: x.t }) - 1;
      return { k: "in", i: hoisted + i, t: x.t };
    }
    let y = memo.get(x);
    if (!y) {
      y =
        x.k === "bin" && (x.op === "shl" || x.op === "shr")
          ? { ...x, a: visit(x.a) }
          : replaceChildren(x, visit);
      memo.set(x, y);
    }
    return y;
  };
  return visit(e);
}

/** The expression with the kernel's own operand numbers; for kernels that place operands themselves. */
export const renumber = (e: Expr, map: (i: number) => number): Expr =>
  substitute(e, (i, t) => ({ k: "in", i: i < 0 ? i : map(i), t }));

export const hasPitch = (o: EpilogueOperand): boolean => o.role === "full" || o.role === "pixel";
/** Bytes from one channel to the next. */
export const channelBytes = (o: EpilogueOperand): number =>
  o.role === "pixel" ? 0 : o.role === "channel" ? 4 : o.walk.bytes;

/** Names of the words an epilogue adds to the argument block, in order. */
export function epilogueNames(e: Epilogue): string[] {
  return [
    ...e.operands.flatMap((o) => (hasPitch(o) ? [`e${o.operand}`, `p${o.operand}`] : [`e${o.operand}`])),
    ...e.numbers.map((_, i) => `n${i}`),
  ];
}

/**
 * The words, and the channel operands as packed data.
 * @param first number of packed entries before these
 * @param groups channels are padded to whole panels in each group
 */
export function epilogueWords(
  e: Epilogue,
  first: number,
  channels: number,
  groups = 1,
): { words: ArgWord[]; packed: Packed[] } {
  const packed: Packed[] = [];
  const words: ArgWord[] = [];
  for (const o of e.operands) {
    if (o.role === "channel") {
      words.push({ kind: "packed", index: first + packed.length });
      packed.push(packChannels(o, channels, groups));
    } else words.push({ kind: "view", value: o.walk.value, element: o.walk.offset });
    if (hasPitch(o)) words.push({ kind: "i32", value: o.pitch * o.walk.bytes });
  }
  for (const n of e.numbers) words.push({ kind: n.t, value: n.v });
  return { words, packed };
}

/** float32 or int32, each group padded with zeros to a multiple of 16. */
function packChannels(o: EpilogueOperand, channels: number, groups: number): Packed {
  const data = o.data;
  if (!data) throw new TypeError("channel operands are constants");
  const each = channels / groups;
  const padded = roundUp(each, 16);
  const at = o.walk.view.offset + o.walk.offset;
  return {
    key: `channels:${dataId(data)}:${at}:${channels}:${groups}`,
    bytes: 4 * padded * groups,
    fill(memory, address) {
      const numbers = constantNumbers(data, o.walk.dtype, at, channels);
      const n = padded * groups;
      const out =
        numbers instanceof Float32Array
          ? new Float32Array(memory, address, n)
          : new Int32Array(memory, address, n);
      out.fill(0);
      for (let g = 0; g < groups; g++) out.set(numbers.subarray(g * each, (g + 1) * each), g * padded);
    },
  };
}

/** Type in which packed channel operands are stored. */
export const packedType = (t: DType): DType => (t === "float32" || t === "float16" ? "float32" : "int32");
