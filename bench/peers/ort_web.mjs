// ONNX Runtime Web, WebAssembly provider. There is one build: SIMD and threads; without cross-origin
// isolation it drops to one thread by itself. The page takes the wasm-only bundle, the smallest.
import { session } from "./ort_session.mjs";

export async function load({ name, files, threads, assets }) {
  const ort = await import("onnxruntime-web/wasm");
  if (assets) ort.env.wasm.wasmPaths = assets;
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = "error";
  return session(ort, name ?? files.pop(), { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
}
