// What minnow/run reads and runs on; shared by its entry point and its worker.
import { ModelError } from "./error.js";
import { readMinnow } from "./formats/minnow/reader.js";
import type { Setup } from "./runtime/load_here.js";
import { fixShapes, selectOutputs } from "./runtime/specialize.js";
import { wasmDevice } from "./runtime/wasm_device.js";

export const setup: Setup = {
  read(bytes, changes) {
    if (String.fromCharCode(...bytes.subarray(4, 8)) !== "MNOW")
      throw new ModelError("unknown_format", "not a .minnow file", {
        hint: 'minnow/run reads only these: convert the model, or import { load } from "minnow"',
      });
    const graph = readMinnow(bytes);
    if (changes.outputs) selectOutputs(graph, changes.outputs);
    fixShapes(graph, changes);
    return graph;
  },
  devices: { cpu: () => wasmDevice, wasm: () => wasmDevice },
  auto: ["wasm"],
};
