// The worker of `load(…, { worker: true })`. Bundlers find it by the `new URL("./worker.js", …)` in index.ts;
// with esbuild, make "minnow/worker" an entry point called worker.js beside the bundle.
import { serve } from "./runtime/serve.js";
import { setup } from "./setup.js";

serve(setup);
