// The worker's side of protocol.ts: holds one model and answers requests. worker.ts and worker_run.ts
// call it with what they can read and run.
import { ModelError } from "../error.js";
import { asModelError } from "./events.js";
import { loadHere, type Setup } from "./load_here.js";
import { isNode, parentPort } from "./node.js";
import { type Abort, type FromWorker, packError, type ToWorker } from "./protocol.js";
import { helper, type ToThread } from "./thread.js";
import { openSource } from "./source.js";
import type { LoadOptions, Model, ModelOutputs, RunOptions } from "./types.js";

type Post = (message: FromWorker, transfer?: Transferable[]) => void;

interface WorkerScope {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: "message", listener: (e: { data: unknown }) => void): void;
}

/** Starts to listen. In a web worker at once: messages that came before would be lost. */
export function serve(setup: Setup, _bundled: readonly unknown[] = []): void {
  if (isNode() && !("WorkerGlobalScope" in globalThis)) {
    void parentPort().then((port) => {
      const answer = roles(setup, (message, transfer = []) => port?.postMessage(message, transfer));
      port?.on("message", answer);
    });
    return;
  }
  const scope = globalThis as unknown as WorkerScope;
  const answer = roles(setup, (message, transfer = []) => scope.postMessage(message, transfer));
  scope.addEventListener("message", (e) => answer(e.data));
}

/** It serves a model, or becomes a helper thread of one that another worker of this script serves. */
function roles(setup: Setup, post: (message: unknown, transfer?: Transferable[]) => void) {
  const serving = server(setup, post);
  let helping: ReturnType<typeof helper> | undefined;
  return (message: unknown): void => {
    if ((message as ToThread | null)?.minnow === "thread") helping = helper(post);
    if (helping) helping(message as ToThread);
    else serving(message as ToWorker);
  };
}

/** Handles requests; answers through `post`. */
export function server(setup: Setup, post: Post): (message: ToWorker) => void {
  let model: Model | null = null;
  const aborts = new Map<number, AbortController>();

  const need = (): Model => {
    if (!model) throw new ModelError("internal", "no model is loaded in this worker");
    return model;
  };

  async function call(m: ToWorker, abort: AbortController): Promise<FromWorker> {
    const minnow = m.minnow;
    switch (m.call) {
      case "load": {
        const options: LoadOptions = {
          ...m.options,
          signal: abort.signal,
          ...(m.events && { onEvent: (event) => post({ minnow: "event", event }) }),
          ...(m.progress && { onProgress: (progress) => post({ minnow: "progress", progress }) }),
        };
        // Bytes were read, and told of, on the other side.
        const source = m.source instanceof Uint8Array ? m.source : await openSource(m.source, options);
        const loaded = await loadHere(setup, source, options);
        model = loaded;
        const { inputs, outputs, metadata } = loaded;
        return { minnow, value: { inputs, outputs, metadata }, report: loaded.report() };
      }
      case "run":
        return { minnow, value: await need().run(m.inputs, options(m, abort)), ...news() };
      case "profile": {
        const runs = m.runs === undefined ? {} : { runs: m.runs };
        const profile = await need().profile(m.inputs, { ...options(m, abort), ...runs });
        return { minnow, value: profile, ...news() };
      }
      case "resize":
        await need().resize(m.shapes);
        return { minnow, value: null, ...news() };
      default:
        await model?.dispose();
        return { minnow, value: null };
    }
  }

  let told = "";
  /** The report, when it has changed since it was last told. */
  const news = (): { report?: ReturnType<Model["report"]> } => {
    const report = need().report();
    const key = JSON.stringify([
      report.plans,
      report.kernels,
      report.memory.total,
      report.shapes,
      report.threads,
    ]);
    if (key === told) return {};
    told = key;
    return { report };
  };

  return (m) => {
    if (typeof m?.minnow !== "number") return;
    if (m.call === "abort") {
      aborts.get(m.minnow)?.abort();
      return;
    }
    const abort = new AbortController();
    aborts.set(m.minnow, abort);
    call(m, abort)
      .then(
        (answer) =>
          post(answer, m.call === "run" && "value" in answer ? buffersOf(answer.value as ModelOutputs) : []),
        (e: unknown) => post({ minnow: m.minnow, error: packError(asModelError(e, m.call)) }),
      )
      .finally(() => aborts.delete(m.minnow));
  };
}

/** With a signal only where the caller has one: a run with a signal is run step by step. */
function options(
  { signature, abort: flag }: { signature: string | undefined; abort: Abort },
  { signal }: AbortController,
): RunOptions {
  if (typeof flag === "object") {
    const word = new Int32Array(flag);
    Object.defineProperty(signal, "aborted", { get: () => Atomics.load(word, 0) === 1 });
  }
  return { ...(signature !== undefined && { signature }), ...(flag && { signal }) };
}

const buffersOf = (outputs: ModelOutputs): Transferable[] => [
  ...new Set(
    Object.values(outputs).flatMap(({ data }) => (Array.isArray(data) ? [] : [data.buffer as ArrayBuffer])),
  ),
];
