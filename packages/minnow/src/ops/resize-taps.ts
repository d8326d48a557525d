// Where each output position of a resize reads its input: indices and weights of one axis, exactly as
// ONNX Resize and TFLite's ResizeBilinear / ResizeNearestNeighbor define them, in float32 as both do.
import { ModelError } from "../error.js";

export interface Axis {
  /** Elements before and after. */
  readonly from: number;
  readonly to: number;
  /** Output over input; ≠ to / from where the model gives scales (ONNX). */
  readonly scale: number;
  /** The scale is from / to, multiplied (TFLite, PyTorch), instead of to / from, divided by (ONNX). */
  readonly inverse: boolean;
}

const f = Math.fround;

/** Position in the input of output position `o`, before clamping. `half` moves it by the last −0.5. */
export function coordinate(mode: string, o: number, axis: Axis, half = true): number {
  const { from, to } = axis;
  const scaled = (x: number): number => (axis.inverse ? f(x * f(from / to)) : f(x / f(axis.scale)));
  switch (mode) {
    case "align_corners":
      return to > 1 ? (axis.inverse ? f(o * f((from - 1) / (to - 1))) : f(f(o * (from - 1)) / (to - 1))) : 0;
    case "asymmetric":
      return scaled(o);
    case "pytorch_half_pixel":
      return to > 1 ? f(scaled(o + 0.5) - 0.5) : 0;
    case "half_pixel_symmetric": {
      const adjustment = f(to / f(f(axis.scale) * from));
      const offset = f((from / 2) * f(1 - adjustment));
      return f(f(offset + scaled(o + 0.5)) - 0.5);
    }
    case "half_pixel":
      return half ? f(scaled(o + 0.5) - 0.5) : scaled(o + 0.5);
    default:
      throw new ModelError("unsupported", `resize coordinates ${mode}`, { op: "Resize" });
  }
}

const clamp = (p: number, n: number): number => Math.max(0, Math.min(n - 1, p));

function roundTo(how: string, x: number): number {
  switch (how) {
    case "round_prefer_floor":
      return Math.ceil(x - 0.5);
    case "round_prefer_ceil":
      return Math.floor(x + 0.5);
    case "floor":
      return Math.floor(x);
    case "ceil":
      return Math.ceil(x);
    case "round_half_away":
      return x < 0 ? Math.ceil(x - 0.5) : Math.floor(x + 0.5);
    default:
      throw new ModelError("unsupported", `resize rounding ${how}`, { op: "Resize" });
  }
}

/** Index of the nearest input element, per output element. */
export function nearest(axis: Axis, mode: string, how: string): Int32Array {
  return Int32Array.from({ length: axis.to }, (_, o) => {
    // floor((o + ½)·scale − ½ + ½) is floor((o + ½)·scale): TFLite takes it without the detour.
    if (mode === "half_pixel" && how === "round_prefer_ceil" && axis.inverse)
      return clamp(Math.floor(coordinate(mode, o, axis, false)), axis.from);
    return clamp(roundTo(how, coordinate(mode, o, axis)), axis.from);
  });
}

export interface Taps {
  /** Taps per output element; 2 for linear, 4 for cubic. */
  readonly taps: number;
  /** [to · taps] input indices. */
  readonly index: Int32Array;
  /** [to · taps] weights. */
  readonly weight: Float32Array;
}

/** Two neighbours. Weights are 1 − w and w; positions outside are moved to the edge. */
export function linear(axis: Axis, mode: string): Taps {
  const index = new Int32Array(2 * axis.to);
  const weight = new Float32Array(2 * axis.to);
  for (let o = 0; o < axis.to; o++) {
    const x = Math.max(0, Math.min(axis.from - 1, coordinate(mode, o, axis)));
    const low = Math.floor(x);
    index[2 * o] = low;
    index[2 * o + 1] = clamp(low + 1, axis.from);
    weight[2 * o + 1] = x - low;
    weight[2 * o] = 1 - (x - low);
  }
  return { taps: 2, index, weight };
}

/** Keys' cubic convolution (1981): four neighbours; outside, the edge counts, or nothing with `exclude`. */
export function cubic(axis: Axis, mode: string, a: number, exclude: boolean): Taps {
  const index = new Int32Array(4 * axis.to);
  const weight = new Float32Array(4 * axis.to);
  for (let o = 0; o < axis.to; o++) {
    const x = coordinate(mode, o, axis);
    const low = Math.floor(x);
    const w = cubicWeights(x - low, a);
    if (exclude) dropOutside(w, low, axis.from);
    for (let k = 0; k < 4; k++) {
      index[4 * o + k] = clamp(low - 1 + k, axis.from);
      weight[4 * o + k] = w[k] as number;
    }
  }
  return { taps: 4, index, weight };
}

/** Weights of the elements at −1, 0, 1, 2 for a point `t` past 0. */
function cubicWeights(t: number, a: number): number[] {
  const near = (d: number): number => ((a + 2) * d - (a + 3)) * d * d + 1;
  const far = (d: number): number => ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}

function dropOutside(w: number[], low: number, from: number): void {
  let sum = 0;
  for (let k = 0; k < 4; k++) {
    const p = low - 1 + k;
    if (p < 0 || p >= from) w[k] = 0;
    sum += w[k] as number;
  }
  for (let k = 0; k < 4; k++) w[k] = (w[k] as number) / sum;
}
