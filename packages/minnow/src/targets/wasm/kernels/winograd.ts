// Convolution by Winograd's minimal filtering, float32, stride 1: fewer multiplications for transforms of
// input, filters and output. The parallel extent is blocks of tiles × slices of output channels; for each
//   V[point][tile][C]   the block's input, transformed (winograd_pass.ts)
//   M[point][tile][64]  V times the filters' panels of the slice, by the tile of gemm_tile.ts
//   out                 M transformed back, with the epilogue in registers
// V and M are in this thread's scratch and stay in the second-level cache. Code depends on the form, the
// tile and the epilogue; channels, pitches and sizes are arguments.
import type { Step } from "../../../compiler/program.js";
import type { Engine } from "../engine.js";
import { isReleased } from "../../../graph/released.js";
import type { ArgWord, Packed, PlannedKernel, Planning, TunedKernel } from "../kernel.js";
import { Layout } from "./arguments.js";
import { type ConvGeometry, convGeometry } from "./conv.js";
import { type Epilogue, epilogueNames, epilogueOf, epilogueWords } from "./epilogue.js";
import { streamsOf } from "./gemm_ahead.js";
import { depthKey, depthOf } from "./gemm.js";
import { roundUp } from "./operands.js";
import { isFloatProduct, weightMatrix } from "./products.js";
import { unrollOf } from "./tiles.js";
import { emitWinograd, scratchOf, winogradWords } from "./winograd_blocks.js";
import { chooseCut, type Cut, type Form, formsOf, pointsOf } from "./winograd_cost.js";
import { linear } from "./winograd_linear.js";
import { packWinograd } from "./winograd_pack.js";

/** @param forms the forms to choose from; default: those for the kernel's size */
export function planWinograd(
  step: Step,
  engine: Engine,
  program: Planning,
  forms: (kernel: readonly [number, number]) => readonly Form[] = formsOf,
  always = false,
): PlannedKernel | null {
  if (engine.small) return null;
  const g = convGeometry(step);
  const nest = step.nest;
  if (!g || !nest || g.group !== 1 || g.channels < 4 || !isFloatProduct(step, nest)) return null;
  const { window, kernel, channels } = g;
  if ([...window.stride, ...window.dilation].some((s) => s !== 1)) return null;
  const [images, , , o] = nest.loops as [number, number, number, number];
  const size = { images, oh: window.oh, ow: window.ow, c: channels, o, dynamic: !!program.dynamic };
  const weights = weightMatrix(program, g.w, o, kernel[0] * kernel[1] * channels);
  if (!weights) return null;
  const pack = (f: Form): Packed => packWinograd(weights, f, pointsOf(f));
  // Weights given back are used in the form that they were packed in.
  const lost = isReleased(weights.data);
  const there = lost ? forms(kernel).filter((f) => program.has?.(pack(f).key)) : forms(kernel);
  const cut = chooseCut(there, kernel, size, engine, always || lost);
  const epilogue = cut && epilogueOf(step, nest, program);
  if (!epilogue) return null;
  const packed = pack(cut.form);
  return planned(step, engine, { g, cut, epilogue, packed, size, outValue: nest.out.value });
}

export const winograd: TunedKernel = {
  kernels: ["conv2d"],
  plan: (step, engine, program) => planWinograd(step, engine, program),
};

interface Plan {
  readonly g: ConvGeometry;
  readonly cut: Cut;
  readonly epilogue: Epilogue;
  readonly packed: Packed;
  readonly size: { readonly c: number; readonly o: number };
  readonly outValue: number;
}

function planned(step: Step, engine: Engine, p: Plan): PlannedKernel {
  const { g, cut, epilogue, size } = p;
  const { window } = g;
  const { form, tile, lanes } = cut;
  const ahead = cut.ahead ? streamsOf(4 * size.c * tile.nr) : undefined;
  const layout = new Layout<string>([...winogradWords, ...epilogueNames(epilogue)]);
  const depth = depthOf(size.c, 1, unrollOf(engine.fma));
  const bt = linear(form.toom.bt);
  const at = linear(form.toom.at);
  const name = `f32_winograd_${form.name}_${tile.mr}x${tile.nr}_${engine.fma ? "fma" : "muladd"}`;
  const tail = size.o % tile.nr;
  const { words, packed } = epilogueWords(epilogue, 2, size.o);
  const scratch = scratchOf(cut, size.c);
  const xPitch = g.pitch * g.x.bytes;
  return {
    key: `${name}_${lanes}_${depthKey(depth)}_${size.o < tile.nr ? 0 : 1}+${tail}${ahead ? `_${ahead}` : ""}_${epilogue.key}`,
    label: `${name}${step.fused.length ? `_${step.fused.join("_").toLowerCase()}` : ""}`,
    emit: (m) =>
      emitWinograd(m, {
        layout,
        form,
        bt,
        at,
        tile,
        lanes,
        fma: engine.fma,
        channels: size.o,
        depth,
        ahead,
        epilogue,
      }),
    extent: cut.blocks * cut.slices,
    grain: cut.slices,
    unit: 1,
    args: layout.words({
      x: { kind: "view", value: g.x.value },
      weights: { kind: "packed", index: 0 },
      constants: { kind: "packed", index: 1 },
      out: { kind: "view", value: p.outValue, element: epilogue.outOffset },
      outPitch: epilogue.outPitch * epilogue.outBytes,
      scratch: { kind: "scratch" },
      zero: { kind: "zero" },
      xPitch,
      xRow: window.rowBytes,
      xImage: window.imageBytes,
      h: window.h,
      w: window.w,
      oh: window.oh,
      ow: window.ow,
      padTop: window.pad[0],
      padLeft: window.pad[1],
      tilesX: cut.tilesX,
      tilesY: cut.tilesY,
      tiles: cut.tiles,
      block: cut.block,
      slices: cut.slices,
      slicePanels: cut.slicePanels,
      panels: Math.ceil(size.o / tile.nr),
      channels: size.o,
      steps: Math.floor(size.c / depth.unroll),
      panelBytes: 32 * size.c,
      ...scratch.args,
      ...Object.fromEntries(epilogueNames(epilogue).map((n, i) => [n, words[i] as ArgWord])),
    }),
    packed: [p.packed, constants(form.name, [...bt.constants, ...at.constants]), ...packed],
    scratchBytes: scratch.bytes,
    // Rows outside the image are read like others, column by column.
    zeroBytes: form.toom.n * xPitch + roundUp(4 * size.c, 32) + 64,
  };
}

const constants = (name: string, numbers: readonly number[]): Packed => ({
  key: `winograd-constants:${name}`,
  bytes: 4 * numbers.length,
  fill: (memory, at) => new Float32Array(memory as ArrayBuffer, at, numbers.length).set(numbers),
});
