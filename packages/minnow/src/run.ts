// minnow/run: loads and runs .minnow files, and nothing else: no reader of other formats, no passes,
// no reference. For pages that ship a converted model.
import { loadWith, type WorkerStart } from "./runtime/load.js";
import type { LoadOptions, Model, ModelSource } from "./runtime/types.js";
import { setup } from "./setup_run.js";

/** Written so that Vite, webpack and others see the worker and bundle it. */
const start: WorkerStart = {
  web: () => new Worker(new URL("./worker_run.js", import.meta.url), { type: "module" }),
  file: "worker_run.js",
};

/**
 * Loads a .minnow file from a path (Node), a URL, bytes, a Blob or a Response.
 * @throws ModelError
 */
export function load(source: ModelSource, options?: LoadOptions): Promise<Model> {
  return loadWith(setup, start, source, options);
}

export { type ErrorCode, ModelError, type Problem } from "./error.js";
export type * from "./runtime/public.js";
