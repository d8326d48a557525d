// Resize of the two spatial axes of an image. Nearest reads through an index table an axis; linear
// blends four reads by two weight tables; cubic sums four reads twice, along columns and then rows.
import { count, type Dim, floorDiv, isConcrete, mul } from "../graph/dim.js";
import type { DType, TypedArray } from "../graph/dtype.js";
import * as e from "../compiler/expr.js";
import {
  type Access,
  at,
  type AxisIndex,
  fromTable,
  type LoopNest,
  scalarOf,
  type ValueId,
} from "../compiler/nest.js";
import { dequantize, requantize, sameQuant } from "../compiler/quantized.js";
import {
  bool,
  type InferContext,
  type Inferred,
  type LowerContext,
  type LowerTensor,
  need,
  type OpDef,
  type Reference,
  reject,
  str,
} from "./op.js";
import {
  boolAttr,
  everyAxis,
  halfEven,
  integerRange,
  intsAttr,
  listOf,
  moved,
  outShape,
  refInput,
  refMoved,
  refShape,
  remap,
  result,
  tableLength,
  unknownDim,
} from "./move.js";
import { type Axis, cubic, linear, nearest, type Taps } from "./resize-taps.js";

const choices: Record<string, readonly string[]> = {
  mode: ["nearest", "linear", "cubic"],
  coordinates: ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"],
  nearest: ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil", "round_half_away"],
};

/** floor(size · scale) in float32, as ONNX Runtime; exact for symbols where the scale allows. */
function scaledSize(c: InferContext, d: Dim, scale: number): Dim {
  if (!(scale > 0) || !Number.isFinite(scale)) reject(c, `scale ${scale}`);
  if (typeof d === "number") return Math.floor(Math.fround(d * Math.fround(scale)));
  if (Number.isInteger(scale)) return mul(d, scale);
  if (Number.isInteger(1 / scale)) return floorDiv(d, 1 / scale);
  return `scaled(${d}, ${scale})`;
}

function infer(c: InferContext): Inferred[] {
  const x = need(c, 0);
  if (x.shape.length !== 4) reject(c, `input has rank ${x.shape.length}, not 4 (NHWC)`, "unsupported");
  for (const [name, known] of Object.entries(choices))
    if (!known.includes(str(c.attrs, name)))
      reject(c, `${name} ${JSON.stringify(str(c.attrs, name))}`, "unsupported");
  const [n, h, w, d] = x.shape as [Dim, Dim, Dim, Dim];
  const sizes = listOf(c, 1, "sizes");
  const scales = c.attrs.scales as readonly number[];
  let out: [Dim, Dim];
  if (!sizes) out = [unknownDim(c, "height"), unknownDim(c, "width")];
  else if (sizes.length === 2) out = [sizes[0] as Dim, sizes[1] as Dim];
  else if (sizes.length === 0 && scales.length === 2)
    out = [scaledSize(c, h, scales[0] as number), scaledSize(c, w, scales[1] as number)];
  else
    return reject(
      c,
      `sizes [${sizes.join(", ")}] and scales [${scales.join(", ")}]: two of either are wanted`,
    );
  if (out.some((s) => typeof s === "number" && s < 0)) reject(c, `sizes [${out.join(", ")}]`);
  const shape = [n, out[0], out[1], d];
  if (isConcrete(shape) && count(shape) > 0 && isConcrete(x.shape) && count(x.shape) === 0)
    reject(c, `[${x.shape.join(", ")}] is empty and cannot be resized to [${shape.join(", ")}]`);
  return [result(c, x.dtype, shape)];
}

type Plan = Pick<LowerContext, "attrs"> & { readonly given: boolean };

/** Axis `k` (1 = height, 2 = width). */
function axisOf(c: Plan, from: readonly number[], to: readonly number[], k: number): Axis {
  const [a, b] = [from[k] as number, to[k] as number];
  const scales = c.attrs.scales as readonly number[];
  const keep = !c.given && scales.length === 2 && bool(c.attrs, "keepScale");
  const scale = keep ? (scales[k - 1] as number) : b / a;
  return { from: a, to: b, scale, inverse: bool(c.attrs, "inverseScale") };
}

/** Loops n, y, x, c of the output; a tap loop follows where there is one. */
function lower(c: LowerContext): void {
  const [x, y] = [c.inputs[0] as LowerTensor, c.outputs[0] as LowerTensor];
  if (count(y.shape) === 0) return;
  const plan = {
    attrs: c.attrs,
    given: c.inputs[1] !== undefined || (c.attrs.sizes as readonly number[]).length > 0,
  };
  const [ay, ax] = [axisOf(plan, x.shape, y.shape, 1), axisOf(plan, x.shape, y.shape, 2)];
  for (const a of [ay, ax]) tableLength(c, a.to);
  const mode = str(c.attrs, "mode");
  const coordinates = str(c.attrs, "coordinates");
  if (mode === "nearest") {
    const how = str(c.attrs, "nearest");
    lowerNearest(c, nearest(ay, coordinates, how), nearest(ax, coordinates, how));
  } else if (mode === "linear") lowerLinear(c, x, y, linear(ay, coordinates), linear(ax, coordinates));
  else {
    const taps = (a: Axis): Taps =>
      cubic(a, coordinates, c.attrs.cubicA as number, bool(c.attrs, "excludeOutside"));
    lowerCubic(c, x, y, taps(ay), taps(ax));
  }
}

function lowerNearest(c: LowerContext, rows: Int32Array, columns: Int32Array): void {
  const index = [at(0), fromTable(1), fromTable(2), at(3)];
  c.kernel(
    "resize",
    { mode: "nearest" },
    {
      loops: outShape(c),
      reduce: [],
      operands: [
        { value: c.input(0), index },
        { value: c.table(rows, [rows.length]), index: [at(1)] },
        { value: c.table(columns, [columns.length]), index: [at(2)] },
      ],
      result: moved(c, 0),
      out: { value: c.output(0), index: everyAxis(4) },
    },
  );
}

/** Stored element → float32; without requantisation to other parameters the integer itself is blended. */
function real(x: LowerTensor, y: LowerTensor, operand: number): e.Expr {
  const v = e.input(operand, scalarOf(x.dtype));
  return x.quant && y.quant && !sameQuant(x.quant, y.quant) ? dequantize(v, x.quant) : e.cast(v, "f32");
}

const ranges: Partial<Record<DType, readonly [number, number]>> = {
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
};

/** float32 → stored element: rounded half away from zero, as TFLite. */
function back(v: e.Expr, x: LowerTensor, y: LowerTensor): e.Expr {
  if (x.quant && y.quant && !sameQuant(x.quant, y.quant)) return requantize(v, y.quant, y.dtype);
  const t = scalarOf(y.dtype);
  if (t === "f32") return v;
  const [lo, hi] = ranges[y.dtype] ?? [-2147483648, 2147483647];
  return e.cast(e.trunc(e.add(e.clamp(v, lo, hi), e.select(e.lt(v, 0), -0.5, 0.5))), t);
}

function lowerLinear(c: LowerContext, x: LowerTensor, y: LowerTensor, ty: Taps, tx: Taps): void {
  const every = (data: TypedArray, offset: number): TypedArray =>
    data.filter((_: unknown, i: number) => i % 2 === offset) as TypedArray;
  const along = (data: TypedArray, offset: number, loop: number): Access => {
    const column = every(data, offset);
    return { value: c.table(column, [column.length]), index: [at(loop)] };
  };
  const read = (row: number, column: number): Access => ({
    value: c.input(0),
    index: [at(0), fromTable(row), fromTable(column), at(3)] as AxisIndex[],
  });
  // Operands 0–3: the corners; 4, 5: rows above and below; 6, 7: columns left and right; 8, 9: weights.
  const operands = [
    read(4, 6),
    read(4, 7),
    read(5, 6),
    read(5, 7),
    along(ty.index, 0, 1),
    along(ty.index, 1, 1),
    along(tx.index, 0, 2),
    along(tx.index, 1, 2),
    along(ty.weight, 1, 1),
    along(tx.weight, 1, 2),
  ];
  const fixed = (x.dtype === "int8" || x.dtype === "uint8") && sameQuant(x.quant, y.quant);
  if (fixed)
    for (const [i, t, loop] of [
      [8, ty, 1],
      [9, tx, 2],
    ] as const)
      operands[i] = along(
        Int32Array.from(t.weight, (w) => Math.round(w * 2048)),
        1,
        loop,
      );
  const result = fixed ? blendFixed() : back(blendCorners(x, y), x, y);
  c.kernel(
    "resize",
    { mode: "linear" },
    {
      loops: y.shape,
      reduce: [],
      operands,
      result,
      out: { value: c.output(0), index: everyAxis(4) },
    },
  );
}

function blendCorners(x: LowerTensor, y: LowerTensor): e.Expr {
  const [a, b, d, g] = [0, 1, 2, 3].map((i) => real(x, y, i)) as [e.Expr, e.Expr, e.Expr, e.Expr];
  const [wy, wx] = [e.input(8, "f32"), e.input(9, "f32")];
  const lerp = (p: e.Expr, q: e.Expr, w: e.Expr): e.Expr => e.add(p, e.mul(e.sub(q, p), w));
  return lerp(lerp(a, b, wx), lerp(d, g, wx), wy);
}

/** 8 bits with weights of 11 bits, as XNNPACK (TFLite's default kernels) blends them, to the bit. */
function blendFixed(): e.Expr {
  const [a, b, d, g, wy, wx] = [0, 1, 2, 3, 8, 9].map((i) => e.input(i, "i32")) as [
    e.Expr,
    e.Expr,
    e.Expr,
    e.Expr,
    e.Expr,
    e.Expr,
  ];
  const row = (p: e.Expr, q: e.Expr): e.Expr => e.add(e.shl(p, 11), e.mul(e.sub(q, p), wx));
  const top = row(a, b);
  const sum = e.add(e.shl(top, 11), e.mul(e.sub(row(d, g), top), wy));
  return e.shr(e.add(sum, 1 << 21), 22);
}

/** Rows after columns: two passes of four reads instead of sixteen reads, float32 in between. */
function lowerCubic(c: LowerContext, x: LowerTensor, y: LowerTensor, ty: Taps, tx: Taps): void {
  const [n, h, , d] = x.shape as [number, number, number, number];
  const between = c.temp("float32", [n, h, y.shape[2] as number, d]);
  const columns = cubicPass(c, c.input(0), between, 2, tx, (i) => real(x, y, i));
  c.kernel("resize", { mode: "cubic" }, columns);
  const rows = cubicPass(c, between, c.output(0), 1, ty, (i) => e.input(i, "f32"));
  c.kernel("resize", { mode: "cubic" }, { ...rows, result: back(rows.result, x, y) });
}

/** One axis: the sum of four reads of `from` (operands 0…3) at table indices (4…7) by weights (8…11). */
function cubicPass(
  c: LowerContext,
  from: ValueId,
  to: ValueId,
  axis: number,
  taps: Taps,
  load: (operand: number) => e.Expr,
): LoopNest {
  const loops = c.info(to).shape;
  const four = [0, 1, 2, 3];
  const table = (data: TypedArray, k: number): Access => {
    const column = data.filter((_: unknown, i: number) => i % 4 === k) as TypedArray;
    return { value: c.table(column, [column.length]), index: [at(axis)] };
  };
  const read = (k: number): Access => ({
    value: from,
    index: everyAxis(4).map((a, i) => (i === axis ? fromTable(4 + k) : a)),
  });
  const term = (k: number): e.Expr => e.mul(load(k), e.input(8 + k, "f32"));
  return {
    loops,
    reduce: [],
    operands: [
      ...four.map(read),
      ...four.map((k) => table(taps.index, k)),
      ...four.map((k) => table(taps.weight, k)),
    ],
    result: e.add(e.add(term(0), term(1)), e.add(term(2), term(3))),
    out: { value: to, index: everyAxis(4) },
  };
}

export const ops: OpDef[] = [
  {
    name: "Resize",
    inputs: ["x", "sizes?"],
    attrs: {
      scales: { type: "floats", default: [] },
      sizes: intsAttr,
      mode: { type: "string", default: "nearest" },
      coordinates: { type: "string", default: "half_pixel" },
      nearest: { type: "string", default: "round_prefer_floor" },
      cubicA: { type: "float", default: -0.75 },
      excludeOutside: boolAttr(false),
      keepScale: boolAttr(false),
      inverseScale: boolAttr(false),
    },
    infer,
    lower,
  },
];

/** Blends by weights in float64, one axis' taps at a time. */
function blend(
  c: Parameters<Reference>[0],
  taps: (axis: Axis) => Taps,
  [ay, ax]: readonly [Axis, Axis],
): number[] {
  const [x, y] = [refInput(c, 0), c.outputs[0]];
  const shape = refShape(c);
  const [ty, tx] = [taps(ay), taps(ax)];
  const [q, r] = [x.quant, y?.quant];
  const requantised = q && r && !sameQuant(q, r);
  const value = (i: number): number =>
    requantised ? ((x.data[i] as number) - (q.zeroPoint[0] ?? 0)) * (q.scale[0] ?? 1) : (x.data[i] as number);
  const [, h, w, d] = x.shape as [number, number, number, number];
  const all = Array.from({ length: count(shape) }, (_, i) => i);
  return all.map((i) => {
    const [k, column, row, n] = [
      i % d,
      Math.floor(i / d) % ax.to,
      Math.floor(i / d / ax.to) % ay.to,
      Math.floor(i / d / ax.to / ay.to),
    ];
    let sum = 0;
    for (let a = 0; a < ty.taps; a++)
      for (let b = 0; b < tx.taps; b++) {
        const [iy, ix] = [row * ty.taps + a, column * tx.taps + b];
        const p = ((n * h + (ty.index[iy] as number)) * w + (tx.index[ix] as number)) * d + k;
        const weight = (ty.weight[iy] as number) * (tx.weight[ix] as number);
        if (weight !== 0) sum += value(p) * weight;
      }
    if (requantised) sum = halfEven(sum / (r.scale[0] ?? 1)) + (r.zeroPoint[0] ?? 0);
    else if (y && y.dtype !== "float32" && y.dtype !== "float16")
      sum = Math.sign(sum) * Math.floor(Math.abs(sum) + 0.5);
    if (!y || y.dtype === "float32" || y.dtype === "float16") return sum;
    const [lo, hi] = integerRange(y.dtype);
    return Math.max(lo, Math.min(hi, sum));
  });
}

export const references: Record<string, Reference> = {
  Resize: (c) => {
    const x = refInput(c, 0);
    const shape = refShape(c);
    if (count(shape) === 0) return [[]];
    const plan = {
      attrs: c.attrs,
      given: c.inputs[1] !== undefined || (c.attrs.sizes as readonly number[]).length > 0,
    };
    const axes = [axisOf(plan, x.shape, shape, 1), axisOf(plan, x.shape, shape, 2)] as const;
    const coordinates = str(c.attrs, "coordinates");
    if (str(c.attrs, "mode") === "nearest") {
      const [rows, columns] = axes.map((a) => nearest(a, coordinates, str(c.attrs, "nearest")));
      const source = ([n, y, z, k]: readonly number[]): number[] =>
        [n, rows?.[y as number], columns?.[z as number], k] as number[];
      return [remap(refMoved(x, c.outputs[0]), x.shape, shape, source)];
    }
    const exclude = bool(c.attrs, "excludeOutside");
    const taps = (a: Axis): Taps =>
      str(c.attrs, "mode") === "linear"
        ? linear(a, coordinates)
        : cubic(a, coordinates, c.attrs.cubicA as number, exclude);
    return [blend(c, taps, axes)];
  },
};
