// A helper thread in Node, Bun and Deno (see runtime/threads.ts). In browsers worker.ts is its own helper.
// Who bundles for Node makes this an entry point called thread.js beside the bundle.
import { isNode, parentPort } from "./runtime/node.js";
import { helper, type ToThread } from "./runtime/thread.js";

const port = isNode() && typeof Worker === "undefined" ? await parentPort() : null;
if (port) {
  const answer = helper((m) => port.postMessage(m));
  port.on("message", (m) => answer(m as ToThread));
} else {
  const answer = helper((m) => postMessage(m));
  addEventListener("message", (e) => answer(e.data as ToThread));
}
