// The model file of a verb: a path or a URL, with progress and one clear line when it is not there.
import { readSource } from "minnow/convert";
import type { Progress } from "./output.js";

export async function readModel(path: string, progress: Progress): Promise<Uint8Array> {
  return readSource(path, { onProgress: (p) => progress.bar("reading", p.loaded, p.total) });
}
