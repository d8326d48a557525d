// A network described once, in the terms that all formats share: layers over NHWC tensors, batch
// normalisation already folded into the convolution before it, activations fused into the layer that
// makes their input. Writers (onnx, tflite, tfjs) say the same thing in their own words.
//
// Weights are drawn as layers are added: He's deviation for what a relu follows, 1/√fan-in for what none
// follows. Each tensor carries `power`, the mean square that this scaling gives it, so that a
// normalisation which nothing can be folded into gets a variance near the one it will meet.
import { Random } from "./random.mjs";

/**
 * @typedef {{ name: string, shape: number[], power: number }} Value  a tensor; [n, h, w, c], or fewer dimensions
 * @typedef {{ op: string, inputs: Value[], output: Value, [attribute: string]: unknown }} Layer
 */
export class Network {
  /** @type {Layer[]} */
  layers = [];
  /** @type {Value[]} */
  outputs = [];
  macs = 0;
  #random;

  /**
   * @param {number[]} shape of the input: [1, h, w, c] or [1, features]
   * @param {number} centre the share of its mean that every filter loses. Deep networks of random filters and
   *   relus answer nearly the same to every image; filters nearer to zero mean keep images apart (and, all the
   *   way, would blow up every rounding error).
   */
  constructor(name, shape, seed, centre = 0) {
    this.name = name;
    this.centre = centre;
    this.input = { name: "input", shape, power: 0.25 };
    this.#random = new Random(seed);
  }

  /** [channels out, kernel h, kernel w, channels in]; `gain` multiplies the deviation. */
  conv(x, channels, kernel, { stride = 1, pad = "same", act = "relu", gain = 1, uneven = false } = {}) {
    const [, , , c] = x.shape;
    const [kh, kw] = pair(kernel);
    const fan = kh * kw * c;
    const kept = 1 - (this.centre * (2 - this.centre)) / Math.PI;
    const deviation = gain * Math.sqrt((act ? 2 : 1) / (fan * kept));
    const weights = centred(this.#random.normal(channels * fan, deviation), fan, this.centre);
    if (uneven) this.#scaleRows(weights, fan);
    return this.#convolve("conv", x, {
      kernel: [kh, kw],
      stride: pair(stride),
      pad,
      act,
      weights,
      weightShape: [channels, kh, kw, c],
      power: x.power * gain * gain,
    });
  }

  /** Filters [1, kernel h, kernel w, channels] around a mean: most channels keep their sign, as trained ones do. */
  depthwise(x, kernel, { stride = 1, pad = "same", act = "relu" } = {}) {
    const [, , , c] = x.shape;
    const [kh, kw] = pair(kernel);
    const taps = kh * kw;
    return this.#convolve("depthwise", x, {
      kernel: [kh, kw],
      stride: pair(stride),
      pad,
      act,
      weights: this.#random.normal(taps * c, 0.5 / Math.sqrt(taps), 1 / taps),
      weightShape: [1, kh, kw, c],
      power: x.power,
    });
  }

  #convolve(op, x, { power, ...layer }) {
    const [h, w] = windows(x, layer);
    const channels = op === "conv" ? layer.weightShape[0] : layer.weightShape[3];
    const bias = this.#random.normal(channels, 0.1 * Math.sqrt(power));
    this.macs += h * w * layer.weights.length;
    return this.#layer(op, [x], [1, h, w, channels], power, { ...layer, bias });
  }

  /** Weights [units, features]. */
  dense(x, units, { act = null, gain = 1, uneven = false } = {}) {
    const features = x.shape.at(-1);
    this.macs += units * features;
    const weights = this.#random.normal(units * features, gain * Math.sqrt((act ? 2 : 1) / features));
    if (uneven) this.#scaleRows(weights, features);
    return this.#layer("dense", [x], [1, units], x.power * gain * gain, {
      act,
      weights,
      weightShape: [units, features],
      bias: this.#random.normal(units, 0.1 * Math.sqrt(x.power)),
    });
  }

  /** Few rows large, most small: a few classes stand out, as they do in trained networks. */
  #scaleRows(weights, length) {
    for (let at = 0; at < weights.length; at += length) {
      const scale = 0.35 + 2.65 * this.#random.next() ** 24;
      for (let i = at; i < at + length; i++) weights[i] *= scale;
    }
  }

  /** A batch normalisation with nothing before it to fold into, and the relu after it. */
  norm(x) {
    const c = x.shape.at(-1);
    const deviation = Math.sqrt(x.power);
    return this.#layer("norm", [x], x.shape, 0.5, {
      act: "relu",
      /** What multiplying alone gives, where a format multiplies and adds apart. */
      scaled: { name: `scaled_${this.layers.length}`, shape: x.shape },
      epsilon: 1e-5,
      scale: this.#random.uniform(c, 0.5, 1.5),
      shift: this.#random.uniform(c, -0.1, 0.1),
      mean: this.#random.uniform(c, -0.1 * deviation, 0.1 * deviation),
      variance: this.#random.uniform(c, 0.75 * x.power, 1.25 * x.power),
    });
  }

  maxPool(x, kernel, stride, pad = "valid") {
    return this.#pool("maxPool", x, kernel, stride, pad);
  }
  averagePool(x, kernel, stride, pad = "valid") {
    return this.#pool("averagePool", x, kernel, stride, pad);
  }
  #pool(op, x, kernel, stride, pad) {
    const layer = { kernel: pair(kernel), stride: pair(stride), pad };
    return this.#layer(op, [x], [1, ...windows(x, layer), x.shape[3]], x.power, layer);
  }

  /** The mean of each channel: [1, c]. */
  mean(x) {
    return this.#layer("mean", [x], [1, x.shape[3]], x.power, {});
  }
  add(a, b, act = null) {
    return this.#layer("add", [a, b], a.shape, a.power + b.power, { act });
  }
  concat(xs, axis = 3) {
    const shape = xs[0].shape.with(
      axis,
      xs.reduce((n, x) => n + x.shape[axis], 0),
    );
    return this.#layer("concat", xs, shape, xs.reduce((p, x) => p + x.power, 0) / xs.length, { axis });
  }
  /** Zeros behind the last channel, up to `channels`. */
  padChannels(x, channels) {
    const [n, h, w, c] = x.shape;
    return this.#layer("padChannels", [x], [n, h, w, channels], x.power, { count: channels - c });
  }
  reshape(x, shape) {
    return this.#layer("reshape", [x], shape, x.power, {});
  }
  softmax(x) {
    return this.#layer("softmax", [x], x.shape, 1, {});
  }
  /**
   * Mean, dense layer and softmax. The weights have a seed of their own, chosen for clear winners: where random
   * classes tie, int8's roundings decide, which says nothing about an engine.
   */
  classify(x, classes, { gain, seed }) {
    const mean = this.mean(x);
    this.#random = new Random(seed);
    return this.finish(this.softmax(this.dense(mean, classes, { gain, uneven: true })));
  }
  finish(...outputs) {
    outputs.forEach((v, i) => {
      v.name = outputs.length > 1 ? `output_${i}` : "output";
    });
    this.outputs = outputs;
    return this;
  }

  #layer(op, inputs, shape, power, attributes) {
    const output = { name: `${op}_${this.layers.length}`, shape, power };
    this.layers.push({ op, inputs, output, ...attributes });
    return output;
  }
}

const pair = (v) => (Array.isArray(v) ? v : [v, v]);

/** Every run of `fan` weights less a share of its mean. Of a relu's mean square, 1/π is the square of its mean. */
function centred(weights, fan, share) {
  if (share)
    for (let at = 0; at < weights.length; at += fan) {
      const filter = weights.subarray(at, at + fan);
      const mean = (share * filter.reduce((a, b) => a + b, 0)) / fan;
      for (let i = 0; i < fan; i++) filter[i] -= mean;
    }
  return weights;
}

function windows(x, { kernel, stride, pad }) {
  return kernel.map((k, i) => {
    const size = x.shape[1 + i];
    return pad === "same" ? Math.ceil(size / stride[i]) : Math.floor((size - k) / stride[i]) + 1;
  });
}

/** @returns {number[]} zeros of a "same" window: [top, left, bottom, right], the odd one behind */
export function padding({ inputs: [x], kernel, stride, pad }) {
  if (pad !== "same") return [0, 0, 0, 0];
  const total = kernel.map((k, i) => {
    const size = x.shape[1 + i];
    return Math.max(0, (Math.ceil(size / stride[i]) - 1) * stride[i] + k - size);
  });
  const before = total.map((t) => t >> 1);
  return [...before, ...total.map((t, i) => t - before[i])];
}
