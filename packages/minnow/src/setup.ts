// What the full library reads and runs on; shared by its entry point and its worker.
import { toGraph } from "./convert.js";
import type { Setup } from "./runtime/load_here.js";
import { referenceDevice } from "./runtime/reference_device.js";
import { wasmDevice } from "./runtime/wasm_device.js";

export const setup: Setup = {
  read: toGraph,
  devices: {
    cpu: () => wasmDevice,
    wasm: () => wasmDevice,
    reference: () => referenceDevice, // the passes carry the reference anyway (constant folding)
  },
  auto: ["wasm"],
};
