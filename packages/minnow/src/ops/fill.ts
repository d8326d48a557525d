// Shape, Size, Range, Fill: tensors made from sizes. With dimensions bound their elements are known, so
// that most never run; what is left is a read of a small table.
import { Deferred } from "../graph/deferred.js";
import { ceilDiv, count, type Dim, isConcrete, max, product, sub } from "../graph/dim.js";
import { type DType, halfToFloat, isFloat, newArray, type TypedArray } from "../graph/dtype.js";
import * as e from "../compiler/expr.js";
import { at, fixed, scalarOf } from "../compiler/nest.js";
import {
  type InferContext,
  type Inferred,
  int,
  type LowerContext,
  need,
  type OpDef,
  type Reference,
  reject,
} from "./op.js";
import {
  dtypeOf,
  everyAxis,
  intAttr,
  intsAttr,
  lengthOf,
  listOf,
  moved,
  outShape,
  refInput,
  refShape,
  result,
  tableLength,
  unknownDim,
  unknownList,
} from "./move.js";
import { stored } from "./pad.js";

const dtypeAttr = (t: DType) => ({ type: "dtype", default: t }) as const;

/** Part [start, end) of the shape. */
function part(attrs: InferContext["attrs"], rank: number): [number, number] {
  const clamp = (v: number): number => Math.max(0, Math.min(rank, v < 0 ? v + rank : v));
  const start = clamp(int(attrs, "start"));
  return [start, Math.max(start, clamp(int(attrs, "end")))];
}

function inferShape(c: InferContext): Inferred[] {
  const { shape } = need(c, 0);
  const value = shape.slice(...part(c.attrs, shape.length));
  return [result(c, dtypeOf(c.attrs, "to"), [value.length], value)];
}

function inferSize(c: InferContext): Inferred[] {
  return [result(c, dtypeOf(c.attrs, "to"), [], [product(need(c, 0).shape)])];
}

/** Numbers as the elements of an array of `t`. */
function arrayOf(t: DType, values: readonly number[]): TypedArray {
  const data = newArray(t === "float16" ? "float32" : t, values.length);
  for (let i = 0; i < values.length; i++)
    (data as Int32Array)[i] = (t === "int64" ? BigInt(values[i] as number) : values[i]) as number;
  return data;
}

/** Output 0 is these values. */
function lowerTable(c: LowerContext, values: readonly number[]): void {
  const y = c.outputs[0];
  if (!y || values.length === 0) return;
  const storage = y.dtype === "float16" ? "float32" : y.dtype;
  const table = c.table(arrayOf(storage, values), y.shape, storage);
  c.nest({
    loops: y.shape,
    reduce: [],
    operands: [{ value: table, index: everyAxis(y.shape.length) }],
    result: e.input(0, scalarOf(storage)),
    out: { value: c.output(0), index: everyAxis(y.shape.length) },
  });
}

function lowerShape(c: LowerContext): void {
  const shape = c.inputs[0]?.shape ?? [];
  lowerTable(c, shape.slice(...part(c.attrs, shape.length)));
}

/** The one element of input `i`: a known integer or the data of a constant. */
function scalar(c: Pick<InferContext, "op" | "name" | "inputs">, i: number): Dim | undefined {
  const t = c.inputs[i];
  if (!t) return reject(c, `input ${i} is missing`, "bad_graph");
  if (t.value) return t.value[0];
  const v = t.data && !(t.data instanceof Deferred) ? t.data[0] : undefined;
  if (v === undefined) return undefined;
  return t.dtype === "float16" ? halfToFloat(Number(v)) : Number(v);
}

/** ⌈(limit − start) / delta⌉, as TFLite, ONNX and numpy. */
const steps = (start: number, limit: number, delta: number): number =>
  Math.max(0, Math.ceil((limit - start) / delta));

function inferRange(c: InferContext): Inferred[] {
  const { dtype } = need(c, 0);
  const [start, limit, delta] = [scalar(c, 0), scalar(c, 1), scalar(c, 2)];
  if (delta === 0) reject(c, "delta is 0");
  if (typeof start === "number" && typeof limit === "number" && typeof delta === "number") {
    const n = steps(start, limit, delta);
    if (!Number.isSafeInteger(n)) reject(c, `range ${start} to ${limit} by ${delta} has no length`);
    const element = (i: number): number =>
      isFloat(dtype) ? Math.fround(start + i * delta) : start + i * delta;
    const known = n <= 4096 && dtype !== "float16";
    const value = known ? Array.from({ length: n }, (_, i) => element(i)) : undefined;
    return [result(c, dtype, [n], value)];
  }
  if (start === undefined || limit === undefined || typeof delta !== "number")
    return [result(c, dtype, [unknownDim(c, "length")])];
  const span = delta > 0 ? sub(limit, start) : sub(start, limit);
  const n = ceilDiv(
    start === 0 && delta > 0 && !String(limit).includes("-") ? span : max(span, 0),
    Math.abs(delta),
  );
  return [result(c, dtype, [n])];
}

function lowerRange(c: LowerContext): void {
  const [start, delta] = [scalar(c, 0), scalar(c, 2)];
  if (typeof start !== "number" || typeof delta !== "number") unknownList(c, "start and delta");
  lowerTable(
    c,
    Array.from({ length: tableLength(c, count(outShape(c))) }, (_, i) => start + i * delta),
  );
}

function inferFill(c: InferContext): Inferred[] {
  const v = c.inputs[1];
  const dtype = v?.dtype ?? dtypeOf(c.attrs, "to");
  const wanted = listOf(c, 0, "shape");
  if (!wanted) {
    const rank = lengthOf(c, 0, "shape");
    if (typeof rank !== "number") return reject(c, "the rank of its output is not known", "unsupported");
    if (rank > 8) reject(c, `rank ${rank} is more than 8`, "unsupported");
    return [
      result(
        c,
        dtype,
        Array.from({ length: rank }, (_, i) => unknownDim(c, `size${i}`)),
      ),
    ];
  }
  if (wanted.some((d) => typeof d === "number" && d < 0)) reject(c, `[${wanted.join(", ")}] is no shape`);
  const element = v ? v.value?.[0] : Math.trunc(c.attrs.value as number);
  const known =
    element !== undefined &&
    !isFloat(dtype) &&
    !c.outputs[0]?.quant &&
    isConcrete(wanted) &&
    wanted.length < 3 &&
    count(wanted) <= 4096;
  const value = known ? Array.from({ length: count(wanted) }, () => element) : undefined;
  return [result(c, dtype, wanted, value)];
}

function lowerFill(c: LowerContext): void {
  const y = c.outputs[0];
  const v = c.inputs[1];
  if (!y || count(y.shape) === 0) return;
  c.nest({
    loops: y.shape,
    reduce: [],
    operands: v ? [{ value: c.input(1), index: v.shape.map(() => fixed(0)) }] : [],
    result: v ? moved(c, 1) : e.num(stored(c.attrs.value as number, y.dtype, y.quant), scalarOf(y.dtype)),
    out: { value: c.output(0), index: y.shape.map((_, i) => at(i)) },
  });
}

export const ops: OpDef[] = [
  {
    name: "Shape",
    inputs: ["x"],
    attrs: { start: intAttr(0), end: intAttr(2 ** 31 - 1), to: dtypeAttr("int64") },
    infer: inferShape,
    lower: lowerShape,
  },
  {
    name: "Size",
    inputs: ["x"],
    attrs: { to: dtypeAttr("int64") },
    infer: inferSize,
    lower: (c) => lowerTable(c, [count(c.inputs[0]?.shape ?? [])]),
  },
  { name: "Range", inputs: ["start", "limit", "delta"], attrs: {}, infer: inferRange, lower: lowerRange },
  {
    name: "Fill",
    inputs: ["shape?", "value?"],
    attrs: { shape: intsAttr, value: { type: "float", default: 0 }, to: dtypeAttr("float32") },
    infer: inferFill,
    lower: lowerFill,
  },
];

export const references: Record<string, Reference> = {
  Shape: (c) => {
    const { shape } = refInput(c, 0);
    return [shape.slice(...part(c.attrs, shape.length))];
  },
  Size: (c) => [[count(refInput(c, 0).shape)]],
  Range: (c) => {
    const [start, delta] = [refInput(c, 0).data[0] as number, refInput(c, 2).data[0] as number];
    return [Array.from({ length: count(refShape(c)) }, (_, i) => start + i * delta)];
  },
  Fill: (c) => {
    const y = c.outputs[0];
    const v = c.inputs[1]?.data[0] ?? stored(c.attrs.value as number, y?.dtype ?? "float32", y?.quant);
    return [new Array<number>(count(refShape(c))).fill(v)];
  },
};
