// Node 24 and later can join pairs of 128-bit operations into 256-bit ones, behind a flag of V8 that
// works at run time. A command line may set it for its own process; a library may not. The engine probe
// then finds out whether that is right and fast here, and uses it only if so.
import type { Args, Options } from "./args.js";

export const wideOptions: Options = {
  "no-wide": { help: "Node 24 and later on x64: do not try 256-bit vectors" },
};

export async function tryWide(args: Args): Promise<void> {
  const major = Number(process.versions.node.split(".")[0]);
  const v8 = "bun" in process.versions || "deno" in process.versions ? 0 : major;
  if (args.flag("no-wide") || args.flag("deterministic") || v8 < 24 || process.arch !== "x64") return;
  const { setFlagsFromString } = await import("node:v8");
  setFlagsFromString("--experimental-wasm-revectorize");
}
