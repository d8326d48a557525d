// Normalisations. Each becomes x·a + b with a and b per channel or per group:
//   BatchNorm (inference): a = scale/√(var + ε), b = bias − mean·a; constants become tables.
//   InstanceNorm, LayerNorm: mean and 1/√(variance + ε) are two "reduce" kernels (two passes: no cancellation),
//   then one nest: (x − mean)·inverse·scale + bias.
import * as e from "../compiler/expr.js";
import type { Expr } from "../compiler/expr.js";
import { type Access, type AxisIndex, at, fixed, type ValueId } from "../compiler/nest.js";
import { broadcast, count, type Dim } from "../graph/dim.js";
import { differ } from "./conv.js";
import { constantReals, kept, loadedReal, toStored, walk, walkBroadcast } from "./lowering.js";
import {
  axisOf,
  type InferContext,
  type Inferred,
  int,
  type LowerContext,
  type LowerTensor,
  need,
  type OpDef,
  reject,
} from "./op.js";
import { reducedShape, reductionLoops } from "./reduce.js";

const epsilon = { type: "float", default: 1e-5 } as const;

function floats(c: InferContext): void {
  const x = need(c, 0);
  if (!x.quant && x.dtype !== "float32" && x.dtype !== "float16")
    reject(c, `takes no ${x.dtype}`, "unsupported");
}

/** Vectors 1…n must have one element for each position of `axis`. */
function inferChannels(c: InferContext): Inferred[] {
  floats(c);
  const x = need(c, 0);
  const axis = axisOf(c, int(c.attrs, "axis"), x.shape.length);
  for (let i = 1; i < c.inputs.length; i++) {
    const v = need(c, i);
    if (v.shape.length !== 1 || differ(v.shape[0] as Dim, x.shape[axis] as Dim))
      reject(c, `input ${i} [${v.shape}] for ${x.shape[axis]} channels`);
  }
  return kept(c, x, x.shape);
}

/** scale/√(var + ε) and bias − mean·that, as values of shape [C]. */
function batchNormFactors(c: LowerContext): [ValueId, ValueId] {
  const [scale, bias, mean, variance] = c.inputs.slice(1) as LowerTensor[];
  const eps = c.attrs.epsilon as number;
  const data = [scale, bias, mean, variance].map((t) => constantReals(t as LowerTensor));
  const channels = (scale as LowerTensor).shape as readonly [number];
  if (data.every((d) => d !== null)) {
    const [s, b, m, v] = data as Float64Array[];
    const a = Float32Array.from(s as Float64Array, (x, i) => x / Math.sqrt((v?.[i] as number) + eps));
    const shift = Float32Array.from(b as Float64Array, (x, i) => {
      const exact = (s?.[i] as number) / Math.sqrt((v?.[i] as number) + eps);
      return x - (m?.[i] as number) * exact;
    });
    return [c.table(a, channels), c.table(shift, channels)];
  }
  const vector = (inputs: readonly number[], result: (x: readonly Expr[]) => Expr): ValueId => {
    const to = c.temp("float32", channels);
    const operands = inputs.map((i): Access => ({ value: c.input(i), index: [at(0)] }));
    const loaded = inputs.map((i, k) => loadedReal(c.inputs[i] as LowerTensor, k));
    c.nest({
      loops: channels,
      reduce: [],
      operands,
      result: result(loaded),
      out: { value: to, index: [at(0)] },
    });
    return to;
  };
  const factor = (s: Expr, v: Expr): Expr => e.div(s, e.sqrt(e.add(v, eps)));
  return [
    vector([1, 4], ([s, v]) => factor(s as Expr, v as Expr)),
    vector([1, 2, 3, 4], ([s, b, m, v]) => e.sub(b as Expr, e.mul(m as Expr, factor(s as Expr, v as Expr)))),
  ];
}

function lowerBatchNorm(c: LowerContext): void {
  const [x, out] = [c.inputs[0] as LowerTensor, c.outputs[0] as LowerTensor];
  const axis = axisOf(c, int(c.attrs, "axis"), x.shape.length);
  const [a, b] = batchNormFactors(c);
  const full = walk(x.shape.length);
  c.nest({
    loops: x.shape,
    reduce: [],
    operands: [
      { value: c.input(0), index: full },
      { value: a, index: [at(axis)] },
      { value: b, index: [at(axis)] },
    ],
    result: toStored(e.add(e.mul(loadedReal(x, 0), e.input(1, "f32")), e.input(2, "f32")), out),
    out: { value: c.output(0), index: full },
  });
}

/** Mean and 1/√(variance + ε) over `axes`, which stay as 1. */
function moments(
  c: LowerContext,
  axes: readonly number[],
): { mean: ValueId; inverse: ValueId; index: AxisIndex[] } {
  const x = c.inputs[0] as LowerTensor;
  const l = reductionLoops(x.shape, axes, true);
  const small = reducedShape(x.shape, axes, true) as number[];
  const n = count(l.reduce);
  const reduce = (operands: Access[], body: Expr, result: Expr): ValueId => {
    const to = c.temp("float32", small);
    const nest = { loops: l.loops, reduce: l.reduce, operands, body, combine: "sum" as const, result };
    c.kernel("reduce", {}, { ...nest, out: { value: to, index: l.out } });
    return to;
  };
  const acc = e.accumulator("f32");
  const from: Access = { value: c.input(0), index: l.x };
  const mean = reduce([from], loadedReal(x, 0), e.div(acc, n));
  const d = e.sub(loadedReal(x, 0), e.input(1, "f32"));
  const variance = e.add(e.div(acc, n), c.attrs.epsilon as number);
  const inverse = reduce([from, { value: mean, index: l.out }], e.mul(d, d), e.div(1, e.sqrt(variance)));
  return { mean, inverse, index: x.shape.map((_, i) => (axes.includes(i) ? fixed(0) : at(i))) };
}

/** (x − mean)·inverse·scale + bias; the last two optional, indexed by `vector`. */
function normalize(c: LowerContext, axes: readonly number[], vector: (t: LowerTensor) => AxisIndex[]): void {
  const [x, scale, bias] = c.inputs as [LowerTensor, LowerTensor | undefined, LowerTensor | undefined];
  const full = walk(x.shape.length);
  const { mean, inverse, index } = moments(c, axes);
  const operands: Access[] = [
    { value: c.input(0), index: full },
    { value: mean, index },
    { value: inverse, index },
  ];
  let y = e.mul(e.sub(loadedReal(x, 0), e.input(1, "f32")), e.input(2, "f32"));
  if (scale) {
    operands.push({ value: c.input(1), index: vector(scale) });
    y = e.mul(y, loadedReal(scale, operands.length - 1));
  }
  if (bias) {
    operands.push({ value: c.input(2), index: vector(bias) });
    y = e.add(y, loadedReal(bias, operands.length - 1));
  }
  const result = toStored(y, c.outputs[0] as LowerTensor);
  c.nest({ loops: x.shape, reduce: [], operands, result, out: { value: c.output(0), index: full } });
}

const batchNorm: OpDef = {
  name: "BatchNorm",
  inputs: ["x", "scale", "b", "mean", "var"],
  attrs: { axis: { type: "int" }, epsilon },
  infer: inferChannels,
  lower: lowerBatchNorm,
};

const instanceNorm: OpDef = {
  name: "InstanceNorm",
  inputs: ["x", "scale", "b"],
  attrs: { axis: { type: "int" }, epsilon },
  infer: inferChannels,
  lower: (c) => {
    const rank = (c.inputs[0] as LowerTensor).shape.length;
    const axis = axisOf(c, int(c.attrs, "axis"), rank);
    const axes = Array.from({ length: rank }, (_, i) => i).filter((i) => i !== 0 && i !== axis);
    normalize(c, axes, () => [at(axis)]);
  },
};

const layerNorm: OpDef = {
  name: "LayerNorm",
  inputs: ["x", "scale?", "b?"],
  attrs: { axis: { type: "int", default: -1 }, epsilon },
  infer: (c) => {
    floats(c);
    const x = need(c, 0);
    axisOf(c, int(c.attrs, "axis"), x.shape.length);
    for (const t of c.inputs.slice(1)) {
      const fit = t && (t.shape.length > x.shape.length ? null : broadcast(x.shape, t.shape));
      if (t && !fit?.every((d, i) => !differ(d, x.shape[i] as Dim)))
        reject(c, `[${t.shape}] does not broadcast to [${x.shape}]`);
    }
    return kept(c, x, x.shape);
  },
  lower: (c) => {
    const rank = (c.inputs[0] as LowerTensor).shape.length;
    const axis = axisOf(c, int(c.attrs, "axis"), rank);
    const axes = Array.from({ length: rank - axis }, (_, i) => axis + i);
    normalize(c, axes, (t) => walkBroadcast(t.shape, rank));
  },
};

export const ops: OpDef[] = [batchNorm, instanceNorm, layerNorm];
