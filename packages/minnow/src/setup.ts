// What the full library reads and runs on; shared by its entry point and its worker.
import { toGraph } from "./convert.js";
import { layoutOf, readPrecompiled } from "./formats/minnow/precompiled.js";
import { isMinnow } from "./graph/released.js";
import type { Setup } from "./runtime/load_here.js";
import { referenceDevice } from "./runtime/reference_device.js";
import { planner, wasmDevice } from "./runtime/wasm_device.js";

export const setup: Setup = {
  read: toGraph,
  precompiled: (bytes, rest) => (isMinnow(bytes) ? readPrecompiled(bytes, toGraph, rest) : null),
  expect(head) {
    const layout = layoutOf(head);
    if (!layout) planner().catch(() => {}); // told when it is needed
    return layout;
  },
  devices: {
    cpu: () => wasmDevice,
    wasm: () => wasmDevice,
    reference: () => referenceDevice, // the passes carry the reference anyway (constant folding)
  },
  auto: ["wasm"],
};
