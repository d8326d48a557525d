// The worker of `load(…, { worker: true })`. Bundlers find it by the `new URL("./worker.js", …)` in index.ts;
// with esbuild, make "minnow/worker" an entry point called worker.js beside the bundle.
import { plan } from "./runtime/planner.js";
import { makeProfile } from "./runtime/profile.js";
import { serve } from "./runtime/serve.js";
import { openCrew } from "./runtime/threads.js";
import { withText } from "./runtime/strings.js";
import { setup } from "./setup.js";
import { hostKernels } from "./targets/host/index.js";
import { onDemand } from "./targets/wasm/kernels/on_demand.js";

// What is imported on demand elsewhere is part of a worker's one file: not every bundler splits workers
// (tests/size.test.mjs tells what is missing).
serve(setup, [makeProfile, hostKernels, withText, plan, onDemand, openCrew]);
