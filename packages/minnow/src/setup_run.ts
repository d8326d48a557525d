// What minnow/run reads and runs on; shared by its entry point and its worker.
import { ModelError } from "./error.js";
import { layoutOf, readPrecompiled } from "./formats/minnow/precompiled.js";
import { isMinnow } from "./graph/released.js";
import type { Setup } from "./runtime/load_here.js";
import { planner, wasmDevice } from "./runtime/wasm_device.js";

/** Whatever needs a graph comes with the planner. */
const reader = () => import("./runtime/read_changed.js");

const read: Setup["read"] = async (bytes, changes) => {
  check(bytes);
  return (await reader()).readChanged(bytes, changes);
};

function check(bytes: Uint8Array): void {
  if (!isMinnow(bytes))
    throw new ModelError("unknown_format", "not a .minnow file", {
      hint: 'minnow/run reads only these: convert the model, or import { load } from "minnow"',
    });
}

export const setup: Setup = {
  read,
  precompiled(bytes, rest) {
    check(bytes);
    return readPrecompiled(bytes, (later) => read(later, {}), rest);
  },
  expect(head) {
    const layout = layoutOf(head);
    if (!layout) for (const part of [reader, planner]) part().catch(() => {}); // told when it is needed
    return layout;
  },
  devices: { cpu: () => wasmDevice, wasm: () => wasmDevice },
  auto: ["wasm"],
};
