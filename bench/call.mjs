// What a call costs beyond its kernels: Model.run, awaited, against the sum of its steps as they are timed one by
// one, µs. Build first, then
//   node bench/call.mjs [network…] [--seconds 2]
// Networks are those of networks/ (the small ones where none is named). All figures are the best of many: "run"
// with fresh outputs, "into" with the caller's arrays, "device" without names, checks and promises; kernels: all
// steps of one run. Beyond them is copying the inputs in and the outputs out, too.
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { filesFor } from "./lib/models.mjs";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: "string", default: "2" } },
});
const dist = resolve(import.meta.dirname, "../packages/minnow/dist");
const { load } = await import(`${dist}/run.js`);
const { setup } = await import(`${dist}/setup.js`);
const { wasmDevice } = await import(`${dist}/runtime/wasm_device.js`);
const small = ["autoencoder", "ds_cnn", "resnet8", "vww", "blazeface"];
const turn = 8;

const sizeOf = ({ shape }) => shape.reduce((a, b) => a * b, 1);
const noise = (port) => Float32Array.from({ length: sizeOf(port) }, (_, i) => Math.sin(i * 0.37));

/** The same model twice: as an app has it, and its plan. */
async function open(bytes) {
  const graph = await setup.read(bytes.slice(), {});
  const options = { maxMemory: 2 ** 31, deterministic: false, fuse: true, threads: 1 };
  const plan = await (await wasmDevice.open(graph, options)).plan({});
  return { model: await load(bytes), plan };
}

async function measure({ model, plan }) {
  const inputs = plan.inputs.map(noise);
  const outputs = plan.outputs.map((p) => new Float32Array(sizeOf(p)));
  const record = Object.fromEntries(model.inputs.map((t, i) => [t.name, inputs[i]]));
  const into = Object.fromEntries(model.outputs.map((t, i) => [t.name, outputs[i].slice()]));
  const calls = {
    run: () => model.run(record),
    into: () => model.run(record, { into }),
    device: () => plan.run(inputs, outputs),
  };
  const best = Object.fromEntries(Object.keys(calls).map((k) => [k, Number.POSITIVE_INFINITY]));
  let sum = 0;
  const onStep = (_, ms) => {
    sum += ms;
  };
  best.kernels = Number.POSITIVE_INFINITY;
  for (const end = performance.now() + 1000 * flags.seconds; performance.now() < end; ) {
    for (const [name, call] of Object.entries(calls)) {
      for (let i = 0; i < turn; i++) {
        const t = performance.now();
        await call();
        best[name] = Math.min(best[name], performance.now() - t);
      }
    }
    for (let i = 0; i < turn; i++) {
      sum = 0;
      await plan.run(inputs, outputs, onStep);
      best.kernels = Math.min(best.kernels, sum);
    }
  }
  return { ...best, steps: plan.steps.length };
}

console.log(`Node ${process.version} (V8 ${process.versions.v8})`);
for (const name of positionals.length ? positionals : small) {
  const { paths } = await filesFor(name, { format: "minnow" });
  const m = await measure(await open(new Uint8Array(readFileSync(paths[0]))));
  const us = (ms) => `${(1000 * ms).toFixed(1)} µs`;
  console.log(
    `${name}: run ${us(m.run)}, into ${us(m.into)}, device ${us(m.device)}; ${m.steps} kernels ${us(m.kernels)}; ` +
      `beyond them ${us(m.run - m.kernels)}`,
  );
}
