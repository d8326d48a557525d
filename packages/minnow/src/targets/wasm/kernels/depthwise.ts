// Depth-wise convolution, float32 and int8, and float32 groups of few channels: which arithmetic
// (depthwise_taps.ts, depthwise_int8.ts) and which tile; the rest is in depthwise_plan.ts. Weights lie as
// [C/4][tap][4] (or 8 and 8): [tap][C] would alias at 4 KB strides for C = 512 (17 against 32 GFLOPS).
//
// Versions: f32_dw_{kh}x{kw}s{s}_{rows}x{columns}_{fma|muladd}, f32_group{inner}x{each}_…, s8_dw_…, u8_dw_…;
// figures in tiles.ts.
import type { Step } from "../../../compiler/program.js";
import type { Engine } from "../engine.js";
import type { PlannedKernel, Planning, TunedKernel } from "../kernel.js";
import { convGeometry } from "./conv.js";
import { int8Taps } from "./depthwise_int8.js";
import { planWindow } from "./depthwise_plan.js";
import { floatTaps, hasTaps } from "./depthwise_taps.js";
import { epilogueOf } from "./epilogue.js";
import { integerProduct, isFloatProduct, weightMatrix } from "./products.js";
import { depthwiseTile, farTile, isFar } from "./tiles.js";

export const depthwise: TunedKernel = { kernels: ["conv2d"], plan: planDepthwise };

function planDepthwise(step: Step, engine: Engine, program: Planning): PlannedKernel | null {
  const g = convGeometry(step);
  const nest = step.nest;
  if (!g || !nest || g.group === 1) return null;
  const { window, kernel } = g;
  const [channels, inner] = [g.w.view.shape[0], g.w.view.shape[3]] as [number, number];
  const group = { inner, each: channels / g.group };
  const depthwise = inner * group.each === 1;
  if (kernel[0] * kernel[1] > 169 || !hasTaps(group)) return null; // unrolled
  const weights = weightMatrix(program, g.w, channels, kernel[0] * kernel[1] * inner);
  const product = isFloatProduct(step, nest) ? null : integerProduct(step, nest, program, channels);
  if (!weights || (product ? !depthwise : !isFloatProduct(step, nest))) return null;
  const epilogue = epilogueOf(step, nest, program, { hoist: !!product, channelLoop: 3 });
  if (!epilogue) return null;
  const far = depthwise && !product && !program.dynamic && isFar(window, 4 * channels);
  const math = product
    ? int8Taps(weights, kernel, window.dilation[1], g.x.dtype === "int8", product)
    : floatTaps(weights, kernel, group, engine, far);
  return planWindow(
    {
      geometry: g,
      nest,
      math,
      suffix: product ? "" : engine.fma ? "_fma" : "_muladd",
      epilogue,
      channels,
      tile: far
        ? farTile
        : depthwiseTile(window, engine, product || (group.each === 8 && !engine.wide) ? 2 : 1),
      work: weights.k,
    },
    engine,
    program,
  );
}
