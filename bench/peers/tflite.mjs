// @tensorflow/tfjs-tflite: TensorFlow Lite with XNNPACK. Its model runner is called directly, which is
// faster than going through TensorFlow.js tensors. It picks its threaded build wherever a page is isolated.
// (The package's module field names files that it does not bring; this one is whole.)
import * as tflite from "@tensorflow/tfjs-tflite/dist/tf-tflite.fesm.min.js";

export async function load({ files, threads, assets }) {
  tflite.setWasmPath(assets);
  const { buffer } = files.pop();
  const { modelRunner } = await tflite.loadTFLiteModel(buffer, { numThreads: threads });
  const ins = modelRunner.getInputs();
  const outs = modelRunner.getOutputs();
  return {
    info: JSON.stringify(await tflite.getWasmFeatures()),
    inputs: ins.map(({ dataType, shape }) => ({
      dtype: dataType,
      shape: shape.split(",").map((d) => Math.max(1, Number(d))),
    })),
    run(x) {
      for (const [i, t] of ins.entries()) t.data().set(x[i]);
      if (!modelRunner.infer()) throw new Error("infer() returned false");
      return outs.map((t) => t.data().slice());
    },
  };
}
