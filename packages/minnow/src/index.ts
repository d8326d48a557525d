// minnow: load and run models of every format that can be read, and convert them.
import { loadWith, type WorkerStart } from "./runtime/load.js";
import type { LoadOptions, Model, ModelSource } from "./runtime/types.js";
import { setup } from "./setup.js";

/** Written so that Vite, webpack and others see the worker and bundle it. */
const start: WorkerStart = {
  web: () => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }),
  file: "worker.js",
};

/**
 * Loads a model (.minnow, .tflite, .onnx: told apart by content) from a path (Node), a URL, bytes, a
 * Blob or a Response.
 * @throws ModelError
 * @example
 * await using model = await load("mobilenet.tflite");
 * const { scores } = await model.run({ image: pixels });
 */
export function load(source: ModelSource, options?: LoadOptions): Promise<Model> {
  return loadWith(setup, start, source, options);
}

export { convert, type ConvertOptions } from "./convert.js";
export { type ErrorCode, ModelError, type Problem } from "./error.js";
export type * from "./runtime/public.js";
