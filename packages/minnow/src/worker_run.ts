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
import { onDemand } from "./targets/wasm/kernels/on_demand.js";

// What is imported on demand elsewhere is part of a worker's one file: not every bundler splits workers
// (tests/size.test.mjs tells what is missing).
serve(setup, [makeProfile, hostKernels, withText, rare, plan, readChanged, onDemand, openCrew]);
