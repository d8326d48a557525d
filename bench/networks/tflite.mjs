// A network as TFLite, the way TensorFlow's converter writes it: NHWC, activations fused into the operator
// before them, a batch normalisation without a convolution before it as MUL and ADD.
//
// Quantised, it is the converter's full-integer form: int8 between a QUANTIZE and a DEQUANTIZE at the ends,
// a scale a channel for filters and one for the weights of dense layers, int32 biases.
import { tfliteFile } from "./tflite_file.mjs";

/**
 * @param {import("./network.mjs").Network} network
 * @param {import("./quantise.mjs").Quantisation} [quantisation] writes int8
 * @returns {Uint8Array}
 */
export function toTflite(network, quantisation) {
  return new Writer(network, quantisation).bytes();
}

class Writer {
  #tensors = [];
  #operators = [];
  #numbers = new Map();
  #network;
  #quantisation;

  constructor(network, quantisation) {
    this.#network = network;
    this.#quantisation = quantisation;
  }

  bytes() {
    const { name, input, outputs, layers } = this.#network;
    const int8 = Boolean(this.#quantisation);
    const plain = (v) => this.#add({ name: v.name, shape: v.shape, type: "float32" });
    const inputs = [int8 ? plain(input) : this.number(input)];
    if (int8) this.#push("QUANTIZE", inputs, this.number(input));
    for (const layer of layers) emit[layer.op](this, layer);
    const ends = outputs.map((v) => {
      const end = int8 ? plain(v) : this.number(v);
      if (int8) this.#push("DEQUANTIZE", [this.number(v)], end);
      return end;
    });
    return tfliteFile({
      name,
      tensors: this.#tensors,
      operators: this.#operators,
      inputs,
      outputs: ends,
      int8,
    });
  }

  #add(tensor) {
    return this.#tensors.push(tensor) - 1;
  }
  #push(op, inputs, output, values = {}) {
    this.#operators.push({ op, inputs, outputs: [output], values });
  }

  /** The number of a value's tensor, made at first use. */
  number(value) {
    const known = this.#numbers.get(value);
    if (known !== undefined) return known;
    const { name, shape } = value;
    const tensor = { name, shape, type: "float32" };
    if (this.#quantisation) {
      const { scale, zeroPoint } = this.#quantisation.of(value);
      Object.assign(tensor, {
        name: `${name}_int8`,
        type: "int8",
        quantised: { scales: [scale], zeroPoint },
      });
    }
    const at = this.#add(tensor);
    this.#numbers.set(value, at);
    return at;
  }

  /** The operator of `layer` over its inputs and `constants`. */
  layer(op, { inputs, output, act = null }, constants = [], values = {}) {
    const from = [...inputs.map((x) => this.number(x)), ...constants];
    this.#push(op, from, this.number(output), { activation: act, ...values });
  }

  /** A multiplication or addition by a constant a channel. */
  perChannel(op, x, name, data, output, act = null) {
    const shape = [data.length];
    const constant = this.#quantisation
      ? this.#add({ name, shape, type: "int8", ...this.#quantisation.constant(data) })
      : this.#add({ name, shape, type: "float32", data });
    this.#push(op, [this.number(x), constant], this.number(output), { activation: act });
  }

  integers(name, data, shape = [data.length]) {
    return this.#add({ name, shape, type: "int32", data: Int32Array.from(data) });
  }

  /** Weights and bias; scales run along `axis` where there is more than one. */
  parameters(layer, axis) {
    const { output, weights, weightShape, bias } = layer;
    const w = { name: `${output.name}_weights`, shape: weightShape, type: "float32", data: weights };
    const b = { name: `${output.name}_bias`, shape: [bias.length], type: "float32", data: bias };
    if (this.#quantisation) {
      const q = this.#quantisation.weights(layer);
      Object.assign(w, { type: "int8", data: q.data, quantised: { scales: q.scales, zeroPoint: 0, axis } });
      Object.assign(b, { type: "int32", data: q.bias, quantised: { scales: q.biasScales, zeroPoint: 0 } });
    }
    return [this.#add(w), this.#add(b)];
  }
}

const windowed = ({ pad, stride: [strideH, strideW], kernel: [filterH, filterW] }) => ({
  padding: pad,
  strideH,
  strideW,
  filterH,
  filterW,
});
const pool = (op) => (w, layer) => w.layer(op, layer, [], windowed(layer));

const emit = {
  conv: (w, layer) => w.layer("CONV_2D", layer, w.parameters(layer, 0), windowed(layer)),
  depthwise: (w, layer) =>
    w.layer("DEPTHWISE_CONV_2D", layer, w.parameters(layer, 3), { ...windowed(layer), multiplier: 1 }),
  dense: (w, layer) => w.layer("FULLY_CONNECTED", layer, w.parameters(layer, 0)),
  norm(w, layer) {
    const { inputs, output, scaled, act } = layer;
    const { factor, term } = affine(layer);
    w.perChannel("MUL", inputs[0], `${output.name}_factor`, factor, scaled);
    w.perChannel("ADD", scaled, `${output.name}_term`, term, output, act);
  },
  maxPool: pool("MAX_POOL_2D"),
  averagePool: pool("AVERAGE_POOL_2D"),
  mean: (w, layer) => w.layer("MEAN", layer, [w.integers(`${layer.output.name}_axes`, [1, 2])]),
  add: (w, layer) => w.layer("ADD", layer),
  concat: (w, layer) => w.layer("CONCATENATION", layer, [], { axis: layer.axis }),
  padChannels(w, layer) {
    const name = `${layer.output.name}_pads`;
    w.layer("PAD", layer, [w.integers(name, [0, 0, 0, 0, 0, 0, 0, layer.count], [4, 2])]);
  },
  reshape: (w, layer) =>
    w.layer("RESHAPE", layer, [w.integers(`${layer.output.name}_shape`, layer.output.shape)]),
  softmax: (w, layer) => w.layer("SOFTMAX", layer, [], { beta: 1 }),
};

/** y = x · factor + term, a number a channel. */
function affine({ scale, shift, mean, variance, epsilon }) {
  const factor = scale.map((s, i) => s / Math.sqrt(variance[i] + epsilon));
  return { factor, term: shift.map((s, i) => s - mean[i] * factor[i]) };
}
