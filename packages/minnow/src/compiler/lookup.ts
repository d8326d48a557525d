// A function of one 8-bit value has 256 answers. Where it is long (exp and what is made of it, between
// conversions), a step finds them all, by the same arithmetic, and another looks them up:
//
//   y = f(x), x and y of 8 bits   →   t = f(0 … 255);  y = t[x]        "lookup"
//
// Kernel "lookup", params {}: operands 0 = t[256], 1 = x, which is t's index.
import { count } from "../graph/dim.js";
import { isLong } from "./expand.js";
import * as e from "./expr.js";
import { type Lowered, type LoweredKernel, note, type Value } from "./lowered.js";
import { type Access, at, fromTable, type LoopNest, scalarOf } from "./nest.js";

/** Below, finding all answers is much of the work. */
const leastElements = 2048;

/** The number of the 8-bit value that the nest is a function of, apart from constants; −1: it is none. */
export function argumentOf(nest: LoopNest, values: readonly Value[]): number {
  const out = values[nest.out.value] as Value;
  if (nest.reduce.length > 0 || !isSamePlace(nest.out, out)) return -1;
  let found = -1;
  for (const o of nest.operands) {
    const v = values[o.value] as Value;
    if (isNumber(o) && v.kind === "constant") continue;
    if (found >= 0 && found !== o.value) return -1;
    if (v.kind === "constant" || !isByte(v) || v.shape.join() !== out.shape.join()) return -1;
    if (!isSamePlace(o, v)) return -1;
    found = o.value;
  }
  return found;
}

const isByte = (v: Value): boolean => v.dtype === "int8" || v.dtype === "uint8";
const isNumber = (o: Access): boolean =>
  o.index.every((a) => a.terms.length === 0 && a.table === undefined && !a.guard);
const isSamePlace = (a: Access, { shape }: Value): boolean =>
  a.index.every(
    ({ offset, terms, table, guard }, i) =>
      offset === 0 &&
      !guard &&
      table === undefined &&
      (shape[i] === 1 || (terms.length === 1 && terms[0]?.[0] === i && terms[0]?.[1] === 1)),
  );

export function lookups(lowered: Lowered): void {
  const { values } = lowered;
  lowered.kernels = lowered.kernels.flatMap((k) => {
    const { nest } = k;
    if (!nest || k.name !== "nest") return [k];
    const x = values[argumentOf(nest, values)];
    if (!x || count(x.shape) < leastElements || !isByte(values[nest.out.value] as Value)) return [k];
    // What is shorter is as fast in the tail of the kernel before.
    if (!isLong(nest.result)) return [k];
    note(lowered.fusions, "lookup");
    return split(k, nest, x, values);
  });
}

function split(k: LoweredKernel, nest: LoopNest, x: Value, values: Value[]): LoweredKernel[] {
  const out = values[nest.out.value] as Value;
  const add = (v: Omit<Value, "id" | "label" | "output" | "shape">): number =>
    values.push({ ...v, id: values.length, label: `${out.label}/256`, shape: [256], output: false }) - 1;
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  const data = x.dtype === "int8" ? new Int8Array(all.buffer) : all;
  const bytes = add({ dtype: x.dtype, kind: "constant", data });
  const answers = add({ dtype: out.dtype, kind: "value" });
  const find: LoopNest = {
    ...nest,
    loops: [256],
    operands: nest.operands.map((o) => (o.value === x.id ? { value: bytes, index: [at(0)] } : o)),
    out: { value: answers, index: [at(0)] },
  };
  const index = (nest.operands.find((o) => o.value === x.id) as Access).index;
  const look: LoopNest = {
    ...nest,
    operands: [
      { value: answers, index: [fromTable(1, true)] },
      { value: x.id, index },
    ],
    result: e.input(0, scalarOf(out.dtype)),
  };
  return [
    { ...k, nest: find },
    { ...k, name: "lookup", nest: look, fused: [], macs: 0 },
  ];
}
