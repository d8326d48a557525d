// minnow/image: from pictures to tensors and from scores to labels, in browsers and in Node, without
// a dependency and without knowing what a model is.
export { fromPixels } from "./from_pixels.js";
export type { Fit, Fitted, PixelOptions } from "./from_pixels.js";
export { pixelOptions } from "./options.js";
export { type Picture, type PixelSource, toPicture } from "./source.js";
export type { Filter, Rect } from "./resample.js";
export { type Ranked, topK } from "./top_k.js";
