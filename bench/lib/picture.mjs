// One picture for every peer, whatever layout its model takes: NHWC or NCHW.
import { channelsFirst, image } from "../networks/images.mjs";

/** @param {{ dtype: string, shape: number[] }} spec */
export function picture({ dtype, shape }) {
  if (dtype !== "float32") throw new Error(`no picture of ${dtype}`);
  const planes = shape.length === 4 && shape[1] <= 4 && shape[3] > 4;
  if (!planes) return image(shape, 1);
  const nhwc = [0, 2, 3, 1].map((i) => shape[i]);
  return channelsFirst(image(nhwc, 1), nhwc);
}
