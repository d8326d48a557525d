// Depth-wise convolution, float32 and int8, and float32 groups of few channels. One call of a tile function computes rows ×
// columns of outputs for all channels (depthwise_tile.ts), depthwise_rows.ts walks the image,
// depthwise_taps.ts and depthwise_int8.ts do the arithmetic. Weights lie as [C/4][tap][4] (or 8 and 8):
// [tap][C] would alias at 4 KB strides for C = 512 (17 against 32 GFLOPS).
//
// Versions: f32_dw_{kh}x{kw}s{s}_{rows}x{columns}_{fma|muladd}, s8_dw_…, u8_dw_…; figures in tiles.ts.
import type { Step } from "../../../compiler/program.js";
import type { Engine } from "../engine.js";
import type { ArgWord, Packed, PlannedKernel, Planning, TunedKernel } from "../kernel.js";
import { Layout } from "./arguments.js";
import { convGeometry } from "./conv.js";
import { epilogueNames, epilogueOf, epilogueWords } from "./epilogue.js";
import { int8Taps } from "./depthwise_int8.js";
import { emitDepthwise, runNames, tilingKey, tilingOf } from "./depthwise_rows.js";
import { floatTaps, hasTaps } from "./depthwise_taps.js";
import { type DepthSpec, spanOf } from "./depthwise_tile.js";
import { integerProduct, isFloatProduct, weightMatrix } from "./products.js";
import { depthwiseGrain, depthwiseTile } from "./tiles.js";

export const depthwise: TunedKernel = { kernels: ["conv2d"], plan: planDepthwise };

const words = [
  "x",
  "weights",
  "out",
  "outPitch", // bytes between output pixels, and between rows of them
  "outRow",
  "outside", // what input outside the image reads
  "zeroPoint",
  "xPitch", // bytes
  "xRow",
  "xImage",
  "h",
  "w",
  "oh",
  "ow",
  "padTop",
  "groups", // of output rows, in an image
  "blocks", // whole ones of channels
] as const;

function planDepthwise(step: Step, engine: Engine, program: Planning): PlannedKernel | null {
  const g = convGeometry(step);
  const nest = step.nest;
  if (!g || !nest || g.group === 1) return null;
  const { window, kernel } = g;
  const [channels, inner] = [g.w.view.shape[0], g.w.view.shape[3]] as [number, number];
  const group = { inner, each: channels / g.group };
  const depthwise = inner * group.each === 1;
  if (kernel[0] * kernel[1] > 81 || !hasTaps(group)) return null;
  const weights = weightMatrix(program, g.w, channels, kernel[0] * kernel[1] * inner);
  const product = isFloatProduct(step, nest) ? null : integerProduct(step, nest, program, channels);
  if (!weights || (product ? !depthwise : !isFloatProduct(step, nest))) return null;
  const epilogue = epilogueOf(step, nest, program, { hoist: !!product, channelLoop: 3 });
  if (!epilogue) return null;
  const math = product
    ? int8Taps(weights, kernel, g.x.dtype === "int8", product)
    : floatTaps(weights, kernel, group, engine);
  const block = 4 * math.vectors;
  const tile = depthwiseTile(window, engine, product || (group.each === 8 && !engine.wide) ? 2 : 1);
  const spec: DepthSpec = {
    kernel,
    stride: window.stride,
    dilation: window.dilation,
    padLeft: window.pad[1],
    whole: channels >= block,
    rest: channels % block,
    math,
    epilogue,
    fma: engine.fma,
  };
  const tiling = tilingOf(spec, tile, window, !program.dynamic);
  // Columns under a tile are unrolled.
  if (spanOf(spec, tile.columns) > 64 || tiling.runs.length > 8) return null;
  const arithmetic = product ? "" : engine.fma ? "_fma" : "_muladd";
  const dilated = window.dilation.some((d) => d !== 1) ? `d${window.dilation.join("x")}` : "";
  const name = `${math.name}_${kernel.join("x")}s${window.stride.join("x")}${dilated}_${tile.rows}x${tile.columns}${arithmetic}`;
  const code = `${name}_v${math.vectors}${spec.whole ? "" : "-"}+${spec.rest}_${engine.fma}_${epilogue.key}`;
  const layout = new Layout<string>([...words, ...epilogueNames(epilogue), ...runNames(tiling)]);
  const { words: extra, packed } = epilogueWords(epilogue, 1, channels);
  // 0 where there is one pixel: any pitch will do
  const outPitch = (epilogue.outPitch || channels) * epilogue.outBytes;
  const xPitch = (g.pitch || g.channels) * g.x.bytes;
  const outside = window.w * xPitch + 64;
  const groups = Math.ceil(window.oh / tile.rows);
  return {
    key: `${code}_p${spec.padLeft}_${tilingKey(tiling)}`,
    label: name,
    emit: (m) => emitDepthwise(m, layout, spec, tiling, code),
    extent: (nest.loops[0] as number) * groups,
    grain: depthwiseGrain(tile.rows * window.ow * channels * weights.k),
    args: layout.words({
      x: { kind: "view", value: g.x.value },
      weights: { kind: "packed", index: 0 },
      out: { kind: "view", value: nest.out.value, element: epilogue.outOffset },
      outPitch,
      outRow: window.ow * outPitch,
      // Rows and columns outside the image: zeros, or a row of zero points.
      outside: math.outside === 0 ? { kind: "zero" } : { kind: "packed", index: packed.length + 1 },
      zeroPoint: math.outside,
      xPitch,
      xRow: window.rowBytes,
      xImage: window.imageBytes,
      h: window.h,
      w: window.w,
      oh: window.oh,
      ow: window.ow,
      padTop: window.pad[0],
      groups,
      blocks: Math.floor(channels / block),
      ...Object.fromEntries(
        tiling.runs.flatMap((r, i) => [
          [`tiles${i}`, r.tiles],
          [`at${i}`, r.at],
        ]),
      ),
      ...Object.fromEntries(epilogueNames(epilogue).map((n, i) => [n, extra[i] as ArgWord])),
    }),
    packed: [math.packed, ...packed, ...(math.outside === 0 ? [] : [filled(math.outside, outside)])],
    scratchBytes: 0,
    zeroBytes: outside,
  };
}

/** `n` bytes of one value. */
const filled = (value: number, n: number): Packed => ({
  key: `filled:${value & 255}:${n}`,
  bytes: n,
  fill: (memory, at) => void new Uint8Array(memory as ArrayBuffer, at, n).fill(value),
});
