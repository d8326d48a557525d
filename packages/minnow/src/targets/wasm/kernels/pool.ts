// Max and average pooling over a table of tap pointers (rows.ts, one pixel a tile): a block of channels
// stays in registers while the taps run. Outside the image the table points at a row of the neutral
// value, so there are no edge cases. Versions: f32_max, f32_avg (the epilogue divides), i8_max/u8_max
// (16 channels a vector; only where the result is stored as it is).
//
// NaN must win: pmax drops it, f32x4.max keeps it at eight instructions on x86; a mask of x ≠ x beside
// pmax takes three.
import type { Expr } from "../../../compiler/expr.js";
import type { Step } from "../../../compiler/program.js";
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Engine } from "../engine.js";
import type { ArgWord, Packed, PlannedKernel, TunedKernel } from "../kernel.js";
import { Layout } from "./arguments.js";
import { windowGeometry } from "./conv.js";
import { type Epilogue, EpilogueCode, epilogueNames, epilogueOf, epilogueWords } from "./epilogue.js";
import { chunks, type Scratch, scratchOf, windowArgs } from "./gemm.js";
import type { Buffers } from "./operands.js";
import { rowTable, windowWords } from "./rows.js";

export const pool: TunedKernel = { kernels: ["max_pool2d", "avg_pool2d"], plan: planPool };

const words = ["x", "out", "outPitch", "scratch", "zero", "taps", "chunk", ...windowWords] as const;

interface Spec {
  readonly max: boolean;
  readonly kind: "f32" | "s8" | "u8";
  readonly channels: number;
  readonly outPitch: number;
  /** Vectors of channels held at a time. */
  readonly vectors: number;
  readonly epilogue: Epilogue;
  readonly fma: boolean;
}

function planPool(step: Step, engine: Engine, program: Buffers): PlannedKernel | null {
  const nest = step.nest;
  const max = step.kernel === "max_pool2d";
  const g = windowGeometry(step, 1);
  if (!nest || !g || nest.body?.k !== "in" || nest.body.i !== 0) return null;
  const types = { float32: "f32", int8: "s8", uint8: "u8" } as const;
  const kind = types[g.x.dtype as keyof typeof types];
  const epilogue = epilogueOf(step, nest, program);
  if (
    !kind ||
    !epilogue ||
    (kind !== "f32" && (!max || !isBare(nest.result) || epilogue.outType !== g.x.dtype))
  )
    return null;
  if (nest.combine !== (max ? "max" : "sum")) return null;
  const spec: Spec = {
    max,
    kind,
    channels: g.channels,
    outPitch: epilogue.outPitch * epilogue.outBytes,
    vectors: Math.min(4, Math.ceil(g.channels / (kind === "f32" ? 4 : 16))),
    epilogue,
    fma: engine.fma,
  };
  const layout = new Layout<string>([...words, ...epilogueNames(epilogue)]);
  const { words: extra, packed } = epilogueWords(epilogue, 1, g.channels);
  const taps = g.kernel[0] * g.kernel[1];
  const pitchBytes = g.pitch * g.x.bytes;
  const rows = (nest.loops[0] as number) * g.window.oh * g.window.ow;
  const scratch: Scratch = scratchOf(
    { rows, taps, rowInput: pitchBytes, rowKind: "window", window: g.window, pitchBytes },
    { mr: 1, nr: 8 },
  );
  const name = `${kind}_${max ? "max" : "avg"}_pool`;
  return {
    key: `${name}_c${g.channels}_${engine.fma}_${spec.outPitch}_${epilogue.key}`,
    label: name,
    emit: (m) => emitPool(m, layout, spec),
    extent: rows,
    grain: Math.min(scratch.chunk, Math.max(16, Math.ceil(40000 / (taps * g.channels)))),
    args: layout.words({
      x: { kind: "view", value: g.x.value },
      out: { kind: "view", value: nest.out.value, element: epilogue.outOffset },
      outPitch: spec.outPitch,
      scratch: { kind: "scratch" },
      zero: { kind: "packed", index: 0 },
      taps,
      chunk: scratch.chunk,
      ...windowArgs({ pitchBytes, window: g.window }, scratch.patches),
      ...Object.fromEntries(epilogueNames(epilogue).map((n, i) => [n, extra[i] as ArgWord])),
    }),
    packed: [neutralRow(kind, max, g.channels), ...packed],
    scratchBytes: scratch.bytes,
  };
}

const isBare = (e: Expr): boolean => e.k === "in" && e.i < 0;

/** What the outside reads as: the least value, or zero. */
function neutralRow(kind: Spec["kind"], max: boolean, channels: number): Packed {
  const n = channels + 64;
  const value = !max ? 0 : kind === "f32" ? Number.NEGATIVE_INFINITY : kind === "s8" ? -128 : 0;
  return {
    key: `neutral:${kind}:${value}:${n}`,
    bytes: kind === "f32" ? 4 * n : n,
    fill(memory, at) {
      if (kind === "f32") new Float32Array(memory as ArrayBuffer, at, n).fill(value);
      else new Int8Array(memory as ArrayBuffer, at, n).fill(value);
    },
  };
}

function emitPool(m: ModuleBuilder, layout: Layout<string>, s: Spec): number {
  const fill = rowTable(m, "window", 1, layout, undefined, "pool");
  const body = m.func(["i32", "i32"], [], (f) => new PoolRows(f, layout, s).emit());
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const rows = f.local();
    chunks(f, layout, rows, () => {
      f.get(0).get(1).get(rows).i32(0).call(fill);
      f.get(0).get(rows).call(body);
    });
  });
}

/** (args, pixels): all pixels of the table. */
class PoolRows {
  readonly #acc: Local[];
  readonly #nan: Local[];
  private readonly x: Local;

  constructor(
    private readonly f: FunctionBuilder,
    private readonly layout: Layout<string>,
    private readonly s: Spec,
  ) {
    this.#acc = f.someLocals(s.vectors, "v128");
    this.#nan = s.max && s.kind === "f32" ? f.someLocals(s.vectors, "v128") : [];
    this.x = f.local("v128");
  }

  emit(): void {
    const { f, layout, s } = this;
    const arg = (name: string): FunctionBuilder => layout.push(f, 0, name);
    const zero = f.local();
    const table = layout.local(f, 0, "scratch");
    const taps = layout.local(f, 0, "taps");
    const pixel = f.local();
    const out = f.local();
    const at = f.local();
    const code = new EpilogueCode(f, s.epilogue, arg, s, s.vectors, zero, zero);
    const n = f.local();
    f.repeat(1, () => {
      f.get(table).get(taps).i32(2).op("i32.shl", "i32.add").load().set(pixel);
      arg("out").get(pixel).i32(s.outPitch).op("i32.mul", "i32.add").set(out);
      f.i32(0).set(at);
      code.rewind(zero);
      const lanes = s.kind === "f32" ? 4 : 16;
      const block = lanes * s.vectors;
      const step = (channels: number): void => {
        this.#block(code, table, taps, at, out, pixel, channels);
        f.inc(at, s.kind === "f32" ? 4 * block : block).inc(out, block * s.epilogue.outBytes);
        code.advance(block);
      };
      const whole = Math.floor(s.channels / block);
      if (whole) {
        f.i32(whole).set(n);
        f.repeat(n, () => step(block));
      }
      if (s.channels % block) step(s.channels % block);
      f.get(table).get(taps).i32(2).op("i32.shl", "i32.add").i32(4).op("i32.add").set(table);
    });
  }

  #block(
    code: EpilogueCode,
    table: Local,
    taps: Local,
    at: Local,
    out: Local,
    pixel: Local,
    channels: number,
  ): void {
    const { f, s } = this;
    const vectors = Math.ceil(channels / (s.kind === "f32" ? 4 : 16));
    const acc = this.#acc.slice(0, vectors);
    const p = f.local();
    const t = f.local();
    const k = f.local();
    for (const a of acc) this.#start(a);
    for (const x of this.#nan.slice(0, vectors)) f.i32x4(0).set(x);
    f.get(table).set(t).get(taps).set(k);
    f.repeat(k, () => {
      f.get(t).load().get(at).op("i32.add").set(p).inc(t, 4);
      acc.forEach((a, v) => {
        f.get(p)
          .vload(16 * v)
          .set(this.x);
        this.#fold(a, v);
      });
    });
    f.free("i32", p, t, k);
    acc.forEach((a, v) => {
      // A NaN has all ones where the mask is set: or-ing them into the result makes it one.
      if (this.#nan[v] !== undefined) f.get(a).get(this.#nan[v]).op("v128.or").set(a);
    });
    if (s.kind !== "f32") return this.#storeBytes(acc, out, channels);
    code.load();
    code.finish(acc, () => void f.get(pixel));
    code.storeAt(acc, channels, out, 0);
  }

  #start(a: Local): void {
    const { f, s } = this;
    if (!s.max || s.kind === "u8") f.i32x4(0).set(a);
    else if (s.kind === "s8") f.i32x4(0x80808080 | 0).set(a);
    else f.f32x4(Number.NEGATIVE_INFINITY).set(a);
  }

  #fold(a: Local, v: number): void {
    const { f, s, x } = this;
    const mask = this.#nan[v];
    if (s.kind !== "f32")
      f.get(a)
        .get(x)
        .op(s.kind === "s8" ? "i8x16.max_s" : "i8x16.max_u")
        .set(a);
    else if (mask === undefined) f.get(a).get(x).op("f32x4.add").set(a);
    else {
      f.get(a).get(x).op("f32x4.pmax").set(a);
      f.get(x).get(x).op("f32x4.ne").get(mask).op("v128.or").set(mask);
    }
  }

  #storeBytes(acc: readonly Local[], out: Local, channels: number): void {
    const { f } = this;
    acc.forEach((a, v) => {
      const left = channels - 16 * v;
      if (left >= 16)
        f.get(out)
          .get(a)
          .vstore(16 * v);
      else
        for (let lane = 0; lane < left; lane++)
          f.get(out)
            .get(a)
            .memLane("v128.store8_lane", lane, 16 * v + lane);
    });
  }
}
