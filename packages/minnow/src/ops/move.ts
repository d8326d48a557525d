// What shape and movement operators share: lists that come as an input or an attribute, sizes that
// depend on unknown data, limits on shapes, and carrying the known elements of small integer tensors
// along, so that the shape arithmetic of a model disappears when its dimensions are bound.
import { count, type Dim, isConcrete, product, type Shape, symbol } from "../graph/dim.js";
import type { DType } from "../graph/dtype.js";
import type { Attrs } from "../graph/graph.js";
import * as e from "../compiler/expr.js";
import { type Access, at, type AxisIndex, scalarOf } from "../compiler/nest.js";
import { dequantize, requantize, sameQuant } from "../compiler/quantized.js";
import {
  type InferContext,
  type Inferred,
  type LowerContext,
  type OpDef,
  type Reference,
  reject,
  type RefTensor,
} from "./op.js";

/** Any operator can be told which node and operator it is. */
export type Named = { readonly op: string; readonly name: string };

const maxRank = 8;
/** Tensors of up to this many elements keep their elements through inference. */
const maxValue = 4096;

export const intsAttr = { type: "ints", default: [] } as const;
export const intAttr = (value: number) => ({ type: "int", default: value }) as const;
export const boolAttr = (value: boolean) => ({ type: "bool", default: value }) as const;

/** An output of `shape`, refused where it is absurd. `value` is kept when small. */
export function result(c: Named, dtype: DType, shape: Shape, value?: readonly Dim[]): Inferred {
  if (shape.length > maxRank) reject(c, `rank ${shape.length} is more than ${maxRank}`, "unsupported");
  const known = shape.filter((d) => typeof d === "number");
  if (!known.includes(0) && count(known) > Number.MAX_SAFE_INTEGER)
    reject(c, `its shape would be [${shape.join(", ")}]`);
  return value && value.length <= maxValue ? { dtype, shape, value } : { dtype, shape };
}

/**
 * A size that data decides which is not known here: a fresh name while dimensions are symbolic (they
 * may decide it once bound), otherwise an error.
 */
export function unknownDim(c: InferContext, what: string): Dim {
  const open = c.symbolic ?? c.inputs.some((t) => t && !isConcrete(t.shape));
  if (open) return symbol(`${c.op}_${c.name}_${what}`);
  return reject(
    c,
    `${what} depends on data that is known only while running`,
    "unsupported",
    "sizes must follow from input shapes; convert the model with fixed shapes, or cut it before this operator",
  );
}

/** Same, for a whole list that must be known to say anything (axes, block sizes). */
export function unknownList(c: Named, what: string): never {
  return reject(c, `${what} must be known before running`, "unsupported", "make it a constant");
}

interface Inputs extends Named {
  readonly attrs: Attrs;
  readonly inputs: readonly ({ readonly shape: Shape; readonly value?: readonly Dim[] } | undefined)[];
}

/** A list from input `i` where the node has it, else from attribute `attr`; undefined = not known. */
export function listOf(c: Inputs, i: number, attr?: string): readonly Dim[] | undefined {
  const t = c.inputs[i];
  if (t) return t.value ?? (t.shape.includes(0) ? [] : undefined);
  return attr === undefined ? [] : (c.attrs[attr] as readonly number[]);
}

/** Same, all numbers, or an error. */
export function numbersOf(c: Inputs, i: number, what: string, attr?: string): readonly number[] {
  const list = listOf(c, i, attr);
  if (!list || !isConcrete(list)) unknownList(c, what);
  return list;
}

/** Length of the list of input `i` or attribute `attr`, also when its elements are not known. */
export function lengthOf(c: Inputs, i: number, attr: string): Dim {
  const t = c.inputs[i];
  return t ? product(t.shape) : (c.attrs[attr] as readonly number[]).length;
}

/** Axes in 0…rank−1, each once. */
export function axesOf(c: Named, axes: readonly number[], rank: number): number[] {
  const out = axes.map((a) => (a < 0 ? a + rank : a));
  for (const [i, a] of out.entries()) {
    if (!Number.isInteger(a) || a < 0 || a >= rank) reject(c, `axis ${axes[i]} is outside rank ${rank}`);
    if (out.indexOf(a) !== i) reject(c, `axis ${a} is given twice`);
  }
  return out;
}

/** Every index of a shape, row-major. The array is reused. */
export function* indices(shape: readonly number[]): Generator<number[]> {
  const n = count(shape);
  const at = shape.map(() => 0);
  for (let k = 0; k < n; k++) {
    yield at;
    for (let i = shape.length - 1; i >= 0; i--) {
      at[i] = (at[i] as number) + 1;
      if (at[i] !== shape[i]) break;
      at[i] = 0;
    }
  }
}

/** Row-major position of an index. */
export const flat = (at: readonly number[], shape: readonly number[]): number =>
  shape.reduce((p, d, i) => p * d + (at[i] as number), 0);

/** to[index] = from[source(index)]; a null source gives `fill`. */
export function remap<T>(
  from: ArrayLike<T>,
  fromShape: readonly number[],
  shape: readonly number[],
  source: (at: readonly number[]) => readonly number[] | null,
  fill?: T,
): T[] {
  const out: T[] = [];
  for (const at of indices(shape)) {
    const s = source(at);
    out.push(s ? (from[flat(s, fromShape)] as T) : (fill as T));
  }
  return out;
}

/** The known elements after a movement, where elements and shapes are known and few. */
export function movedValue(
  t: { readonly shape: Shape; readonly value?: readonly Dim[] },
  shape: Shape,
  source: (at: readonly number[]) => readonly number[] | null,
  fill?: Dim,
): readonly Dim[] | undefined {
  if (!t.value || !isConcrete(t.shape) || !isConcrete(shape)) return undefined;
  if (count(shape) > maxValue || count(t.shape) !== t.value.length) return undefined;
  return remap(t.value, t.shape, shape, source, fill);
}

/** An axis for which a table is made: refused where the table alone would eat the memory. */
export function tableLength(c: Named, n: number): number {
  if (n > 2 ** 26) reject(c, `an axis of ${n} elements is too long`, "unsupported");
  return n;
}

/** One loop an axis. */
export const everyAxis = (rank: number): AxisIndex[] => Array.from({ length: rank }, (_, i) => at(i));

/** Operand `operand` holding an element of input `i`, in the type and quantisation of output `o`. */
export function moved(c: LowerContext, i: number, o = 0, operand = 0): e.Expr {
  const from = c.inputs[i];
  const to = c.outputs[o];
  if (!from || !to) reject(c, `input ${i} is missing`, "bad_graph");
  const x = e.input(operand, scalarOf(from.dtype));
  if (!from.quant || !to.quant || sameQuant(from.quant, to.quant)) return e.cast(x, scalarOf(to.dtype));
  if (from.quant.scale.length !== 1 || to.quant.scale.length !== 1) return x;
  return requantize(dequantize(x, from.quant), to.quant, to.dtype);
}

/** The loop nest of a movement: output 0 at `out` is input `i` at `index`. */
export function move(
  c: LowerContext,
  loops: readonly number[],
  index: AxisIndex[],
  out: AxisIndex[],
  i = 0,
): void {
  if (count(loops) > 0) c.nest(moveNest(c, loops, index, out, i));
}

export const moveNest = (
  c: LowerContext,
  loops: readonly number[],
  index: AxisIndex[],
  out: AxisIndex[],
  i = 0,
  o = 0,
) => ({
  loops,
  reduce: [],
  operands: [{ value: c.input(i), index }] as Access[],
  result: moved(c, i, o),
  out: { value: c.output(o), index: out },
});

/** Shape of input `i` at lowering. */
export function shapeOf(c: LowerContext, i: number): readonly number[] {
  const t = c.inputs[i];
  return t ? t.shape : reject(c, `input ${i} is missing`, "bad_graph");
}

export const outShape = (c: LowerContext, o = 0): readonly number[] => c.outputs[o]?.shape ?? [];

// References.

type RefContext = Parameters<Reference>[0];

/** Input `i` of a reference, which must be there. */
export function refInput(c: RefContext, i: number): RefTensor {
  const t = c.inputs[i];
  return t ?? reject({ op: c.op, name: "" }, `input ${i} is missing`, "bad_graph");
}

/** A list from input `i` where given, else from attribute `attr`. */
export function refList(c: RefContext, i: number, attr?: string): readonly number[] {
  const t = c.inputs[i];
  return t ? Array.from(t.data) : attr === undefined ? [] : (c.attrs[attr] as readonly number[]);
}

export const refShape = (c: RefContext, o = 0): readonly number[] => c.outputs[o]?.shape ?? [];

/** Stored elements of `t` in the quantisation of `to`. */
export function refMoved(
  t: RefTensor,
  to: { dtype: DType; quant?: RefTensor["quant"] } | undefined,
): ArrayLike<number> {
  const [a, b] = [t.quant, to?.quant];
  if (!to || !a || !b || sameQuant(a, b) || a.scale.length !== 1 || b.scale.length !== 1) return t.data;
  const [lo, hi] = integerRange(to.dtype);
  return Array.from(t.data, (q) => {
    const real = (q - (a.zeroPoint[0] ?? 0)) * (a.scale[0] ?? 1);
    return Math.min(hi, Math.max(lo, halfEven(real / (b.scale[0] ?? 1)) + (b.zeroPoint[0] ?? 0)));
  });
}

export const integerRange = (t: DType): readonly [number, number] =>
  t === "uint8"
    ? [0, 255]
    : t === "int16"
      ? [-32768, 32767]
      : t === "int32"
        ? [-(2 ** 31), 2 ** 31 - 1]
        : [-128, 127];

/** To the nearest integer, half to even. */
export function halfEven(x: number): number {
  const r = Math.round(x);
  return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r;
}

/** The dtype of an attribute. */
export const dtypeOf = (attrs: Attrs, name: string): DType => attrs[name] as DType;

export type { OpDef };
