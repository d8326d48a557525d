// From a model file of any known format to a Graph, optimised, and to a .minnow file. The same bytes
// give the same file, in Node and in the browser.
//
//   source ─ readSource ─▶ bytes ─ detectFormat, reader ─▶ Graph ─ optimize ─▶ Graph ─ writeMinnow ─▶ bytes
import { ModelError } from "./error.js";
import { detectFormat, type Format } from "./formats/detect.js";
import { readMinnow } from "./formats/minnow/reader.js";
import { readOnnx } from "./formats/onnx/index.js";
import { readTflite } from "./formats/tflite/reader.js";
import type { Graph } from "./graph/graph.js";
import { optimize } from "./passes/index.js";
import { restoreTensors } from "./passes/restore.js";
import { readSource } from "./runtime/source.js";
import type { EngineName } from "./targets/wasm/engine.js";
import { fixShapes, type GraphChanges, selectOutputs } from "./runtime/specialize.js";
import type { ModelSource, Progress } from "./runtime/types.js";

export type ConvertEvent =
  | {
      readonly type: "read";
      readonly ms: number;
      readonly bytes: number;
      readonly format: string;
      readonly nodes: number;
    }
  | { readonly type: "pass"; readonly ms: number; readonly name: string; readonly rewrites: number }
  | {
      readonly type: "precompile";
      readonly ms: number;
      /** What the file grows by; 0 where it goes without, for this reason. */
      readonly bytes: number;
      readonly reason?: string;
    }
  | { readonly type: "write"; readonly ms: number; readonly bytes: number; readonly nodes: number };

export interface GraphOptions extends GraphChanges {
  /** false: leave the graph as the reader made it. Default true. */
  optimize?: boolean;
  /** Keep what training needs: no rewrite that holds for inference only. */
  training?: boolean;
  onEvent?: (event: ConvertEvent) => void;
}

export interface ConvertOptions extends GraphOptions {
  /**
   * Plans and code for these engines go into the file: its first answer comes two to three times as soon, and
   * a page that loads such files alone downloads a third of the library. It grows by some 0.1 MB an engine (20 KB
   * as brotli). true: engines with fused multiply-add (Chromium, Firefox, Node ≥ 22), on x86 and on Arm, and those without;
   * "auto": so, if the file grows by 7.5 % at most. Input shapes must be known (`shapes`, `dims`). Where it cannot be done
   * the file goes without, and onEvent is told why. Default: no.
   */
  precompile?: boolean | "auto" | readonly EngineName[];
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/** Told the inputs before the rest is read, where that depends on their sizes. */
type Fix = (inputs: Graph) => void;

const readers: Partial<Record<Format, (bytes: Uint8Array, fix?: Fix) => Graph>> = {
  tflite: (bytes) => readTflite(bytes),
  onnx: (bytes, fix) => readOnnx(bytes, undefined, fix),
  minnow: (bytes) => readMinnow(bytes),
};

/**
 * Converts a model to the bytes of a .minnow file.
 * @throws ModelError io, unknown_format, bad_file, bad_graph, bad_shape, bad_option, aborted, or
 * "unsupported" with every problem listed
 */
export async function convert(
  source: ModelSource,
  options: ConvertOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const { signal, onProgress } = options;
  const bytes = await readSource(source, { signal, onProgress });
  const graph = toGraph(bytes, options);
  if (signal?.aborted) throw new ModelError("aborted", "the call was aborted", { cause: signal.reason });
  const start = performance.now();
  const { writeMinnow } = await import("./formats/minnow/writer.js"); // for those who write files
  let file = writeMinnow(graph);
  if (options.precompile) {
    const { addPrecompiled } = await import("./precompile.js");
    file = await addPrecompiled(graph, file, options.precompile, options.onEvent);
  }
  options.onEvent?.({
    type: "write",
    ms: performance.now() - start,
    bytes: file.length,
    nodes: graph.nodes.length,
  });
  return file;
}

/**
 * Reads a model file of any known format, as its source says it. Constants may be views of `bytes`.
 * @throws ModelError unknown_format, bad_file, bad_graph, bad_shape, unsupported
 */
export function read(bytes: Uint8Array, fix?: Fix): Graph {
  const format = detectFormat(bytes);
  const reader = format && readers[format];
  if (reader) return reader(bytes, fix);
  const hint = `${Object.keys(readers).join(", ")} files can be read`;
  if (format)
    throw new ModelError("unknown_format", `${format} files cannot be read by this version`, { hint });
  throw new ModelError(
    "unknown_format",
    bytes.length === 0 ? "the file is empty" : "not a model file of a known format",
    { hint },
  );
}

/** Reads and optimises: the graph that `load` runs and `convert` writes. */
export function toGraph(bytes: Uint8Array, options: GraphOptions = {}): Graph {
  const { onEvent } = options;
  const start = performance.now();
  let fixed: boolean | undefined;
  const graph = read(bytes, (inputs) => {
    fixed = fixShapes(inputs, options);
  });
  const done = graph.meta.passes !== undefined; // a .minnow file that was optimised when it was written
  if (options.outputs) {
    restoreTensors(graph, options.outputs);
    selectOutputs(graph, options.outputs);
  }
  fixed ??= fixShapes(graph, options);
  onEvent?.({
    type: "read",
    ms: performance.now() - start,
    bytes: bytes.length,
    format: graph.meta.format ?? "",
    nodes: graph.nodes.length,
  });
  if (options.optimize === false || (done && !fixed && !options.outputs)) return graph;
  let last = performance.now();
  const counts = optimize(graph, {
    ...(options.training && { training: true }),
    onPass(name, rewrites) {
      const now = performance.now();
      onEvent?.({ type: "pass", ms: now - last, name, rewrites });
      last = now;
    },
  });
  const passes: Record<string, number> = { ...graph.meta.passes };
  for (const [name, n] of Object.entries(counts)) passes[name] = (passes[name] ?? 0) + n;
  graph.meta = { ...graph.meta, passes };
  return graph;
}

export { print } from "./graph/text.js";
export { readSource } from "./runtime/source.js";
