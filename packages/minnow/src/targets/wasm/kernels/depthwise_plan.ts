// What depth-wise convolution and pooling share: a window that slides over an image, channel by channel.
// One call of a tile function computes rows × columns of outputs for all channels (depthwise_tile.ts),
// depthwise_rows.ts walks the image, a TapMath does the arithmetic.
import type { LoopNest } from "../../../compiler/nest.js";
import type { Engine } from "../engine.js";
import type { ArgWord, Packed, PlannedKernel, Planning } from "../kernel.js";
import { imageWords, Layout } from "./arguments.js";
import type { ConvGeometry } from "./conv.js";
import { emitDepthwise, runNames, tilingKey, tilingOf } from "./depthwise_rows.js";
import type { TapMath } from "./depthwise_taps.js";
import { type DepthSpec, spanOf, type TileSize } from "./depthwise_tile.js";
import { type Epilogue, epilogueNames, epilogueWords } from "./epilogue.js";
import { depthwiseGrain } from "./tiles.js";

const words = [
  "x",
  "weights",
  "out",
  "outPitch", // bytes between output pixels, and between rows of them
  "outRow",
  "outside", // what input outside the image reads
  "zeroPoint",
  ...imageWords,
  "padTop",
  "groups", // of output rows, in an image
  "blocks", // whole ones of channels
] as const;

export interface WindowPlan {
  readonly geometry: Omit<ConvGeometry, "w">;
  readonly nest: LoopNest;
  readonly math: TapMath;
  /** End of the kernel's name. */
  readonly suffix: string;
  readonly epilogue: Epilogue;
  /** Of the output. */
  readonly channels: number;
  readonly tile: Pick<TileSize, "rows" | "columns">;
  /** Multiplications, or the like, of an output. */
  readonly work: number;
}

/** @returns null where too much would be unrolled */
export function planWindow(p: WindowPlan, engine: Engine, program: Planning): PlannedKernel | null {
  const { geometry: g, nest, math, epilogue, channels, tile } = p;
  const { window, kernel } = g;
  const block = math.lanes * math.vectors;
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
  if (spanOf(spec, tile.columns) > 64) return null;
  const dilated = window.dilation.some((d) => d !== 1) ? `d${window.dilation.join("x")}` : "";
  const name = `${math.name}_${kernel.join("x")}s${window.stride.join("x")}${dilated}_${tile.rows}x${tile.columns}${p.suffix}`;
  const code = `${name}_v${math.vectors}${spec.whole ? "" : "-"}+${spec.rest}_${engine.fma}_${epilogue.key}`;
  const layout = new Layout<string>([...words, ...epilogueNames(epilogue), ...runNames(tiling)]);
  const first = math.packed ? 1 : 0;
  const { words: extra, packed } = epilogueWords(epilogue, first, channels);
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
    grain: depthwiseGrain(tile.rows * window.ow * channels * p.work),
    unit: 1,
    args: layout.words({
      x: { kind: "view", value: g.x.value },
      weights: math.packed ? { kind: "packed", index: 0 } : 0,
      out: { kind: "view", value: nest.out.value, element: epilogue.outOffset },
      outPitch,
      outRow: window.ow * outPitch,
      // Rows and columns outside the image: zeros, or a row of another value.
      outside: math.outside === 0 ? { kind: "zero" } : { kind: "packed", index: packed.length + first },
      zeroPoint: Number.isFinite(math.outside) ? math.outside : 0, // bytes have one; −∞ is no word
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
    packed: [
      ...(math.packed ? [math.packed] : []),
      ...packed,
      ...(math.outside === 0 ? [] : [filled(math.outside, outside, g.x.bytes)]),
    ],
    scratchBytes: 0,
    zeroBytes: outside,
  };
}

/** `n` bytes of one value: a float32, or a byte. */
export const filled = (value: number, n: number, size: number): Packed => ({
  key: `filled:${size === 1 ? value & 255 : value}:${n}`,
  bytes: n,
  fill: (memory, at) =>
    void (
      size === 1
        ? new Uint8Array(memory as ArrayBuffer, at, n)
        : new Float32Array(memory as ArrayBuffer, at, n / 4)
    ).fill(value),
});
