// ONNX Runtime Web in Node: the entry that its package gives to Node, whose threads are Node's workers; the
// browser's bundle (ort_web.mjs) fetches its worker, which Node cannot. On one thread both are as fast.
import { session } from "./ort_session.mjs";

export async function load({ name, files, threads }) {
  const ort = await import("onnxruntime-web");
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  return session(ort, name ?? files.pop(), { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
}
