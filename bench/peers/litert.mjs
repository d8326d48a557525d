// LiteRT.js: TensorFlow Lite with XNNPACK. The threaded build only where threads are asked for (it is
// slower on one). The public API refuses int8, int16 and int64 tensors in its JavaScript layer alone, so
// such models run by the bindings underneath it.
import * as litert from "@litertjs/core";

export async function load({ files, threads, assets, quantized }) {
  const runtime = await litert.loadLiteRt(assets, { threads: threads > 1 });
  const bytes = files.pop();
  const cpuOptions = { numThreads: threads };
  if (quantized) return raw(runtime, bytes, cpuOptions);
  const model = await litert.loadAndCompile(bytes, { accelerator: "wasm", cpuOptions });
  const inputs = model.getInputDetails().map(({ dtype, shape }) => ({
    dtype,
    shape: [...shape].map((d) => (d > 0 ? d : 1)),
  }));
  return {
    info: `${runtime.liteRtWasm.getThreadCount()} threads, ${model.isFullyAccelerated ? "all" : "not all"} on XNNPACK`,
    inputs,
    async run(x) {
      const tensors = x.map((a, i) => new litert.Tensor(a, inputs[i].shape));
      const out = await model.run(tensors);
      const arrays = out.map((t) => t.toTypedArray().slice());
      for (const t of [...tensors, ...out]) t.delete();
      return arrays;
    },
  };
}

/** LiteRT's element types, by number. */
const types = {
  1: ["float32", Float32Array],
  2: ["int32", Int32Array],
  3: ["uint8", Uint8Array],
  4: ["int64", BigInt64Array],
  6: ["bool", Uint8Array],
  7: ["int16", Int16Array],
  9: ["int8", Int8Array],
};

async function raw(runtime, bytes, cpuOptions) {
  const w = runtime.liteRtWasm;
  const environment = litert.getDefaultEnvironment();
  const env = environment.liteRtEnvironment;
  const at = w._malloc(bytes.length);
  w.HEAPU8.set(bytes, at);
  const model = w.loadModel(env, at, bytes.length);
  const compiled = await w.compileModel(env, model, {
    environment,
    accelerator: "wasm",
    cpuOptions,
    gpuOptions: {},
    webNNOptions: {},
  });
  const { WRITE, READ } = w.LiteRtTensorBufferLockMode;
  const buffers = [];
  const inputs = [];
  for (let i = 0; i < model.getSignature(0).inputNames().size(); i++) {
    const type = model.getInputTensorType(0, i);
    const t = describe(type);
    inputs.push(t);
    const bytesOf = t.shape.reduce((a, b) => a * b, 1) * t.array.BYTES_PER_ELEMENT;
    const kind = w.LiteRtTensorBufferType.HOST_MEMORY;
    buffers.push(w.LiteRtTensorBuffer.createManaged(env, kind, type, bytesOf));
  }
  return {
    info: "below the public API",
    inputs: inputs.map(({ dtype, shape }) => ({ dtype, shape })),
    async run(x) {
      for (const [i, a] of x.entries()) {
        w.HEAPU8.set(new Uint8Array(a.buffer, a.byteOffset, a.byteLength), buffers[i].lock(WRITE));
        buffers[i].unlock();
      }
      const out = await compiled.run(0, buffers);
      return out.map((buffer) => {
        const { array } = describe(buffer.tensorType());
        const p = buffer.lock(READ);
        const values = new array(w.HEAPU8.slice(p, p + buffer.packedSize()).buffer);
        buffer.unlock();
        buffer.delete();
        return values;
      });
    },
  };
}

function describe(type) {
  const dims = type.layout().dimensions();
  const shape = Array.from({ length: dims.size() }, (_, i) => Math.max(1, dims.get(i)));
  const [dtype, array] = types[type.elementType().value];
  return { dtype, shape, array };
}
