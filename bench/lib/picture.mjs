// One picture for every peer, whatever layout and element type its model takes: NHWC or NCHW, real numbers
// or the model's own quantisation.
import { channelsFirst, image } from "../networks/images.mjs";

const integers = { int8: [Int8Array, -128, 127], uint8: [Uint8Array, 0, 255] };

/** @param {{ dtype: string, shape: number[], quantization?: { scale: number, zero: number } }} spec */
export function picture({ dtype, shape, quantization }) {
  const planes = shape.length === 4 && shape[1] <= 4 && shape[3] > 4;
  const nhwc = planes ? [0, 2, 3, 1].map((i) => shape[i]) : shape;
  const values = planes ? channelsFirst(image(nhwc, 1), nhwc) : image(nhwc, 1);
  if (dtype === "float32") return values;
  if (!integers[dtype]) throw new Error(`no picture of ${dtype}`);
  const [array, low, high] = integers[dtype];
  const { scale, zero } = quantization ?? { scale: 1 / 127, zero: dtype === "uint8" ? 127 : 0 };
  return array.from(values, (v) => Math.max(low, Math.min(high, Math.round(v / scale) + zero)));
}
