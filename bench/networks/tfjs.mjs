// A network as a TensorFlow.js graph model, the way tensorflowjs_converter writes it: a TensorFlow graph in
// JSON with bias and activation fused into convolutions and matrix products, constants in shards of 4 MiB.
import { transpose } from "./onnx.mjs";

const shardBytes = 4 << 20;

/**
 * @param {import("./network.mjs").Network} network
 * @returns {Record<string, Uint8Array>} files by name: model.json and group1-shard1of….bin
 */
export function toTfjs(network) {
  return new Writer(network).files();
}

class Writer {
  #nodes = [];
  #weights = [];
  #network;

  constructor(network) {
    this.#network = network;
  }

  files() {
    const { input, outputs, layers } = this.#network;
    this.#nodes.push({
      name: input.name,
      op: "Placeholder",
      attr: { shape: { shape: dims(input.shape) }, dtype: type("DT_FLOAT") },
    });
    for (const layer of layers) emit[layer.op](this, layer);
    const shards = this.#shards();
    const ports = (values) =>
      Object.fromEntries(
        values.map((v) => [v.name, { name: `${v.name}:0`, dtype: "DT_FLOAT", tensorShape: dims(v.shape) }]),
      );
    const model = {
      format: "graph-model",
      generatedBy: "minnow-bench",
      signature: { inputs: ports([input]), outputs: ports(outputs) },
      modelTopology: { node: this.#nodes, versions: { producer: 1000 } },
      weightsManifest: [
        {
          paths: Object.keys(shards),
          weights: this.#weights.map(({ name, shape, dtype }) => ({ name, shape, dtype })),
        },
      ],
    };
    return { "model.json": new TextEncoder().encode(JSON.stringify(model)), ...shards };
  }

  #shards() {
    const all = new Uint8Array(this.#weights.reduce((n, w) => n + w.data.byteLength, 0));
    let at = 0;
    for (const { data } of this.#weights) {
      all.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
      at += data.byteLength;
    }
    const count = Math.ceil(all.length / shardBytes);
    return Object.fromEntries(
      Array.from({ length: count }, (_, i) => [
        `group1-shard${i + 1}of${count}.bin`,
        all.subarray(i * shardBytes, (i + 1) * shardBytes),
      ]),
    );
  }

  node(op, name, inputs, attr = {}) {
    this.#nodes.push({ name, op, input: inputs, attr: { T: type("DT_FLOAT"), ...attr } });
    return name;
  }

  /** A node, and the activation of `layer` behind it. */
  end({ output, act }, op, inputs, attr) {
    if (!act) return this.node(op, output.name, inputs, attr);
    return this.node(kinds[act], output.name, [this.node(op, `${output.name}_linear`, inputs, attr)]);
  }

  constant(name, shape, data) {
    const [dtype, stored] = data instanceof Int32Array ? ["int32", "DT_INT32"] : ["float32", "DT_FLOAT"];
    this.#weights.push({ name, shape, dtype, data });
    this.#nodes.push({
      name,
      op: "Const",
      attr: { dtype: type(stored), value: { tensor: { dtype: stored, tensorShape: dims(shape) } } },
    });
    return name;
  }

  integers(layer, what, values, shape = [values.length]) {
    return this.constant(`${layer.output.name}_${what}`, shape, Int32Array.from(values));
  }

  /** Weights in `order` of the described ones' dimensions, and the bias. */
  parameters({ output, weights, weightShape, bias }, order) {
    const shape = order.map((axis) => weightShape[axis]);
    return [
      this.constant(`${output.name}_weights`, shape, transpose(weights, weightShape, order)),
      this.constant(`${output.name}_bias`, [bias.length], bias),
    ];
  }
}

const kinds = { relu: "Relu", relu6: "Relu6" };
const type = (t) => ({ type: t });
const dims = (shape) => ({ dim: shape.map((size) => ({ size: String(size) })) });
const text = (s) => Buffer.from(s).toString("base64");
const integers = (list) => ({ list: { i: list.map(String) } });

const fused = ({ act }) => ({
  fused_ops: { list: { s: ["BiasAdd", ...(act ? [kinds[act]] : [])].map(text) } },
  num_args: { i: "1" },
  epsilon: { f: 0 },
});
const windowed = ({ pad, stride }) => ({
  strides: integers([1, ...stride, 1]),
  padding: { s: text(pad.toUpperCase()) },
  data_format: { s: text("NHWC") },
});
const convolution = (layer) => ({
  ...windowed(layer),
  ...fused(layer),
  dilations: integers([1, 1, 1, 1]),
  explicit_paddings: { list: {} },
});
const pool = (op) => (w, layer) =>
  w.end(layer, op, [layer.inputs[0].name], { ...windowed(layer), ksize: integers([1, ...layer.kernel, 1]) });
const names = ({ inputs }) => inputs.map((x) => x.name);

const emit = {
  conv: (w, layer) =>
    w.node(
      "_FusedConv2D",
      layer.output.name,
      [...names(layer), ...w.parameters(layer, [1, 2, 3, 0])],
      convolution(layer),
    ),
  depthwise: (w, layer) =>
    w.node(
      "FusedDepthwiseConv2dNative",
      layer.output.name,
      [...names(layer), ...w.parameters(layer, [1, 2, 3, 0])],
      convolution(layer),
    ),
  dense: (w, layer) =>
    w.node("_FusedMatMul", layer.output.name, [...names(layer), ...w.parameters(layer, [1, 0])], {
      ...fused(layer),
      transpose_a: { b: false },
      transpose_b: { b: false },
    }),
  norm(w, layer) {
    const { output, scale, shift, mean, variance, epsilon } = layer;
    const parts = Object.entries({ scale, shift, mean, variance }).map(([k, data]) =>
      w.constant(`${output.name}_${k}`, [data.length], data),
    );
    w.end(layer, "FusedBatchNormV3", [...names(layer), ...parts], {
      U: type("DT_FLOAT"),
      epsilon: { f: epsilon },
      is_training: { b: false },
      data_format: { s: text("NHWC") },
    });
  },
  maxPool: pool("MaxPool"),
  averagePool: pool("AvgPool"),
  mean: (w, layer) =>
    w.end(layer, "Mean", [...names(layer), w.integers(layer, "axes", [1, 2])], {
      Tidx: type("DT_INT32"),
      keep_dims: { b: false },
    }),
  add: (w, layer) => w.end(layer, "AddV2", names(layer)),
  concat: (w, layer) =>
    w.end(layer, "ConcatV2", [...names(layer), w.integers(layer, "axis", [layer.axis], [])], {
      N: { i: String(layer.inputs.length) },
      Tidx: type("DT_INT32"),
    }),
  padChannels: (w, layer) =>
    w.end(
      layer,
      "Pad",
      [...names(layer), w.integers(layer, "pads", [0, 0, 0, 0, 0, 0, 0, layer.count], [4, 2])],
      {
        Tpaddings: type("DT_INT32"),
      },
    ),
  reshape: (w, layer) =>
    w.end(layer, "Reshape", [...names(layer), w.integers(layer, "shape", layer.output.shape)], {
      Tshape: type("DT_INT32"),
    }),
  softmax: (w, layer) => w.end(layer, "Softmax", names(layer)),
};
