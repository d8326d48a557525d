// The five networks of the headline table with seeded weights, as ONNX: SqueezeNet 1.0, MobileNet v1
// and v2 1.0 224, ResNet v2 50, Inception v3 299. One description a network.
//   node networks.mjs DIR [name…]
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeModel } from "./onnx_writer.mjs";

class Network {
  nodes = [];
  weights = [];
  macs = 0;
  constructor(name, size, seed) {
    this.name = name;
    this.input = { name: "input", shape: [1, 3, size, size] };
    this.state = seed >>> 0;
    this.start = { id: "input", c: 3, h: size, w: size };
  }
  random() {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return this.state / 2 ** 32;
  }
  /** Roughly normal. */
  normal(n, deviation) {
    return Float32Array.from(
      { length: n },
      () => (this.random() + this.random() + this.random() - 1.5) * 2 * deviation,
    );
  }
  uniform(n, low, width) {
    return Float32Array.from({ length: n }, () => low + width * this.random());
  }
  weight(shape, data) {
    const name = `w${this.weights.length}`;
    this.weights.push({ name, shape, data });
    return name;
  }
  node(op, inputs, attrs = {}) {
    const output = `t${this.nodes.length}`;
    this.nodes.push({ op, inputs, attrs, output });
    return output;
  }
  activation(x, act) {
    if (!act) return x;
    if (act === "relu") return { ...x, id: this.node("Relu", [x.id]) };
    this.zero ??= this.weight([], Float32Array.of(0));
    this.six ??= this.weight([], Float32Array.of(6));
    return { ...x, id: this.node("Clip", [x.id, this.zero, this.six]) };
  }
  window(x, [kh, kw], stride, pad) {
    if (pad === "valid")
      return {
        h: Math.floor((x.h - kh) / stride) + 1,
        w: Math.floor((x.w - kw) / stride) + 1,
        pads: [0, 0, 0, 0],
      };
    const [h, w] = [Math.ceil(x.h / stride), Math.ceil(x.w / stride)];
    const [ph, pw] = [Math.max(0, (h - 1) * stride + kh - x.h), Math.max(0, (w - 1) * stride + kw - x.w)];
    return { h, w, pads: [ph >> 1, pw >> 1, ph - (ph >> 1), pw - (pw >> 1)] };
  }
  conv(x, channels, kernel, { stride = 1, pad = "same", group = 1, act = "relu" } = {}) {
    const k = Array.isArray(kernel) ? kernel : [kernel, kernel];
    const fan = (x.c / group) * k[0] * k[1];
    const w = this.weight([channels, x.c / group, ...k], this.normal(channels * fan, Math.sqrt(2 / fan)));
    const b = this.weight([channels], this.normal(channels, 0.1));
    const at = this.window(x, k, stride, pad);
    this.macs += at.h * at.w * channels * fan;
    const id = this.node("Conv", [x.id, w, b], {
      kernel_shape: k,
      strides: [stride, stride],
      pads: at.pads,
      group,
      dilations: [1, 1],
    });
    return this.activation({ id, c: channels, h: at.h, w: at.w }, act);
  }
  depthwise(x, stride, act) {
    return this.conv(x, x.c, 3, { stride, group: x.c, act });
  }
  pool(x, op, k, stride, pad = "valid") {
    const at = this.window(x, [k, k], stride, pad);
    return {
      id: this.node(op, [x.id], { kernel_shape: [k, k], strides: [stride, stride], pads: at.pads }),
      c: x.c,
      h: at.h,
      w: at.w,
    };
  }
  norm(x) {
    const [scale, mean, shift, variance] = [
      this.uniform(x.c, 0.5, 1),
      this.uniform(x.c, -0.1, 0.2),
      this.uniform(x.c, -0.1, 0.2),
      this.uniform(x.c, 0.5, 1),
    ];
    const parts = [scale, shift, mean, variance].map((d) => this.weight([x.c], d));
    return this.activation(
      { ...x, id: this.node("BatchNormalization", [x.id, ...parts], { epsilon: 1e-5 }) },
      "relu",
    );
  }
  add(a, b) {
    return { ...a, id: this.node("Add", [a.id, b.id]) };
  }
  concat(...xs) {
    return {
      ...xs[0],
      c: xs.reduce((s, x) => s + x.c, 0),
      id: this.node(
        "Concat",
        xs.map((x) => x.id),
        { axis: 1 },
      ),
    };
  }
  classify(x, classes) {
    const flat = this.node("Flatten", [this.node("GlobalAveragePool", [x.id])], { axis: 1 });
    const w = this.weight([classes, x.c], this.normal(classes * x.c, Math.sqrt(1 / x.c)));
    const b = this.weight([classes], this.normal(classes, 0.05));
    this.macs += classes * x.c;
    return this.finish(this.node("Gemm", [flat, w, b], { transB: 1 }), classes);
  }
  finish(logits, classes) {
    this.output = { name: this.node("Softmax", [logits], { axis: 1 }), shape: [1, classes] };
    return this;
  }
}

function squeezenet() {
  const n = new Network("squeezenet", 224, 1);
  const fire = (x, squeeze, expand) => {
    const s = n.conv(x, squeeze, 1);
    return n.concat(n.conv(s, expand, 1), n.conv(s, expand, 3));
  };
  let x = n.pool(n.conv(n.start, 96, 7, { stride: 2, pad: "valid" }), "MaxPool", 3, 2);
  for (const [s, e] of [
    [16, 64],
    [16, 64],
    [32, 128],
  ])
    x = fire(x, s, e);
  x = n.pool(x, "MaxPool", 3, 2);
  for (const [s, e] of [
    [32, 128],
    [48, 192],
    [48, 192],
    [64, 256],
  ])
    x = fire(x, s, e);
  x = n.conv(fire(n.pool(x, "MaxPool", 3, 2), 64, 256), 1000, 1);
  return n.finish(n.node("Flatten", [n.node("GlobalAveragePool", [x.id])], { axis: 1 }), 1000);
}

function mobilenet_v1() {
  const n = new Network("mobilenet_v1", 224, 2);
  let x = n.conv(n.start, 32, 3, { stride: 2, act: "relu6" });
  const blocks = [
    [1, 64],
    [2, 128],
    [1, 128],
    [2, 256],
    [1, 256],
    [2, 512],
    ...Array(5).fill([1, 512]),
    [2, 1024],
    [1, 1024],
  ];
  for (const [stride, c] of blocks) x = n.conv(n.depthwise(x, stride, "relu6"), c, 1, { act: "relu6" });
  return n.classify(x, 1001);
}

function mobilenet_v2() {
  const n = new Network("mobilenet_v2", 224, 3);
  let x = n.conv(n.start, 32, 3, { stride: 2, act: "relu6" });
  for (const [expand, c, repeat, first] of [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
  ])
    for (let i = 0; i < repeat; i++) {
      const stride = i ? 1 : first;
      const wide = expand === 1 ? x : n.conv(x, x.c * expand, 1, { act: "relu6" });
      const y = n.conv(n.depthwise(wide, stride, "relu6"), c, 1, { act: null });
      x = stride === 1 && x.c === c ? n.add(y, x) : y;
    }
  return n.classify(n.conv(x, 1280, 1, { act: "relu6" }), 1001);
}

function resnet_v2_50() {
  const n = new Network("resnet_v2_50", 224, 4);
  let x = n.pool(n.conv(n.start, 64, 7, { stride: 2, act: null }), "MaxPool", 3, 2, "same");
  for (const [c, repeat, last] of [
    [64, 3, 2],
    [128, 4, 2],
    [256, 6, 2],
    [512, 3, 1],
  ])
    for (let i = 0; i < repeat; i++) {
      const stride = i === repeat - 1 ? last : 1;
      const p = n.norm(x);
      const shortcut =
        i === 0
          ? n.conv(p, c * 4, 1, { stride, act: null })
          : stride > 1
            ? n.pool(x, "MaxPool", 1, stride, "same")
            : x;
      x = n.add(n.conv(n.conv(n.conv(p, c, 1), c, 3, { stride }), c * 4, 1, { act: null }), shortcut);
    }
  return n.classify(n.norm(x), 1001);
}

function inception_v3() {
  const n = new Network("inception_v3", 299, 5);
  const valid = { pad: "valid" };
  const conv = (x, ...layers) => layers.reduce((y, [c, k, o]) => n.conv(y, c, k, o), x);
  const average = (x) => n.pool(x, "AveragePool", 3, 1, "same");
  let x = conv(n.start, [32, 3, { stride: 2, ...valid }], [32, 3, valid], [64, 3]);
  x = conv(n.pool(x, "MaxPool", 3, 2), [80, 1, valid], [192, 3, valid]);
  x = n.pool(x, "MaxPool", 3, 2);
  for (const p of [32, 64, 64])
    x = n.concat(
      conv(x, [64, 1]),
      conv(x, [48, 1], [64, 5]),
      conv(x, [64, 1], [96, 3], [96, 3]),
      conv(average(x), [p, 1]),
    );
  const half = { stride: 2, ...valid };
  x = n.concat(conv(x, [384, 3, half]), conv(x, [64, 1], [96, 3], [96, 3, half]), n.pool(x, "MaxPool", 3, 2));
  for (const c of [128, 160, 160, 192])
    x = n.concat(
      conv(x, [192, 1]),
      conv(x, [c, 1], [c, [1, 7]], [192, [7, 1]]),
      conv(x, [c, 1], [c, [7, 1]], [c, [1, 7]], [c, [7, 1]], [192, [1, 7]]),
      conv(average(x), [192, 1]),
    );
  x = n.concat(
    conv(x, [192, 1], [320, 3, half]),
    conv(x, [192, 1], [192, [1, 7]], [192, [7, 1]], [192, 3, half]),
    n.pool(x, "MaxPool", 3, 2),
  );
  for (let i = 0; i < 2; i++) {
    const [a, b] = [conv(x, [384, 1]), conv(x, [448, 1], [384, 3])];
    const both = (y) => n.concat(conv(y, [384, [1, 3]]), conv(y, [384, [3, 1]]));
    x = n.concat(conv(x, [320, 1]), both(a), both(b), conv(average(x), [192, 1]));
  }
  return n.classify(x, 1001);
}

const networks = { squeezenet, mobilenet_v1, mobilenet_v2, resnet_v2_50, inception_v3 };
export const names = Object.keys(networks);

/** @returns {{ bytes: Uint8Array, macs: number, shape: number[] }} the network as ONNX */
export function network(name) {
  const n = networks[name]();
  return { bytes: writeModel(n), macs: n.macs, shape: n.input.shape };
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const [dir = ".", ...only] = process.argv.slice(2);
  mkdirSync(dir, { recursive: true });
  for (const name of only.length ? only : names) {
    const { bytes, macs } = network(name);
    writeFileSync(join(dir, `${name}.onnx`), bytes);
    console.log(name, `${(macs / 1e6).toFixed(0)} MMAC, ${(bytes.length / 1e6).toFixed(1)} MB`);
  }
}
