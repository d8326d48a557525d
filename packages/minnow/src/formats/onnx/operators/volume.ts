// Convolution and pooling over three dimensions, said by those over two (../../volume.ts):
//   pool(x) = pool over d of pool2d(x[d])
import { derive } from "../../../graph/deferred.js";
import { isConcrete } from "../../../graph/dim.js";
import type { Attrs, Tensor } from "../../../graph/graph.js";
import { pair, windows } from "../../../ops/window.js";
import { convolveVolume, type Deep, type Plane } from "../../volume.js";
import type { Call } from "../call.js";

interface Volume {
  /** What a window has along the first axis, as two-dimensional attributes of [D, 1]. */
  readonly deep: Attrs;
  /** The same along the other two. */
  readonly flat: Attrs;
}

const three = (c: Call, name: string): readonly number[] => {
  const list = c.ints(name) ?? [1, 1, 1];
  return list.length === 3 ? list : c.bad(`${name} [${list}] for 3 spatial dimensions`);
};

function attributes(c: Call, padding: string): Volume {
  const pads = c.ints("pads") ?? [0, 0, 0, 0, 0, 0];
  if (pads.length !== 6) c.bad(`${pads.length} pads for 3 spatial dimensions`);
  const [strides, dilations] = [three(c, "strides"), three(c, "dilations")];
  const [front, top, left, back, bottom, right] = padding === "explicit" ? pads : [0, 0, 0, 0, 0, 0];
  return {
    deep: {
      strides: [strides[0] as number, 1],
      dilations: [dilations[0] as number, 1],
      pads: [front as number, 0, back as number, 0],
      padding,
    },
    flat: {
      strides: strides.slice(1),
      dilations: dilations.slice(1),
      pads: [top, left, bottom, right] as number[],
      padding,
    },
  };
}

type Sizes = readonly [n: number, d: number, h: number, w: number, c: number];

function sizes(c: Call, x: Tensor): Sizes {
  const shape = c.shape(x);
  if (!isConcrete(shape.slice(1)))
    c.unsupported("volumes of free sizes are not supported", "give its sizes: load(model, { dims })");
  return shape as unknown as Sizes;
}

/** f on [N,D,H,W,C] */
function channelsLast(c: Call, x: Tensor, f: (x: Tensor) => Tensor): Tensor {
  return c.builder.toNchw(f(c.builder.toNhwc(x)));
}

/** Weights [O,I,D,kh,kw] of slice k as [O,kh,kw,I]. */
function slice(c: Call, w: Tensor, k: number): Tensor {
  const data = w.kind === "constant" && w.data; // not a copy for each slice
  if (!data) c.unsupported("computed weights of three dimensions are not supported");
  const [o, n, depth, kh, kw] = w.shape as [number, number, number, number, number];
  const each = kh * kw;
  const part = derive(w.dtype, o * n * each, data, `slice ${k}`, (out) => {
    for (let r = 0; r < o * n; r++)
      for (let p = 0; p < each; p++)
        out[(Math.floor(r / n) * each + p) * n + (r % n)] = data[(r * depth + k) * each + p] as never;
  });
  return c.builder.compute(c.builder.constant(`${w.name}/${k}`, w.dtype, [o, kh, kw, n], part));
}

function depthOf(c: Call, w: Tensor): number {
  const kernel = c.shape(w).slice(2);
  const wanted = c.ints("kernel_shape") ?? kernel;
  if (kernel.length !== 3 || String(kernel) !== String(wanted))
    c.bad(`kernel_shape is [${wanted}], its weights are [${c.shape(w)}]`);
  return kernel[0] as number;
}

const plane = (c: Call, op: Plane["op"], attrs: Attrs, w: Tensor, bias: Tensor | null): Plane => ({
  op,
  attrs: { ...attrs, group: c.int("group", 1) },
  weights: (k, first) => [slice(c, w, k), ...(bias && first ? [bias] : [])],
});

export function convolve3(c: Call, x: Tensor, w: Tensor, bias: Tensor | null, padding: string): Tensor {
  const { deep, flat } = attributes(c, padding);
  const kernel = [depthOf(c, w), 1];
  const layer = plane(c, "Conv2D", flat, w, bias);
  return layered(c, x, layer, (d) => windows({ ...c, attrs: deep }, kernel, [d, 1])[0] as Deep);
}

export function transpose3(c: Call, x: Tensor, w: Tensor, bias: Tensor | null, padding: string): Tensor {
  const { deep, flat } = attributes(c, padding);
  const [extra, ...outputPadding] = c.ints("output_padding") ?? [0, 0, 0];
  const size = depthOf(c, w);
  const [stride, dilation] = [
    pair({ ...c, attrs: deep }, "strides")[0],
    pair({ ...c, attrs: deep }, "dilations")[0],
  ];
  const [before, , back] = deep.pads as [number, number, number];
  const after = back - (extra as number);
  const reach = (size - 1) * dilation;
  if (padding.startsWith("same") || c.hasAttr("output_shape") || Math.max(before, after) > reach)
    c.unsupported("only explicit pads within its weights are supported");
  const layer = plane(c, "ConvTranspose2D", { ...flat, outputPadding }, w, bias);
  return layered(c, x, layer, (d) => {
    const out = (d - 1) * stride + 1 + reach - before - after;
    return { size, stride, dilation, before, after, out };
  });
}

function layered(c: Call, x: Tensor, layer: Plane, span: (depth: number) => Deep): Tensor {
  return channelsLast(c, x, (volume) => {
    const [, ...all] = sizes(c, volume);
    const deep = span(all[0]);
    return volumeOf(c, convolveVolume(c.emit.bind(c), volume, all, deep, layer), deep.out);
  });
}

/** Pictures as volumes of this depth. */
function volumeOf(c: Call, x: Tensor, depth: number): Tensor {
  return c.reshape(x, [-1, depth, ...(c.shape(x).slice(1) as number[])]);
}

export function pool3(c: Call, op: string, x: Tensor, more: Attrs, padding: string): Tensor {
  const { deep, flat } = attributes(c, padding);
  const [depth, ...kernel] = three(c, "kernel_shape") as [number, number, number];
  return channelsLast(c, x, (volume) => {
    const [, d, height, width, channels] = sizes(c, volume);
    const pictures = c.reshape(volume, [-1, height, width, channels]);
    const small = c.emit(op, [pictures], { ...flat, ...more, kernel });
    const [, h, w] = c.shape(small) as number[] as [number, number, number];
    const columns = c.reshape(small, [-1, d, h * w, channels]);
    const pooled = c.emit(op, [columns], { ...deep, ...more, kernel: [depth, 1] });
    return c.reshape(pooled, [-1, c.shape(pooled)[1] as number, h, w, channels]);
  });
}
