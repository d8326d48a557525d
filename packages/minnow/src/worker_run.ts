// The worker of minnow/run's `load(…, { worker: true })`: see worker.ts.
import { serve } from "./runtime/serve.js";
import { setup } from "./setup_run.js";

serve(setup);
