// The convolutions and dense layers of the bench's networks as the kernel harness takes them, for
// kernels.mjs and int8.mjs: read from the one description of each network.
import { describe, names } from "../networks/index.mjs";
import { padding } from "../networks/network.mjs";

/** Options of harness.ts's convCase for one layer; clamped at 6 wherever the network has an activation. */
function options(layer, readers) {
  const [x] = layer.inputs;
  if (layer.op === "dense") return { h: 1, w: 1, c: x.shape.at(-1), o: layer.output.shape.at(-1) };
  const [, h, w, c] = x.shape;
  const o = layer.output.shape[3];
  const { kernel, stride } = layer;
  const shape = { h, w, c, o, kernel, stride, pads: padding(layer), relu6: layer.act !== null };
  const next = readers.get(layer.output);
  if (layer.op === "depthwise") return { ...shape, group: c };
  if (next?.op === "add" && next.inputs[0] === layer.output) return { ...shape, residual: "other" };
  return next?.op === "concat" ? { ...shape, outPitch: next.output.shape[3] } : shape;
}

/** "1x1 32>64@112": kernel, channels in and out, input height. */
function label(layer, first, { h, c, o, group, residual }) {
  if (layer.op === "dense") return `dense ${c}>${o}`;
  if (group) return `dw s${layer.stride[0]} ${c}@${h}`;
  const kind = first ? "first" : layer.kernel.join("x");
  return `${kind} ${c}>${o}@${h}${residual ? " +res" : ""}`;
}

function layersOf(name) {
  const { layers } = describe(name);
  const readers = new Map();
  for (const l of layers) for (const x of l.inputs) readers.set(x, l);
  return layers
    .filter((l) => ["conv", "depthwise", "dense"].includes(l.op))
    .map((l, i) => {
      const o = options(l, readers);
      return [label(l, i === 0, o), o];
    });
}

/** Network → its layers, made when asked for: [label, options]. */
export const nets = Object.fromEntries(names.map((name) => [name, () => layersOf(name)]));
