// minnow/node: what only Node can do, for programs that say so. A library leaves its process alone, so
// nothing here happens by itself.
import { setFlagsFromString } from "node:v8";
import { probeEngine } from "./targets/wasm/probe.js";

/** V8 15 dropped "experimental" from the name. */
function revectorize(on: boolean): void {
  const name = Number(process.versions.v8.split(".")[0]) >= 15 ? "wasm" : "experimental-wasm";
  setFlagsFromString(`--${on ? "" : "no-"}${name}-revectorize`);
}

let enabled: boolean | undefined;

/**
 * Lets V8 join pairs of 128-bit vector operations into 256-bit ones (AVX2), in all WebAssembly that this process
 * compiles from now on: call it before the first model is loaded. An experimental flag of V8, set for the whole
 * process, kept only if generated code then computes the right numbers here, and faster.
 * @returns whether models loaded from now on run on 256-bit vectors; false, and no flag is set, on other
 * processors, in Node before 24, Bun and Deno
 * @example
 * import { load } from "minnow";
 * import { enableWideSimd } from "minnow/node";
 * enableWideSimd();
 * const model = await load("mobilenet.onnx");
 */
export function enableWideSimd(): boolean {
  const { versions, arch } = process;
  const other = "bun" in versions || "deno" in versions;
  if (other || arch !== "x64" || Number(versions.node.split(".")[0]) < 24) return false;
  if (enabled !== undefined) return enabled;
  revectorize(true);
  // Worth waiting for where the machine is busy.
  enabled = probeEngine({ again: true, budget: 200 }).wide;
  if (!enabled) {
    revectorize(false);
    probeEngine({ again: true });
  }
  return enabled;
}
