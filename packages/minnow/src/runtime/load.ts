// load(): source → bytes, then a model here or in a worker.
import { ModelError } from "../error.js";
import { loadHere, type Setup } from "./load_here.js";
import { isNode, startThread } from "./node.js";
import type { Transport } from "./protocol.js";
import { canShare } from "./sharing.js";
import { openSource } from "./source.js";
import type { LoadOptions, Model, ModelSource } from "./types.js";

/** A worker that serves the same setup. It must not be part of the setup: a worker that names its own
 * file is more than some bundlers can take. */
export interface WorkerStart {
  readonly web: () => Worker;
  /** For Node: the file beside the entry points. */
  readonly file: string;
}

/**
 * @throws ModelError io, unknown_format, bad_file, unsupported (with all `problems`), device,
 * out_of_memory, bad_option, aborted
 */
export async function loadWith(
  setup: Setup,
  start: WorkerStart,
  source: ModelSource,
  options: LoadOptions = {},
): Promise<Model> {
  checkOptions(options);
  const { signal, onProgress, threads = 1 } = options;
  const { memory, wait } = canShare();
  // Several threads wait for each other, which a page's main thread must not: the model lives in a worker.
  const { worker = threads > 1 && memory && !wait } = options;
  if (!worker) return loadHere(setup, await openSource(source, { signal, onProgress }), options);
  const transport = worker === true ? await startWorker(start) : worker;
  // Only pages that use workers pay for this part (no worker or service worker context needs it).
  const { loadRemote } = await import("./remote.js");
  return loadRemote(transport, source, options);
}

async function startWorker({ web, file }: WorkerStart): Promise<Transport> {
  if (isNode() && typeof Worker === "undefined") return startThread(file);
  try {
    return web();
  } catch (cause) {
    throw new ModelError(
      "device",
      `no worker could be started: ${cause instanceof Error ? cause.message : cause}`,
      {
        hint: "give a Worker of your own: { worker: new Worker(…) }",
        cause,
      },
    );
  }
}

function checkOptions(o: LoadOptions): void {
  if (o === null || typeof o !== "object") throw new ModelError("bad_option", "options must be an object");
  const positive = (name: string, v: number | undefined, whole: boolean): void => {
    if (v !== undefined && !(whole ? Number.isInteger(v) && v > 0 : v > 0))
      throw new ModelError(
        "bad_option",
        `${name} is ${String(v)}, not a positive ${whole ? "integer" : "number"}`,
      );
  };
  positive("threads", o.threads, true);
  positive("maxMemory", o.maxMemory, false);
  positive("maxOperations", o.maxOperations, false);
  if (o.memory !== undefined && o.memory !== "small")
    throw new ModelError("bad_option", `memory is ${String(o.memory)}, not "small"`);
}
