// What minnow/run reads and runs on; shared by its entry point and its worker.
import { ModelError } from "./error.js";
import { readMinnow } from "./formats/minnow/reader.js";
import type { Graph } from "./graph/graph.js";
import { isMinnow } from "./graph/released.js";
import { known, learn } from "./ops/common.js";
import type { Setup } from "./runtime/load_here.js";
import { fixShapes, selectOutputs } from "./runtime/specialize.js";
import { wasmDevice } from "./runtime/wasm_device.js";

export const setup: Setup = {
  async read(bytes, changes) {
    if (!isMinnow(bytes))
      throw new ModelError("unknown_format", "not a .minnow file", {
        hint: 'minnow/run reads only these: convert the model, or import { load } from "minnow"',
      });
    const graph = readMinnow(bytes);
    if (needsMore(graph)) learn((await import("./ops/rare.js")).rare);
    if (changes.outputs) selectOutputs(graph, changes.outputs);
    fixShapes(graph, changes);
    return graph;
  },
  devices: { cpu: () => wasmDevice, wasm: () => wasmDevice },
  auto: ["wasm"],
};

const needsMore = (g: Graph): boolean => g.nodes.some((n) => !known.has(n.op) || n.graphs?.some(needsMore));
