// What fromPixels needs for a model's input, read from the model: size, layout, type, quantisation and
// the file's own normalisation.
import { ModelError } from "../error.js";
import type { PixelOptions } from "./from_pixels.js";

interface ImageInput {
  readonly name: string;
  readonly shape: readonly (number | string)[];
  readonly dtype: string;
  readonly quantization?: { readonly scale: readonly number[]; readonly zeroPoint: readonly number[] };
}

interface ImageModel {
  readonly inputs: readonly ImageInput[];
  readonly metadata?: {
    readonly layout?: "NCHW" | "NHWC";
    readonly normalization?: Readonly<
      Record<string, { readonly mean: readonly number[]; readonly std: readonly number[] }>
    >;
  };
}

const depths = [1, 3];

/**
 * Options for `model`'s image input (the named one, or the first with four dimensions of which one is
 * 1 or 3). Free dimensions give no width or height.
 * @throws ModelError bad_option when there is no such input
 */
export function pixelOptions(model: ImageModel, name?: string): PixelOptions {
  const input = model.inputs.find((t) =>
    name === undefined ? t.shape.length === 4 && layoutOf(t, model) : t.name === name,
  );
  const layout = input && layoutOf(input, model);
  if (!input || !layout)
    throw new ModelError(
      "bad_option",
      name === undefined ? "the model has no image input" : `${name} is not an image input`,
    );
  const [h, w, c] = layout === "NCHW" ? [2, 3, 1] : [1, 2, 3];
  const { shape, dtype, quantization: q } = input;
  const norm = model.metadata?.normalization?.[input.name];
  const size = (i: number): number | undefined =>
    typeof shape[i] === "number" ? (shape[i] as number) : undefined;
  return {
    layout,
    ...(size(w) !== undefined && { width: size(w) as number }),
    ...(size(h) !== undefined && { height: size(h) as number }),
    order: shape[c] === 1 ? "gray" : "rgb",
    dtype: dtype === "uint8" || dtype === "int8" ? dtype : "float32",
    ...(norm && { mean: norm.mean, std: norm.std }),
    ...(norm && q && { quantization: { scale: q.scale, zeroPoint: q.zeroPoint } }),
  };
}

function layoutOf({ shape }: ImageInput, model: ImageModel): "NCHW" | "NHWC" | undefined {
  if (shape.length !== 4) return undefined;
  const first = depths.includes(shape[1] as number);
  const last = depths.includes(shape[3] as number);
  if (first && last) return model.metadata?.layout ?? "NHWC";
  return first ? "NCHW" : last ? "NHWC" : undefined;
}
