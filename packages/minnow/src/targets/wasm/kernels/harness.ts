// For tests and benchmarks: runs one step's tuned kernel on memory of its own, and the same step by the
// nest interpreter. Not part of the library's doors.
import type { Expr } from "../../../compiler/expr.js";
import * as e from "../../../compiler/expr.js";
import { type Access, at, type AxisIndex, type LoopNest } from "../../../compiler/nest.js";
import { type Buffer, contiguousStrides, type Step, type View } from "../../../compiler/program.js";
import { byteSize, bytesOf, type DType, newArray, type TypedArray } from "../../../graph/dtype.js";
import { interpretNest } from "../../reference/nest_reference.js";
import { ModuleBuilder } from "../assembler.js";
import { moduleImports } from "../imports.js";
import { markAt } from "../driver.js";
import type { Engine } from "../engine.js";
import type { ArgWord, PlannedKernel, TunedKernel } from "../kernel.js";
import { fillPacked } from "../pack_harness.js";
import { stagingBytes } from "../packing.js";

/** A step with the contents of its buffers. */
export interface Case {
  readonly step: Step;
  readonly buffers: Buffer[];
  readonly data: TypedArray[];
  /** Plan as for a model whose sizes change. */
  readonly dynamic?: boolean;
}

/** Deterministic numbers in [−1, 1). */
export function noise(n: number, seed = 1): Float32Array {
  let s = seed * 2654435761;
  return Float32Array.from({ length: n }, () => {
    s = (Math.imul(s, 1664525) + 1013904223) | 0;
    return s / 2 ** 31;
  });
}

/** Collects values: each gets a buffer of its own. */
export class CaseBuilder {
  readonly buffers: Buffer[] = [];
  readonly data: TypedArray[] = [];
  readonly values: View[] = [];

  /** A value; `pitch` > last dimension makes it a part of wider pixels, `offset` elements from the start. */
  add(
    data: TypedArray,
    dtype: DType,
    shape: readonly number[],
    constant = false,
    pitch?: number,
    offset = 0,
  ): number {
    const last = shape[shape.length - 1] as number;
    const outer = contiguousStrides([...shape.slice(0, -1), pitch ?? last]);
    this.buffers.push({
      space: constant ? "constant" : "arena",
      bytes: data.byteLength,
      offset: 0,
      first: 0,
      last: 0,
      label: `b${this.buffers.length}`,
      ...(constant && { data }),
    });
    this.data.push(data);
    return this.values.push({ buffer: this.buffers.length - 1, dtype, shape, strides: outer, offset }) - 1;
  }
  /** The same place under another value. */
  alias(v: number): number {
    return this.values.push(this.values[v] as View) - 1;
  }
  finish(kernel: string, params: Step["params"], nest: LoopNest): Case {
    const step = { kernel, params, values: this.values, nest, op: kernel, node: "", fused: [], macs: 0 };
    return { step, buffers: this.buffers, data: this.data };
  }
}

/** What the step's output buffer holds after the nest interpreter ran, in float64 (`single`: float32) arithmetic. */
export function expected(c: Case, single = false): TypedArray {
  const data = c.data.map((d) => d.slice());
  const values = c.step.values.map((v) => ({ ...v, data: data[v.buffer] as TypedArray }));
  interpretNest(c.step.nest as LoopNest, values, single);
  return data[(c.step.values[(c.step.nest as LoopNest).out.value] as View).buffer] as TypedArray;
}

/** A planned kernel on its own memory. */
export class Bench {
  readonly memory: WebAssembly.Memory;
  readonly run: (begin: number, end: number) => void;
  private readonly at: number[] = [];

  constructor(
    private readonly c: Case,
    readonly planned: PlannedKernel,
    instance?: (emit: PlannedKernel["emit"]) => Uint8Array<ArrayBuffer>,
  ) {
    let top = 1024;
    const allocate = (bytes: number): number => {
      const at = Math.ceil(top / 64) * 64;
      top = at + bytes;
      return at;
    };
    const zeros = Math.max(4096, planned.zeroBytes ?? 0);
    const zero = allocate(zeros);
    for (const d of c.data) this.at.push(allocate(d.byteLength + 64));
    const packed = planned.packed.map((p) => allocate(p.bytes));
    const scratch = allocate(Math.max(64, planned.scratchBytes));
    const staging = allocate(stagingBytes(planned.packed.flatMap((p) => p.pack ?? [])));
    const guard = allocate(64);
    const args = allocate(planned.args.length * 4);
    this.memory = new WebAssembly.Memory({ initial: Math.ceil((top + 4096) / 65536) });
    const { buffer } = this.memory;
    c.data.forEach((d, i) => new Uint8Array(buffer).set(bytesOf(d), this.at[i]));
    planned.packed.forEach((p, i) => fillPacked(p, this.memory, packed[i] as number, staging));
    new Uint8Array(buffer).fill(0xa5, guard, guard + 64);
    const words = new Int32Array(buffer, args, planned.args.length);
    const floats = new Float32Array(buffer, args, planned.args.length);
    const address = (w: Exclude<ArgWord, { kind: "f32" }>): number => {
      switch (w.kind) {
        case "i32":
          return w.value;
        case "view": {
          const v = c.step.values[w.value] as View;
          return (this.at[v.buffer] as number) + byteSize(v.dtype, 1) * (v.offset + (w.element ?? 0));
        }
        case "packed":
          return (packed[w.index] as number) + (w.at ?? 0);
        case "scratch":
          return w.at ?? 0;
        case "zero":
          return zero;
        case "error":
          return 16;
      }
    };
    planned.args.forEach((w, i) => {
      if (w.kind === "f32") floats[i] = w.value;
      else words[i] = address(w);
    });
    const make = instance ?? moduleOf;
    const module = new WebAssembly.Module(make(planned.emit));
    const { k } = new WebAssembly.Instance(module, moduleImports(this.memory, scratch)).exports;
    this.run = (begin, end) => {
      if (begin === 0) new Int32Array(buffer, scratch + markAt, 1)[0] = 0;
      (k as (a: number, b: number, e: number) => void)(args, begin, end);
    };
    this.check = () => {
      if (!new Uint8Array(buffer, guard, 64).every((b) => b === 0xa5))
        throw new Error("wrote beyond the scratch");
      if (!new Uint8Array(buffer, zero, zeros).every((b) => b === 0)) throw new Error("wrote into the zeros");
    };
  }

  /** Throws when something outside the kernel's own memory was written. */
  readonly check: () => void;

  reset(): void {
    this.c.data.forEach((d, i) => new Uint8Array(this.memory.buffer).set(bytesOf(d), this.at[i]));
  }

  /** Contents of the output's buffer. */
  output(): TypedArray {
    const v = this.c.step.values[(this.c.step.nest as LoopNest).out.value] as View;
    const like = this.c.data[v.buffer] as TypedArray;
    const copy = newArray(v.dtype, like.length);
    bytesOf(copy).set(new Uint8Array(this.memory.buffer, this.at[v.buffer], like.byteLength));
    return copy;
  }
}

export function moduleOf(emit: PlannedKernel["emit"]): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder();
  m.exports.set("k", emit(m));
  return m.build();
}

/** The kernel's result, run whole and run in pieces; throws when the two differ in any bit. */
export function actual(c: Case, kernel: TunedKernel, engine: Engine): TypedArray | null {
  const planned = kernel.plan(c.step, engine, c);
  if (!planned) return null;
  const bench = new Bench(c, planned);
  bench.run(0, planned.extent);
  const whole = bench.output();
  bench.check();
  for (const cuts of [
    [1],
    [planned.grain],
    [Math.floor(planned.extent / 3), Math.floor(planned.extent / 2)],
  ]) {
    bench.reset();
    let from = 0;
    for (const to of [...cuts.filter((x) => x > 0 && x < planned.extent), planned.extent]) {
      if (to > from) bench.run(from, to);
      from = to;
    }
    bench.check();
    const pieces = bytesOf(bench.output());
    if (!bytesOf(whole).every((b, i) => b === pieces[i]))
      throw new Error(`pieces differ from the whole: ${cuts}`);
  }
  return whole;
}

/** Largest |a − b| / (1 + |b|). */
export function worst(a: TypedArray, b: TypedArray): number {
  let w = 0;
  for (let i = 0; i < b.length; i++) {
    const [x, y] = [Number(a[i]), Number(b[i])];
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.POSITIVE_INFINITY;
    if (x !== y && !Number.isNaN(x)) w = Math.max(w, Math.abs(x - y) / (1 + Math.abs(y)));
  }
  return w;
}

export interface ConvOptions {
  n?: number;
  h: number;
  w: number;
  c: number;
  o: number;
  kernel?: readonly [number, number];
  stride?: readonly [number, number];
  dilation?: readonly [number, number];
  /** top, left, bottom, right */
  pads?: readonly [number, number, number, number];
  group?: number;
  xPitch?: number;
  outPitch?: number;
  bias?: boolean;
  relu6?: boolean;
  /** Multiplies by a computed value per channel. */
  gate?: boolean;
  /** "in-place": the residual is the output's own storage. */
  residual?: "none" | "other" | "in-place";
  half?: boolean;
  /** More epilogue. */
  result?: (acc: Expr) => Expr;
}

/** A float32 conv2d step as ops/conv.ts lowers it, with its fused epilogue. */
export function convCase(o: ConvOptions): Case {
  const [kh, kw] = o.kernel ?? [1, 1];
  const [sy, sx] = o.stride ?? [1, 1];
  const [dy, dx] = o.dilation ?? [1, 1];
  const [top, left, bottom, right] = o.pads ?? [0, 0, 0, 0];
  const n = o.n ?? 1;
  const group = o.group ?? 1;
  const inner = o.c / group;
  const oh = Math.floor((o.h + top + bottom - ((kh - 1) * dy + 1)) / sy) + 1;
  const ow = Math.floor((o.w + left + right - ((kw - 1) * dx + 1)) / sx) + 1;
  const b = new CaseBuilder();
  const xPitch = o.xPitch ?? o.c;
  const outPitch = o.outPitch ?? o.o;
  const x = b.add(
    noise(n * o.h * o.w * xPitch + 64, 2),
    "float32",
    [n, o.h, o.w, o.c],
    false,
    xPitch,
    xPitch - o.c,
  );
  const count = o.o * kh * kw * inner;
  const w = o.half
    ? b.add(
        Uint16Array.from(noise(count, 3), (v) => 0x3000 + Math.floor((v + 1) * 2000)),
        "float16",
        [o.o, kh, kw, inner],
        true,
      )
    : b.add(noise(count, 3), "float32", [o.o, kh, kw, inner], true);
  const out = b.add(
    noise(n * oh * ow * outPitch, 4),
    "float32",
    [n, oh, ow, o.o],
    false,
    outPitch,
    outPitch - o.o,
  );
  const depthwise = group > 1 && inner === 1 && o.o === group;
  const grouped = group > 1 && !depthwise;
  const loops = grouped ? [n, oh, ow, group, o.o / group] : [n, oh, ow, o.o];
  const ky = loops.length;
  const each = o.o / group;
  const terms = (t: [number, number][], offset = 0, guard = false): AxisIndex => ({
    offset,
    terms: t.filter(([, c]) => c !== 0),
    ...(guard && { guard }),
  });
  const channel = grouped
    ? terms([
        [3, each],
        [4, 1],
      ])
    : at(3);
  const xChannel = grouped
    ? terms(
        inner === 1
          ? [[3, 1]]
          : [
              [3, inner],
              [7, 1],
            ],
      )
    : at(depthwise ? 3 : 6);
  const wInner = depthwise || (grouped && inner === 1) ? terms([]) : at(grouped ? 7 : 6);
  const operands: Access[] = [
    {
      value: x,
      index: [
        at(0),
        terms(
          [
            [1, sy],
            [ky, dy],
          ],
          -top,
          true,
        ),
        terms(
          [
            [2, sx],
            [ky + 1, dx],
          ],
          -left,
          true,
        ),
        xChannel,
      ],
    },
    { value: w, index: [channel, at(ky), at(ky + 1), wInner] },
  ];
  const walk = [at(0), at(1), at(2), channel];
  let result: Expr = e.accumulator("f32");
  const operand = (value: number, index: AxisIndex[]): Expr =>
    e.input(operands.push({ value, index }) - 1, "f32");
  if (o.bias !== false)
    result = e.add(result, operand(b.add(noise(o.o, 5), "float32", [o.o], true), [channel]));
  if (o.residual === "other")
    result = e.add(
      result,
      operand(b.add(noise(n * oh * ow * o.o + 64, 6), "float32", [n, oh, ow, o.o]), walk),
    );
  if (o.residual === "in-place") result = e.add(result, operand(b.alias(out), walk));
  if (o.gate)
    result = e.mul(
      result,
      operand(b.add(noise(o.o + 64, 9), "float32", [1, 1, 1, o.o]), [
        { offset: 0, terms: [] },
        { offset: 0, terms: [] },
        { offset: 0, terms: [] },
        channel,
      ]),
    );
  if (o.relu6) result = e.clamp(result, 0, 6);
  if (o.result) result = o.result(result);
  const params = {
    kh,
    kw,
    strideY: sy,
    strideX: sx,
    dilationY: dy,
    dilationX: dx,
    padTop: top,
    padLeft: left,
    group,
  };
  return b.finish("conv2d", params, {
    loops,
    reduce: inner === 1 && group > 1 ? [kh, kw] : [kh, kw, inner],
    operands,
    body: e.mul(e.input(0, "f32"), e.input(1, "f32")),
    combine: "sum",
    result,
    out: { value: out, index: walk },
  });
}

export interface QuantOptions extends ConvOptions {
  dtype?: "int8" | "uint8";
  /** Default: dtype, as of x and the result. */
  weightType?: "int8" | "uint8";
  zx?: number;
  zw?: number;
  perChannel?: boolean;
  /** Weight zero points differ by channel. */
  zeroTable?: boolean;
  /** "uniform" (default), "trained": normal, few near the ends of the range, "scaled": up to them, or "small": far from them. */
  weights?: "uniform" | "trained" | "scaled" | "small";
  /** Output steps per unit of the sum; default: results fill the range without leaving it often. */
  unit?: number;
  /** The result's zero point. */
  zeroOut?: number;
  /** Bounds of the stored result; default: the type's. */
  bounds?: readonly [number, number];
}

const bytes = (n: number, seed: number, dtype: "int8" | "uint8"): Int8Array | Uint8Array =>
  dtype === "int8"
    ? Int8Array.from(noise(n, seed), (v) => Math.floor(v * 128))
    : Uint8Array.from(noise(n, seed), (v) => Math.floor(v * 128) + 128);

function normal(n: number, dtype: "int8" | "uint8", scale: number): Int8Array | Uint8Array {
  const [a, b, c] = [noise(n, 10), noise(n, 11), noise(n, 12)];
  const w = Int8Array.from(a, (v, i) =>
    Math.max(-128, Math.min(127, Math.round((v + (b[i] as number) + (c[i] as number)) * scale))),
  );
  return dtype === "int8" ? w : Uint8Array.from(w, (v) => v + 128);
}

/** The float case's step with 8-bit tensors and ops/requantize.ts's body and result. */
export function quantCase(o: QuantOptions): Case {
  const dtype = o.dtype ?? "int8";
  const float = convCase({ ...o, bias: false, residual: "none", relu6: false });
  const f = float.step.nest as LoopNest;
  const b = new CaseBuilder();
  const pitchOf = (i: number): number | undefined => (i === 0 ? o.xPitch : i === 2 ? o.outPitch : undefined);
  float.step.values.forEach((v, i) => {
    const n = (float.data[v.buffer] as TypedArray).length;
    const type = (i === 1 && o.weightType) || dtype;
    const scale = i === 1 && { uniform: 0, small: 12, trained: 32, scaled: 48 }[o.weights ?? "uniform"];
    const data = scale ? normal(n, type, scale) : bytes(n, 7 + i, type);
    b.add(data, type, v.shape, i === 1, pitchOf(i), v.offset);
  });
  const [zx, zw] = [o.zx ?? 3, o.zw ?? 0];
  const operands = [...f.operands] as Access[];
  operands[0] = { ...(operands[0] as Access), fill: zx };
  const channel = (operands[1] as Access).index[0] as AxisIndex;
  const table = (data: TypedArray, t: DType): Expr => {
    operands.push({ value: b.add(data, t, [o.o], true), index: [channel] });
    return e.input(operands.length - 1, t === "int32" ? "i32" : "f32");
  };
  const bias = table(
    Int32Array.from(noise(o.o, 5), (v) => Math.round(v * 2000)),
    "int32",
  );
  const inner = o.c / (o.group ?? 1);
  const depth = (o.kernel ?? [1, 1]).reduce((x, y) => x * y, 1) * inner;
  const unit = o.unit ?? 1 / (40 * Math.sqrt(depth));
  const scale = o.perChannel
    ? table(
        noise(o.o, 6).map((v) => unit * (1.2 + v)),
        "float32",
      )
    : e.num(Math.fround(unit));
  const wZero = o.zeroTable
    ? table(
        Int32Array.from(noise(o.o, 8), (v) => Math.round(v * 9)),
        "int32",
      )
    : e.num(zw, "i32");
  const minus = (x: Expr, z: Expr): Expr => (z.k === "const" && z.v === 0 ? x : e.sub(x, z));
  const [lo, hi] = o.bounds ?? (dtype === "int8" ? [-128, 127] : [0, 255]);
  const zo = o.zeroOut ?? (dtype === "int8" ? -4 : 120);
  const real = e.mul(e.cast(e.add(e.accumulator("i32"), bias), "f32"), scale);
  return b.finish("conv2d", float.step.params, {
    ...f,
    operands,
    body: e.mul(minus(e.input(0, "i32"), e.num(zx, "i32")), minus(e.input(1, "i32"), wZero)),
    result: e.add(e.cast(e.nearest(e.clamp(real, lo - zo, hi - zo)), "i32"), zo),
  });
}

/** max|error| / rms. */
export function relative(got: TypedArray, want: TypedArray): number {
  let [worst, square] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    worst = Math.max(worst, Math.abs(Number(got[i]) - Number(want[i])));
    square += Number(want[i]) ** 2;
  }
  return worst / Math.sqrt(square / want.length);
}
