// A command line may set V8's flags for its own process, where a library waits to be told. See minnow/node.
import { enableWideSimd } from "minnow/node";
import type { Args, Options } from "./args.js";

export const wideOptions: Options = {
  "no-wide": { help: "Node 24 and later on x64: do not try 256-bit vectors" },
};

export function tryWide(args: Args): void {
  if (!args.flag("no-wide") && !args.flag("deterministic")) enableWideSimd();
}
