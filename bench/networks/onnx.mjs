// A network as ONNX, the way exporters write it: NCHW, explicit pads, activations as nodes of their own.
//
// Quantised, it is what onnxruntime's quantize_static makes of that: a QuantizeLinear–DequantizeLinear pair
// behind every node, int8 weights with a scale a channel (int32 biases) behind DequantizeLinear, and no
// activation where the pair behind it clips to the same range. (Activations int8, its default. Native ONNX
// Runtime turns them into uint8, whose products saturate on x86 without VNNI: there the session needs
// { extra: { session: { x64quantprecision: "1" } } } to be right.)
import { padding } from "./network.mjs";
import { onnxFile } from "./onnx_file.mjs";

/**
 * @param {import("./network.mjs").Network} network
 * @param {import("./quantise.mjs").Quantisation} [quantisation] writes QDQ
 * @returns {Uint8Array}
 */
export function toOnnx(network, quantisation) {
  return new Writer(network, quantisation).bytes();
}

class Writer {
  nodes = [];
  weights = [];
  #network;
  #quantisation;
  #shared = new Map();

  constructor(network, quantisation) {
    this.#network = network;
    this.#quantisation = quantisation;
  }

  bytes() {
    const { name, input, outputs, layers } = this.#network;
    const port = (v) => ({ name: v.name, shape: channelsFirst(v.shape) });
    this.first = this.#quantisation ? this.#pair(input.name, `${input.name}_stored`, input) : input.name;
    for (const layer of layers) emit[layer.op](this, layer);
    return onnxFile({
      name,
      nodes: this.nodes,
      weights: this.weights,
      inputs: [port(input)],
      outputs: outputs.map(port),
    });
  }

  name(value) {
    return value === this.#network.input ? this.first : value.name;
  }

  node(op, inputs, output, attributes = {}) {
    this.nodes.push({ op, inputs, output, attributes });
    return output;
  }

  constant(name, type, shape, data) {
    this.weights.push({ name, type, shape, data });
    return name;
  }

  /** A constant that layers share: made once. */
  shared(name, type, data) {
    if (!this.#shared.has(name)) this.#shared.set(name, this.constant(name, type, [], data));
    return name;
  }

  /** The node that ends `layer`, its activation and, quantised, its pair. */
  end({ output, act }, op, inputs, attributes) {
    const { name } = output;
    const q = this.#quantisation;
    const apart = act && !q?.cuts(output, act);
    const last = q ? `${name}_raw` : name;
    const first = this.node(op, inputs, apart ? `${name}_linear` : last, attributes);
    if (apart) this.#activation(act, first, last);
    if (q) this.#pair(last, name, output);
  }

  #activation(act, from, to) {
    if (act === "relu") return this.node("Relu", [from], to);
    const limits = [0, 6].map((v) => this.shared(`limit_${v}`, "float32", Float32Array.of(v)));
    return this.node("Clip", [from, ...limits], to);
  }

  /** A node on the way to the one that ends a layer; quantised like the layer's output. */
  step(op, inputs, suffix, value, attributes) {
    const name = `${value.name}_${suffix}`;
    if (!this.#quantisation) return this.node(op, inputs, name, attributes);
    return this.#pair(this.node(op, inputs, `${name}_raw`, attributes), name, value);
  }

  #pair(from, to, value) {
    const { scale, zeroPoint } = this.#quantisation.of(value);
    const q = [
      this.constant(`${to}_pair_scale`, "float32", [], Float32Array.of(scale)),
      this.constant(`${to}_pair_zero`, "int8", [], Int8Array.of(zeroPoint)),
    ];
    return this.node("DequantizeLinear", [this.node("QuantizeLinear", [from, ...q], `${to}_q`), ...q], to);
  }

  /** Weights in `order` of the described ones' dimensions, and the bias: names to give to the node. */
  parameters(layer, order) {
    const { output, weights, weightShape, bias } = layer;
    const shape = order.map((axis) => weightShape[axis]);
    const [w, b] = [`${output.name}_weights`, `${output.name}_bias`];
    if (!this.#quantisation) {
      const data = transpose(weights, weightShape, order);
      return [this.constant(w, "float32", shape, data), this.constant(b, "float32", [bias.length], bias)];
    }
    const q = this.#quantisation.weights(layer);
    const dequantise = (name, type, dims, data, scales) => {
      const each = scales.length > 1 ? [scales.length] : [];
      const zero = type === "int8" ? new Int8Array(scales.length) : new Int32Array(scales.length);
      return this.node(
        "DequantizeLinear",
        [
          this.constant(`${name}_q`, type, dims, data),
          this.constant(`${name}_scale`, "float32", each, scales),
          this.constant(`${name}_zero`, type, each, zero),
        ],
        name,
        each.length ? { axis: 0 } : {},
      );
    };
    return [
      dequantise(w, "int8", shape, transpose(q.data, weightShape, order), q.scales),
      dequantise(b, "int32", [bias.length], q.bias, q.biasScales),
    ];
  }
}

const convolution = (layer) => ({
  kernel_shape: layer.kernel,
  strides: layer.stride,
  pads: padding(layer),
  dilations: [1, 1],
});
const pool = (op) => (w, layer) => {
  const { kernel, stride, inputs } = layer;
  w.end(layer, op, [w.name(inputs[0])], { kernel_shape: kernel, strides: stride, pads: padding(layer) });
};

const emit = {
  conv: (w, layer) =>
    w.end(layer, "Conv", [w.name(layer.inputs[0]), ...w.parameters(layer, [0, 3, 1, 2])], {
      ...convolution(layer),
      group: 1,
    }),
  depthwise: (w, layer) =>
    w.end(layer, "Conv", [w.name(layer.inputs[0]), ...w.parameters(layer, [3, 0, 1, 2])], {
      ...convolution(layer),
      group: layer.weightShape[3],
    }),
  dense: (w, layer) =>
    w.end(layer, "Gemm", [w.name(layer.inputs[0]), ...w.parameters(layer, [0, 1])], { transB: 1 }),
  norm(w, layer) {
    const { output, scale, shift, mean, variance, epsilon, inputs } = layer;
    const parts = Object.entries({ scale, shift, mean, variance }).map(([k, data]) =>
      w.constant(`${output.name}_${k}`, "float32", [data.length], data),
    );
    w.end(layer, "BatchNormalization", [w.name(inputs[0]), ...parts], { epsilon: { float: epsilon } });
  },
  maxPool: pool("MaxPool"),
  averagePool: pool("AveragePool"),
  mean(w, layer) {
    const pooled = w.step("GlobalAveragePool", [w.name(layer.inputs[0])], "pooled", layer.output);
    w.end(layer, "Flatten", [pooled], { axis: 1 });
  },
  add: (w, layer) =>
    w.end(
      layer,
      "Add",
      layer.inputs.map((x) => w.name(x)),
    ),
  concat(w, layer) {
    const rank = layer.output.shape.length;
    const axis = rank === 4 ? [0, 2, 3, 1][layer.axis] : layer.axis;
    w.end(
      layer,
      "Concat",
      layer.inputs.map((x) => w.name(x)),
      { axis },
    );
  },
  padChannels(w, layer) {
    const { output, count } = layer;
    const pads = w.constant(
      `${output.name}_pads`,
      "int64",
      [8],
      BigInt64Array.of(0n, 0n, 0n, 0n, 0n, BigInt(count), 0n, 0n),
    );
    w.end(layer, "Pad", [w.name(layer.inputs[0]), pads]);
  },
  reshape(w, layer) {
    const { inputs, output } = layer;
    const [x] = inputs;
    const [, h, width] = x.shape;
    const moved = x.shape.length === 4 && h * width > 1;
    const from = moved ? w.step("Transpose", [w.name(x)], "last", output, { perm: [0, 2, 3, 1] }) : w.name(x);
    const shape = BigInt64Array.from(output.shape, BigInt);
    const to = w.constant(`${output.name}_shape`, "int64", [shape.length], shape);
    w.end(layer, "Reshape", [from, to]);
  },
  softmax: (w, layer) => w.end(layer, "Softmax", [w.name(layer.inputs[0])], { axis: 1 }),
};

const channelsFirst = (shape) => (shape.length === 4 ? [0, 3, 1, 2].map((i) => shape[i]) : shape);

/** `data` of four dimensions or fewer with its dimensions in another order. */
export function transpose(data, shape, order) {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  const full = [...Array(4 - shape.length).fill(-1), ...order];
  const [a, b, c, d] = full.map((i) => (i < 0 ? 1 : shape[i]));
  const [sa, sb, sc, sd] = full.map((i) => (i < 0 ? 0 : strides[i]));
  const out = new data.constructor(data.length);
  let at = 0;
  for (let i = 0; i < a; i++)
    for (let j = 0; j < b; j++)
      for (let k = 0; k < c; k++)
        for (let l = 0; l < d; l++) out[at++] = data[i * sa + j * sb + k * sc + l * sd];
  return out;
}
