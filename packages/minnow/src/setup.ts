// What the full library reads and runs on; shared by its entry point and its worker.
import { toGraph } from "./convert.js";
import type { Setup } from "./runtime/load_here.js";
import { wasmDevice } from "./runtime/wasm_device.js";

export const setup: Setup = {
  read: toGraph,
  devices: {
    cpu: () => wasmDevice,
    wasm: () => wasmDevice,
    // imported when asked for: nobody else pays for it
    reference: async () => (await import("./runtime/reference_device.js")).referenceDevice,
  },
  auto: ["wasm"],
};
