// The worker of `load(…, { worker: true })`. Bundlers find it by the `new URL("./worker.js", …)` in index.ts;
// with esbuild, make "minnow/worker" an entry point called worker.js beside the bundle.
import { plan } from "./runtime/planner.js";
import { makeProfile } from "./runtime/profile.js";
import { serve } from "./runtime/serve.js";
import { openCrew } from "./runtime/threads.js";
import { withText } from "./runtime/strings.js";
import { setup } from "./setup.js";
import { hostKernels } from "./targets/host/index.js";
import { int8Kernels } from "./targets/wasm/kernels/int8.js";
import { matmul } from "./targets/wasm/kernels/matmul.js";
import { pool } from "./targets/wasm/kernels/pool.js";
import { winograd } from "./targets/wasm/kernels/winograd.js";

// What is imported on demand elsewhere is part of a worker's one file: not every bundler splits workers.
serve(setup, [makeProfile, hostKernels, withText, plan, winograd, int8Kernels, matmul, pool, openCrew]);
