// Adds plans and code to a .minnow file that has just been written: they are made of the file as it will be read.
import type { ConvertEvent } from "./convert.js";
import { readMinnow, weightsOf } from "./formats/minnow/reader.js";
import { writeMinnow } from "./formats/minnow/writer.js";
import type { Graph } from "./graph/graph.js";
import type { PrecompiledSet } from "./graph/precompiled.js";
import { ModelError } from "./error.js";
import { type EngineName, presets } from "./targets/wasm/engine.js";
import { NotStorable, precompile } from "./targets/wasm/precompile.js";

/** Of the file, where it grows by itself. */
const mostGrowth = 0.075;

/** @throws ModelError bad_option for an engine that is not known */
export async function addPrecompiled(
  graph: Graph,
  file: Uint8Array<ArrayBuffer>,
  engines: true | "auto" | readonly EngineName[],
  onEvent: ((event: ConvertEvent) => void) | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const names: readonly EngineName[] = typeof engines === "object" ? engines : ["fma", "arm", "baseline"];
  for (const name of names)
    if (!Object.hasOwn(presets, name))
      throw new ModelError("bad_option", `precompile: no engine is named ${JSON.stringify(name)}`, {
        hint: `there are ${Object.keys(presets).join(", ")}`,
      });
  const start = performance.now();
  const tell = (bytes: number, reason?: string): void =>
    onEvent?.({ type: "precompile", ms: performance.now() - start, bytes, ...(reason && { reason }) });
  let made: PrecompiledSet;
  try {
    made = await precompile(readMinnow(file), weightsOf(file), names);
  } catch (e) {
    if (!(e instanceof NotStorable || e instanceof ModelError)) throw e;
    tell(0, e.message);
    return file;
  }
  const grown = sum(made.data, ...made.list.flatMap((p) => [p.plan, p.code]));
  if (engines === "auto" && grown > mostGrowth * file.length) {
    tell(0, `the file would grow by ${Math.round((100 * grown) / file.length)} %`);
    return file;
  }
  const whole = writeMinnow(graph, made);
  tell(whole.length - file.length);
  return whole;
}

const sum = (...parts: readonly Uint8Array[]): number => parts.reduce((n, p) => n + p.length, 0);
