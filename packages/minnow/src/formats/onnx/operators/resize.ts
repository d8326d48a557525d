// Resize in all its versions, and Upsample before it: NCHW scales or sizes become height and width.
import type { Attrs, Tensor } from "../../../graph/graph.js";
import type { Call, Row, Table } from "../call.js";

const coordinates = new Set([
  "half_pixel",
  "asymmetric",
  "align_corners",
  "pytorch_half_pixel",
  "half_pixel_symmetric",
]);
const nearest = new Set(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]);

function options(c: Call): Attrs {
  const mode = c.str("mode", "nearest");
  if (!["nearest", "linear", "cubic"].includes(mode)) c.unsupported(`mode ${mode} is not supported`);
  if (c.int("antialias", 0) !== 0) c.unsupported("antialias is not supported");
  if (c.opset < 11) return { mode, coordinates: "asymmetric", nearest: "floor" };
  const transform = c.str("coordinate_transformation_mode", "half_pixel");
  if (!coordinates.has(transform))
    c.unsupported(`coordinate_transformation_mode ${transform} is not supported`);
  const rounding = c.str("nearest_mode", "round_prefer_floor");
  if (!nearest.has(rounding)) c.bad(`nearest_mode is ${rounding}`);
  c.ignore("extrapolation_value"); // for tf_crop_and_resize only
  return {
    mode,
    coordinates: transform,
    nearest: rounding,
    cubicA: c.float("cubic_coeff_a", -0.75),
    excludeOutside: c.int("exclude_outside", 0) !== 0,
  };
}

/** The scales or sizes of all axes, from those of the axes named. */
function spread(
  c: Call,
  list: readonly number[],
  rank: number,
  axes: readonly number[] | undefined,
  fill: (i: number) => number,
): number[] {
  if (!axes && list.length !== rank) c.bad(`${list.length} scales or sizes for rank ${rank}`);
  const full = Array.from({ length: rank }, (_, i) => fill(i));
  (axes ?? full.map((_, i) => i)).forEach((a, i) => {
    full[c.axis(a, rank)] = list[i] as number;
  });
  return full;
}

/** Which input holds what: [scales, sizes]. */
const places = (c: Call): [number, number] => (c.opset < 11 ? [1, -1] : [2, 3]);

const resizeRow: Row = (c) => {
  const x = c.x(0);
  const rank = c.rank(x);
  if (rank < 1 || rank > 4) c.unsupported(`resizing of rank ${rank} is not supported`);
  const attrs = options(c);
  const axes = c.ints("axes");
  const [scalesAt, sizesAt] = places(c);
  const sizes = c.numbers(sizesAt);
  const scales = c.floats("scales") ?? (sizes ? undefined : c.numbers(scalesAt));
  const policy = c.str("keep_aspect_ratio_policy", "stretch");
  if (policy !== "stretch") c.unsupported(`keep_aspect_ratio_policy ${policy} is not supported`);
  const keep = rank - Math.min(2, Math.max(1, rank - (rank > 2 ? 2 : 0))); // leading axes that stay
  if (scales && scales.length > 0) {
    const full = spread(c, scales, rank, axes, () => 1);
    if (full.slice(0, keep).some((s) => s !== 1)) c.unsupported("only the last two axes can be resized");
    return asImage(c, x, keep, [], { ...attrs, scales: two(full.slice(keep), 1), keepScale: true });
  }
  if (sizes) {
    const shape = c.shape(x);
    const full = spread(c, sizes, rank, axes, (i) => (i < keep ? Number.NaN : (shape[i] as number)));
    if (
      full.slice(0, keep).some((s, i) => !Number.isNaN(s) && s !== shape[i] && typeof shape[i] === "number")
    )
      c.unsupported("only the last two axes can be resized");
    if (full.slice(keep).some((s) => typeof s !== "number"))
      c.unsupported("sizes for one axis of a dynamic image are not supported");
    return asImage(c, x, keep, [], { ...attrs, sizes: two(full.slice(keep), 1) });
  }
  if (rank !== 4) c.unsupported("computed sizes are supported for images only");
  if (sizesAt >= 0 && c.has(sizesAt))
    return asImage(c, x, keep, [heightAndWidth(c, c.x(sizesAt), axes)], attrs);
  if (!c.has(scalesAt)) c.bad("neither scales nor sizes are given");
  return asImage(c, x, keep, [scaledSizes(c, x, heightAndWidth(c, c.x(scalesAt), axes))], attrs);
};

/** The last two of four computed numbers, or those of the axes named. */
function heightAndWidth(c: Call, list: Tensor, axes: readonly number[] | undefined): Tensor {
  if (!axes) return c.emit("Slice", [list], { starts: [2], ends: [4], axes: [0] });
  const order = axes.map((a) => c.axis(a, 4)).join();
  if (order === "3,2") return c.emit("Gather", [list, c.int64([1, 0])], { axis: 0 });
  return order === "2,3" ? list : c.unsupported("computed sizes are supported for height and width only");
}

/** ⌊size · scale⌋ of height and width */
function scaledSizes(c: Call, x: Tensor, scales: Tensor): Tensor {
  const size = c.emit("Shape", [x], { start: 2, end: 4, to: "int64" }, { dtype: "int64" });
  return c.cast(c.emit("Floor", [c.emit("Mul", [c.cast(size, "float32"), scales])]), "int64");
}

const two = (list: readonly number[], first: number): number[] =>
  list.length === 1 ? [first, list[0] as number] : [...list];

/** Any rank as an image [N,C,H,W]. */
function asImage(c: Call, x: Tensor, keep: number, more: Tensor[], attrs: Attrs): Tensor {
  const rank = c.rank(x);
  const run = (t: Tensor): Tensor => c.emit("Resize", [t, ...more], attrs);
  if (rank >= 3) return c.image(x, run);
  const missing = [0, 1, ...(rank === 1 ? [2] : [])];
  if (keep !== 0) c.unsupported(`resizing of rank ${rank} is not supported`);
  return c.squeeze(c.image(c.unsqueeze(x, missing), run), missing);
}

const upsample: Row = (c) => {
  if (c.opset < 7)
    c.unsupported("Upsample before operator set 7 is not supported", "export it with a newer opset");
  return resizeRow(c);
};

export const resize: Table = { Resize: resizeRow, Upsample: upsample };
