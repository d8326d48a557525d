// Convolution over three dimensions, said by that over two. The slices [H,W] of a volume [N,D,H,W,C] are pictures:
//   conv(x)[d] = Σ_k conv2d(x[d·stride + k·dilation], w[k])
// A transposed one is the same over slices of zeros between those of x, its weights from the last to the first.
import type { Attrs, Tensor } from "../graph/graph.js";

/** Makes a node of one output. */
type Emit = (op: string, inputs: Tensor[], attrs: Attrs) => Tensor;

/** A window along the depth, as its operator counts it. */
export interface Deep {
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  readonly after: number;
  readonly out: number;
}

export interface Plane {
  readonly op: "Conv2D" | "ConvTranspose2D";
  readonly attrs: Attrs;
  /** Inputs behind x for slice k of the weights; `first` of them has the bias. */
  weights(k: number, first: boolean): Tensor[];
}

/** Pictures [N·out, H', W', O] of a volume x of `depth` slices [H,W,C] */
export function convolveVolume(
  emit: Emit,
  x: Tensor,
  [depth, ...picture]: readonly number[],
  span: Deep,
  { op, attrs, weights }: Plane,
): Tensor {
  const turned = op === "ConvTranspose2D";
  const { size, dilation, out } = span;
  const reach = turned ? (size - 1) * dilation : 0;
  const [before, after] = turned ? [reach - span.before, reach - span.after] : [span.before, span.after];
  const volume = turned && span.stride > 1 ? spread(emit, x, depth as number, span.stride, picture) : x;
  const pads = [0, before, 0, 0, 0, 0, after, 0, 0, 0];
  const padded = before || after ? emit("Pad", [volume], { pads }) : volume;
  const stride = turned ? 1 : span.stride;
  let sum: Tensor | undefined;
  for (let k = 0; k < size; k++) {
    const from = k * dilation;
    const ends = [from + (out - 1) * stride + 1];
    const taken = emit("Slice", [padded], { starts: [from], ends, axes: [1], steps: [stride] });
    const pictures = emit("Reshape", [taken], { shape: [-1, ...picture] });
    const y = emit(op, [pictures, ...weights(turned ? size - 1 - k : k, !sum)], attrs);
    sum = sum ? emit("Add", [y, sum], {}) : y;
  }
  return sum as Tensor;
}

/** Slices of zeros between those of x. */
function spread(emit: Emit, x: Tensor, depth: number, stride: number, picture: readonly number[]): Tensor {
  const slices = emit("Reshape", [x], { shape: [-1, depth, 1, picture.reduce((a, b) => a * b)] });
  const wide = emit("Pad", [slices], { pads: [0, 0, 0, 0, 0, 0, stride - 1, 0] });
  const all = emit("Reshape", [wide], { shape: [-1, depth * stride, ...picture] });
  return emit("Slice", [all], { starts: [0], ends: [(depth - 1) * stride + 1], axes: [1] });
}
