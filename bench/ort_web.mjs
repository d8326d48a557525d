// Minnow beside ONNX Runtime Web in Node, one thread, in turns: median ms (min–max) and the ratio.
//   cd bench && npm ci && node ort_web.mjs [squeezenet mobilenet_v1 …] [--rounds 5] [--seconds 1]
// Answers are compared before anything is timed. The head names CPU and engine.
import os from "node:os";
import * as ort from "onnxruntime-web";
import { load } from "../packages/minnow/dist/index.js";
import { network } from "./networks.mjs";

const args = process.argv.slice(2);
const option = (name, or) => {
  const i = args.indexOf(name);
  return i < 0 ? or : Number(args.splice(i, 2)[1]);
};
const rounds = option("--rounds", 5);
const seconds = option("--seconds", 1);
const only = args.length ? args : ["squeezenet", "mobilenet_v1", "mobilenet_v2"];
ort.env.wasm.numThreads = 1;

const median = (a) => [...a].sort((x, y) => x - y)[a.length >> 1];
async function time(run) {
  const times = [];
  for (const end = performance.now() + seconds * 1000; performance.now() < end || times.length < 3; ) {
    const t = performance.now();
    await run();
    times.push(performance.now() - t);
  }
  return times;
}

console.log(
  `${os.cpus()[0].model}, Node ${process.version} (V8 ${process.versions.v8}), 1 thread, ${rounds} rounds of ${seconds} s`,
);
const ratios = [];
for (const name of only) {
  const { bytes, macs, shape } = network(name);
  const data = Float32Array.from(
    { length: shape.reduce((a, b) => a * b) },
    (_, i) => Math.sin(i * 0.37) * 0.9,
  );
  const session = await ort.InferenceSession.create(bytes);
  const model = await load(bytes);
  const input = model.inputs[0].name;
  const peer = async () =>
    (await session.run({ [session.inputNames[0]]: new ort.Tensor("float32", data, shape) }))[
      session.outputNames[0]
    ].data;
  const ours = async () => (await model.run({ [input]: data }))[model.outputs[0].name].data;
  const [a, b] = [await ours(), await peer()];
  const largest = b.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  const error = a.reduce((m, v, i) => Math.max(m, Math.abs(v - b[i])), 0) / largest;
  if (!(error < 1e-3)) throw new Error(`${name}: answers differ by ${error} of the peak`);
  const times = { ours: [], peer: [] };
  for (let r = 0; r < rounds; r++)
    for (const [key, run] of r % 2
      ? [
          ["peer", peer],
          ["ours", ours],
        ]
      : [
          ["ours", ours],
          ["peer", peer],
        ])
      times[key].push(...(await time(run)));
  const show = (t) => `${median(t).toFixed(2)} (${Math.min(...t).toFixed(2)}–${Math.max(...t).toFixed(2)})`;
  const ratio = median(times.peer) / median(times.ours);
  ratios.push(ratio);
  console.log(
    `${name.padEnd(14)} minnow ${show(times.ours)} ms, ${((2 * macs) / median(times.ours) / 1e6).toFixed(0)} GFLOPS; ` +
      `onnxruntime-web ${show(times.peer)} ms; ratio ${ratio.toFixed(2)} (best ${(Math.min(...times.peer) / Math.min(...times.ours)).toFixed(2)}); error ${error.toExponential(1)}`,
  );
  await model.dispose();
  await session.release();
}
console.log(
  `geometric mean ${Math.exp(ratios.reduce((s, r) => s + Math.log(r), 0) / ratios.length).toFixed(2)}`,
);
