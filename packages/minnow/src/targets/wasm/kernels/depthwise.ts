// Depth-wise convolution and groups of few channels in float32: which arithmetic (depthwise_taps.ts) and which
// tile; the rest is in depthwise_plan.ts, 8 bits in depthwise_int8.ts. Weights lie as [C/4][tap][4] (or 8 and
// 8): [tap][C] would alias at 4 KB strides for C = 512 (17 against 32 GFLOPS).
//
// Versions: f32_dw_{kh}x{kw}s{s}_{rows}x{columns}_{fma|muladd}, f32_group{inner}x{each}_…; figures in tiles.ts.
import type { Step } from "../../../compiler/program.js";
import type { Engine } from "../engine.js";
import type { PlannedKernel, Planning, TunedKernel } from "../kernel.js";
import { convGeometry } from "./conv.js";
import { planWindow } from "./depthwise_plan.js";
import { floatTaps, hasTaps } from "./depthwise_taps.js";
import { epilogueOf } from "./epilogue.js";
import { isFloatProduct, weightMatrix } from "./products.js";
import { depthwiseTile, farTile, isFar, mostTaps } from "./tiles.js";

export const depthwise: TunedKernel = { kernels: ["conv2d"], plan: planDepthwise };

function planDepthwise(step: Step, engine: Engine, program: Planning): PlannedKernel | null {
  const g = convGeometry(step);
  const nest = step.nest;
  if (!g || !nest || g.group === 1 || !isFloatProduct(step, nest)) return null;
  const { window, kernel } = g;
  const [channels, inner] = [g.w.view.shape[0], g.w.view.shape[3]] as [number, number];
  const group = { inner, each: channels / g.group };
  if (kernel[0] * kernel[1] > mostTaps || !hasTaps(group)) return null;
  const weights = weightMatrix(program, g.w, channels, kernel[0] * kernel[1] * inner);
  const epilogue = epilogueOf(step, nest, program, { channelLoop: 3 });
  if (!weights || !epilogue) return null;
  const far = inner * group.each === 1 && !program.dynamic && isFar(window, 4 * channels);
  return planWindow(
    {
      geometry: g,
      nest,
      math: floatTaps(weights, kernel, group, engine, far),
      suffix: engine.fma ? "_fma" : "_muladd",
      epilogue,
      channels,
      tile: far ? farTile : depthwiseTile(window, engine, group.each === 8 && !engine.wide ? 2 : 1),
      work: weights.k,
    },
    engine,
    program,
  );
}
