// The bench's networks by name, and each of their forms.
import { five } from "./five.mjs";
import { toOnnx } from "./onnx.mjs";
import { Quantisation } from "./quantise.mjs";
import { small } from "./small.mjs";
import { toTfjs } from "./tfjs.mjs";
import { toTflite } from "./tflite.mjs";

const networks = { ...five, ...small };
/** The networks of the headline table. */
export const names = Object.keys(five);
export const smallNames = Object.keys(small);

/** @returns {import("./network.mjs").Network} described anew, weights drawn from its own seed */
export function describe(name) {
  const make = networks[name];
  if (!make) throw new Error(`no network "${name}"; there are ${Object.keys(networks).join(", ")}`);
  return make();
}

/** @returns {{ bytes: Uint8Array, macs: number, shape: number[] }} as ONNX, and the shape of its input there */
export function network(name) {
  const n = describe(name);
  const { shape } = n.input;
  return {
    bytes: toOnnx(n),
    macs: n.macs,
    shape: shape.length === 4 ? [0, 3, 1, 2].map((i) => shape[i]) : shape,
  };
}

const within = (folder, files) =>
  Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`${folder}/${name}`, bytes]));

/** Forms of a network by what is written: each gives the files it consists of. */
export const forms = {
  onnx: (n) => ({ [`${n.name}.onnx`]: toOnnx(n) }),
  tflite: (n) => ({ [`${n.name}.tflite`]: toTflite(n) }),
  tfjs: (n) => within(`${n.name}.tfjs`, toTfjs(n)),
  "int8.tflite": (n) => ({ [`${n.name}.int8.tflite`]: toTflite(n, new Quantisation(n)) }),
  "int8.onnx": (n) => ({ [`${n.name}.int8.onnx`]: toOnnx(n, new Quantisation(n)) }),
};
