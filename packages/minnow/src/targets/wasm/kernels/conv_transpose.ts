// Transposed convolution in float32 as one ordinary convolution per phase: outputs whose (y + pad) mod
// stride is p meet only the kernel elements k ≡ p, so
//   out[y,x] = Σ in[qy − jy, qx − jx] · w[py + s·jy, px + s·jx],   q = ⌊(y + pad)/s⌋
// with no zeros multiplied and no output touched twice. Weights are packed phase by phase; each output
// row runs its stride-many column phases over the convolution tile (f32_transposed_…).
import type { Expr } from "../../../compiler/expr.js";
import type { LoopNest } from "../../../compiler/nest.js";
import { isContiguous, type Step } from "../../../compiler/program.js";
import { halfArrayToFloat, type TypedArray } from "../../../graph/dtype.js";
import type { FunctionBuilder, Local, ModuleBuilder } from "../assembler.js";
import type { Engine, Tile } from "../engine.js";
import type { ArgWord, Packed, PlannedKernel, TunedKernel } from "../kernel.js";
import type { Layout } from "./arguments.js";
import { epilogueNames, epilogueOf, epilogueWords } from "./epilogue.js";
import { depthOf, gemmLayout, panels } from "./gemm.js";
import { gemmTile, type TileSpec } from "./gemm_tile.js";
import { type Buffers, dataId, roundUp } from "./operands.js";
import { unrollOf } from "./tiles.js";

export const convTranspose: TunedKernel = { kernels: ["conv_transpose2d"], plan: planTranspose };

interface Shape {
  readonly channels: number;
  readonly outputs: number;
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
}

function planTranspose(step: Step, engine: Engine, program: Buffers): PlannedKernel | null {
  const nest = step.nest;
  const p = step.params as Record<string, number>;
  if (!nest || nest.loops.some((n) => n === 0) || p.group !== 1 || p.dilationY !== 1 || p.dilationX !== 1)
    return null;
  const x = step.values[nest.operands[0]?.value as number];
  const w = step.values[nest.operands[1]?.value as number];
  const data = w && program.buffers[w.buffer]?.data;
  const epilogue = epilogueOf(step, nest, program);
  if (!x || !w || !data || !epilogue || !isSum(nest) || x.dtype !== "float32" || !isContiguous(w))
    return null;
  if ((w.dtype !== "float32" && w.dtype !== "float16") || x.strides[3] !== 1) return null;
  const [n, oh, ow, outputs] = nest.loops as [number, number, number, number];
  const [, h, wide, channels] = x.shape as [number, number, number, number];
  const s: Shape = {
    channels,
    outputs,
    kernel: [p.kh as number, p.kw as number],
    stride: [p.strideY as number, p.strideX as number],
  };
  const tile: Tile = engine.f32.nr === 16 && outputs <= 8 ? { mr: engine.f32.mr, nr: 8 } : engine.f32;
  const layout = gemmLayout(epilogue);
  const { words, packed } = epilogueWords(epilogue, 1, outputs);
  const most = Math.max(1, Math.ceil(s.kernel[0] / s.stride[0]) * Math.ceil(s.kernel[1] / s.stride[1]));
  const argBytes = roundUp(4 * layout.names.length, 64);
  const [xImage, xRow, xPitch] = x.strides as [number, number, number];
  const name = `f32_transposed_${tile.mr}x${tile.nr}_${engine.fma ? "fma" : "muladd"}`;
  const depth = depthOf(channels, 1, unrollOf("f32", engine.fma));
  const spec = (c: number): TileSpec => ({
    kind: "f32",
    fma: engine.fma,
    mr: tile.mr,
    channels: c,
    ...depth,
    epilogue,
  });
  return {
    key: `${name}_${s.kernel}s${s.stride}_c${channels}>${outputs}_${epilogue.key}`,
    label: name,
    emit: (m) => emitTranspose(m, layout, s, tile, spec),
    extent: n * oh,
    grain: Math.max(1, Math.ceil(40000 / (ow * outputs))),
    args: layout.words({
      x: { kind: "view", value: nest.operands[0]?.value as number },
      weights: { kind: "packed", index: 0 },
      out: { kind: "view", value: nest.out.value, element: epilogue.outOffset },
      outPitch: epilogue.outPitch * epilogue.outBytes,
      scratch: { kind: "scratch" },
      zero: { kind: "zero" },
      steps: Math.floor(channels / depth.unroll),
      taps: 1,
      panelBytes: 32 * channels,
      panels: Math.floor(outputs / tile.nr),
      xPitch: 4 * xPitch,
      xRow: 4 * xRow,
      xImage: 4 * xImage,
      h,
      w: wide,
      oh,
      ow,
      padTop: p.padTop as number,
      padLeft: p.padLeft as number,
      // The words of the call's own copy stand behind the table.
      wide: roundUp(4 * (most + 1) * (Math.ceil(ow / s.stride[1]) + 2 * tile.mr), 64),
      ...Object.fromEntries(epilogueNames(epilogue).map((x, i) => [x, words[i] as ArgWord])),
    }),
    packed: [packPhases(data, w.dtype, w.offset, s), ...packed],
    scratchBytes: roundUp(4 * (most + 1) * (Math.ceil(ow / s.stride[1]) + 2 * tile.mr), 64) + argBytes,
    zeroBytes: 4 * channels + 64,
  };
}

/** Σ x·w, where a condition may leave taps out that do not exist. */
function isSum(nest: LoopNest): boolean {
  const product = (e: Expr): boolean =>
    e.k === "bin" &&
    e.op === "mul" &&
    e.t === "f32" &&
    e.a.k === "in" &&
    e.a.i === 0 &&
    e.b.k === "in" &&
    e.b.i === 1;
  const b = nest.body;
  if (nest.combine !== "sum" || !b) return false;
  return product(b) || (b.k === "select" && product(b.a) && b.b.k === "const" && b.b.v === 0);
}

/** Kernel elements of phase p along one axis; a phase without any has one that is all zeros. */
const phaseTaps = (k: number, stride: number, p: number): number => Math.max(0, Math.ceil((k - p) / stride));

/** Byte offset of each phase's weights, and its taps. */
function phases(s: Shape): { taps: number; at: number }[] {
  const panelCount = Math.ceil(s.outputs / 8);
  const list: { taps: number; at: number }[] = [];
  let at = 0;
  for (let py = 0; py < s.stride[0]; py++)
    for (let px = 0; px < s.stride[1]; px++) {
      const taps = Math.max(
        1,
        phaseTaps(s.kernel[0], s.stride[0], py) * phaseTaps(s.kernel[1], s.stride[1], px),
      );
      list.push({ taps, at });
      at += 32 * taps * s.channels * panelCount;
    }
  list.push({ taps: 0, at });
  return list;
}

/** [phase][panel][tap][channel][8] from [channel][kh][kw][output]. */
function packPhases(data: TypedArray, dtype: string, offset: number, s: Shape): Packed {
  const list = phases(s);
  const bytes = list[list.length - 1]?.at as number;
  const [kh, kw] = s.kernel;
  const [sy, sx] = s.stride;
  return {
    key: `phases:${dataId(data)}:${offset}:${s.channels}>${s.outputs}:${s.kernel}/${s.stride}`,
    bytes,
    fill(memory, address) {
      const source = dtype === "float16" ? halfArrayToFloat(data as Uint16Array) : (data as Float32Array);
      const out = new Float32Array(memory as ArrayBuffer, address, bytes / 4).fill(0);
      list.slice(0, -1).forEach(({ taps, at }, phase) => {
        const [py, px] = [Math.floor(phase / sx), phase % sx];
        const columns = phaseTaps(kw, sx, px);
        for (let ky = py; ky < kh; ky += sy)
          for (let kx = px; kx < kw; kx += sx) {
            const tap = ((ky - py) / sy) * columns + (kx - px) / sx;
            for (let c = 0; c < s.channels; c++) {
              const from = offset + ((c * kh + ky) * kw + kx) * s.outputs;
              for (let o = 0; o < s.outputs; o++)
                out[at / 4 + (((o >> 3) * taps + tap) * s.channels + c) * 8 + (o & 7)] = source[
                  from + o
                ] as number;
            }
          }
      });
    },
  };
}

function emitTranspose(
  m: ModuleBuilder,
  layout: Layout<string>,
  s: Shape,
  tile: Tile,
  spec: (c: number) => TileSpec,
): number {
  const tail = s.outputs % tile.nr;
  const whole = s.outputs >= tile.nr ? gemmTile(m, spec(tile.nr), layout) : -1;
  const last = tail ? gemmTile(m, spec(tail), layout) : -1;
  const list = phases(s);
  const [sy, sx] = s.stride;
  // One function a phase: its taps are unrolled.
  const fills = list
    .slice(0, -1)
    .map((_, phase) =>
      m.func(["i32", "i32", "i32"], ["i32"], (f) =>
        new PhaseRows(f, layout, s, tile.mr, Math.floor(phase / sx), phase % sx).emit(),
      ),
    );
  const row = (phase: number): number =>
    m.func(["i32", "i32", "i32"], [], (f) => {
      // (args, own copy of args, row)
      const [args, own] = [0, 1];
      const { taps, at } = list[phase] as { taps: number; at: number };
      const rows = f.local();
      f.get(args)
        .get(2)
        .get(own)
        .call(fills[phase] as number)
        .tee(rows)
        .op("i32.eqz")
        .if()
        .return()
        .end();
      f.get(own)
        .i32(taps)
        .store(layout.offset("taps"))
        .get(own)
        .i32(32 * taps * s.channels)
        .store(layout.offset("panelBytes"));
      const w = layout.local(f, args, "weights");
      f.get(w).i32(at).op("i32.add").set(w);
      const [slot, start] = f.someLocals(2, "i32") as [Local, Local];
      panels(f, { layout, tile, each: s.outputs }, { args: own, whole, last, rows, w, slot, start });
    });
  const rowFunctions = list.slice(0, -1).map((_, phase) => row(phase));
  return m.func(["i32", "i32", "i32"], [], (f) => {
    const [args, begin, end] = [0, 1, 2];
    const own = layout.local(f, args, "scratch");
    layout.push(f, args, "wide").get(own).op("i32.add").set(own);
    f.get(own)
      .get(args)
      .i32(4 * layout.names.length)
      .op("memory.copy");
    f.code.byte(0).byte(0);
    const py = f.local();
    f.block().get(begin).get(end).op("i32.ge_u").brIf(0).loop();
    f.get(begin);
    layout.push(f, args, "oh").op("i32.rem_u");
    layout.push(f, args, "padTop").op("i32.add").i32(sy).op("i32.rem_u").set(py);
    rowFunctions.forEach((fn, phase) => {
      f.get(py)
        .i32(Math.floor(phase / sx))
        .op("i32.eq")
        .if();
      f.get(args).get(own).get(begin).call(fn);
      f.end();
    });
    f.inc(begin, 1).get(begin).get(end).op("i32.lt_u").brIf(0).end().end();
  });
}

interface Edge {
  readonly pitch: Local;
  readonly zero: Local;
  readonly width: Local;
}

/** (args, row, own) → pixels: the row table of one output row's column phase. */
class PhaseRows {
  constructor(
    private readonly f: FunctionBuilder,
    private readonly layout: Layout<string>,
    private readonly s: Shape,
    private readonly mr: number,
    private readonly py: number,
    private readonly px: number,
  ) {}

  emit(): void {
    const { f, layout, s, mr, px } = this;
    const sx = s.stride[1];
    const [args, row] = [0, 1];
    const arg = (name: string): Local => layout.local(f, args, name);
    const [ow, padLeft, table] = [arg("ow"), arg("padLeft"), arg("scratch")];
    const edge: Edge = { pitch: arg("xPitch"), zero: arg("zero"), width: arg("w") };
    const [pixels, x, ix, left, lane, tiles] = f.someLocals(6, "i32") as [
      Local,
      Local,
      Local,
      Local,
      Local,
      Local,
    ];
    // First output column of the phase: (px − padLeft) mod sx.
    f.i32(px + sx)
      .get(padLeft)
      .i32(sx)
      .op("i32.rem_u", "i32.sub")
      .i32(sx)
      .op("i32.rem_u")
      .set(x);
    f.get(x).get(ow).op("i32.ge_u").if().i32(0).return().end();
    f.get(ow)
      .get(x)
      .op("i32.sub")
      .i32(sx - 1)
      .op("i32.add")
      .i32(sx)
      .op("i32.div_u")
      .set(pixels);
    f.get(x).get(padLeft).op("i32.add").i32(px).op("i32.sub").i32(sx).op("i32.div_s").set(ix);
    f.get(row).get(ow).op("i32.mul").get(x).op("i32.add").set(x); // now the pixel number
    const rows = this.#inputRows(row, arg);
    f.get(pixels)
      .set(left)
      .get(pixels)
      .i32(mr - 1)
      .op("i32.add")
      .i32(mr)
      .op("i32.div_u")
      .set(tiles);
    const columns = phaseTaps(s.kernel[1], sx, px);
    const taps = Math.max(1, rows.length * columns);
    f.repeat(tiles, () => {
      f.i32(mr).set(lane);
      f.repeat(lane, () => {
        if (rows.length * columns === 0) f.get(table).get(edge.zero).store();
        rows.forEach((r, jy) => {
          for (let jx = 0; jx < columns; jx++)
            this.#tap(table, 4 * mr * (jy * columns + jx), r, ix, jx, edge);
        });
        f.get(table)
          .get(x)
          .store(4 * mr * taps);
        f.inc(table, 4).get(left).i32(1).op("i32.gt_u").if();
        f.inc(left, -1).inc(ix, 1).inc(x, sx).end();
      });
      f.inc(table, 4 * mr * taps);
    });
    f.get(pixels);
  }

  /** Addresses of the input rows that the taps read; 0 = outside. */
  #inputRows(row: Local, arg: (name: string) => Local): Local[] {
    const { f, s } = this;
    const sy = s.stride[0];
    const [oh, padTop, h, image] = [arg("oh"), arg("padTop"), arg("h"), arg("x")];
    const [qy, y] = f.someLocals(2, "i32") as [Local, Local];
    f.get(row).get(oh).op("i32.rem_u").get(padTop).op("i32.add").i32(sy).op("i32.div_u").set(qy);
    const [xImage, xRow] = [arg("xImage"), arg("xRow")];
    f.get(row).get(oh).op("i32.div_u").get(xImage).op("i32.mul").get(image).op("i32.add").set(image);
    return Array.from({ length: phaseTaps(s.kernel[0], sy, this.py) }, (_, j) => {
      const r = f.local();
      f.get(qy).i32(j).op("i32.sub").set(y);
      f.get(y)
        .get(xRow)
        .op("i32.mul")
        .get(image)
        .op("i32.add")
        .i32(0)
        .get(y)
        .get(h)
        .op("i32.lt_u", "select")
        .set(r);
      return r;
    });
  }

  #tap(table: Local, offset: number, row: Local, ix: Local, jx: number, edge: Edge): void {
    const { f } = this;
    const column = f.local();
    f.get(ix).i32(jx).op("i32.sub").set(column);
    f.get(table).get(column).get(edge.pitch).op("i32.mul").get(row).op("i32.add").get(edge.zero);
    f.get(column)
      .get(edge.width)
      .op("i32.lt_u")
      .get(row)
      .i32(0)
      .op("i32.ne", "i32.and", "select")
      .store(offset);
    f.free("i32", column);
  }
}
