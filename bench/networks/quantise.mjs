// Numbers of int8 networks, one set for TFLite and ONNX alike, by the rules of TFLite's converter: values get a
// scale and zero point from their range; what only moves or picks values keeps the scale of its input; filters
// are symmetric with a scale a channel, dense weights with one; a bias is int32 on input scale × weight scale.
import { readFileSync } from "node:fs";

const ranges = JSON.parse(readFileSync(new URL("ranges.json", import.meta.url), "utf8"));

/** Operators whose result is stored on the scale of what they read. */
const keeping = new Set(["maxPool", "averagePool", "concat", "padChannels", "reshape"]);

/** @typedef {{ scale: number, zeroPoint: number, max: number }} Parameters  real = scale · (int8 − zeroPoint) */

export class Quantisation {
  /** Value → the first of those it shares a scale with. */
  #leaders = new Map();
  /** @type {Map<object, [min: number, max: number]>} of leaders */
  #ranges = new Map();
  #fixed = new Map();

  /** @param {import("./network.mjs").Network} network one that ranges.json knows */
  constructor(network) {
    const known = ranges[network.name];
    if (!known) throw new Error(`no ranges of ${network.name}: run bench/networks/ranges.mjs`);
    for (const { op, inputs, output } of network.layers) {
      if (op === "softmax") this.#fixed.set(output, { scale: 1 / 256, zeroPoint: -128, max: 255 / 256 });
      if (keeping.has(op)) for (const x of inputs) this.#leaders.set(this.#leader(x), this.#leader(output));
    }
    for (const value of valuesOf(network)) this.#widen(this.#leader(value), known[value.name]);
  }

  #leader(value) {
    const next = this.#leaders.get(value);
    return next && next !== value ? this.#leader(next) : value;
  }

  #widen(leader, [low, high]) {
    const [min, max] = this.#ranges.get(leader) ?? [0, 0];
    this.#ranges.set(leader, [Math.min(min, low), Math.max(max, high)]);
  }

  /** @returns {Parameters} */
  of(value) {
    return this.#fixed.get(value) ?? asymmetric(this.#ranges.get(this.#leader(value)));
  }

  /** Whether storing `value` already cuts it as `activation` would. */
  cuts(value, activation) {
    const { zeroPoint, max } = this.of(value);
    return zeroPoint === -128 && (activation === "relu" || max <= 6);
  }

  /** @returns {{ data: Int8Array, scales: Float32Array, bias: Int32Array, biasScales: Float32Array }} */
  weights({ op, inputs, weights, bias }) {
    const channels = op === "dense" ? 1 : bias.length;
    const [channelStep, step] = op === "depthwise" ? [1, channels] : [weights.length / channels, 1];
    const scales = new Float32Array(channels);
    const data = new Int8Array(weights.length);
    for (let c = 0; c < channels; c++) {
      const [from, to] = [c * channelStep, op === "depthwise" ? weights.length : (c + 1) * channelStep];
      let peak = 0;
      for (let i = from; i < to; i += step) peak = Math.max(peak, Math.abs(weights[i]));
      scales[c] = peak / 127;
      for (let i = from; i < to; i += step) data[i] = Math.round(weights[i] / scales[c]);
    }
    const biasScales = scales.map((s) => s * this.of(inputs[0]).scale);
    const stored = Int32Array.from(bias, (b, c) => Math.round(b / biasScales[c % channels]));
    return { data, scales, bias: stored, biasScales };
  }

  /** A constant beside values: int8 with a scale and zero point of its own. */
  constant(data) {
    const { scale, zeroPoint } = asymmetric([Math.min(0, ...data), Math.max(0, ...data)]);
    return {
      data: Int8Array.from(data, (v) => Math.max(-128, Math.min(127, Math.round(v / scale) + zeroPoint))),
      quantised: { scales: [scale], zeroPoint },
    };
  }
}

/** Every value of a network that is stored: the input, results, and what a norm makes on its way. */
export function valuesOf({ input, layers }) {
  return [input, ...layers.flatMap(({ output, scaled }) => (scaled ? [scaled, output] : [output]))];
}

function asymmetric([min, max]) {
  const scale = Math.fround((max - min) / 255);
  return { scale, zeroPoint: Math.round(-128 - min / scale), max };
}
