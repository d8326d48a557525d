// The worker of minnow/run's `load(…, { worker: true })`: see worker.ts.
import { rare } from "./ops/rare.js";
import { plan } from "./runtime/planner.js";
import { makeProfile } from "./runtime/profile.js";
import { readChanged } from "./runtime/read_changed.js";
import { serve } from "./runtime/serve.js";
import { openCrew } from "./runtime/threads.js";
import { withText } from "./runtime/strings.js";
import { setup } from "./setup_run.js";
import { hostKernels } from "./targets/host/index.js";
import { int8Kernels } from "./targets/wasm/kernels/int8.js";
import { matmul } from "./targets/wasm/kernels/matmul.js";
import { pool } from "./targets/wasm/kernels/pool.js";
import { winograd } from "./targets/wasm/kernels/winograd.js";

// What is imported on demand elsewhere is part of a worker's one file: not every bundler splits workers.
serve(setup, [
  makeProfile,
  hostKernels,
  withText,
  rare,
  plan,
  readChanged,
  winograd,
  int8Kernels,
  matmul,
  pool,
  openCrew,
]);
