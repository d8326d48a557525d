// The one hook through which a model tells what it does, and errors that all look the same.
import { ModelError } from "../error.js";
import type { ModelEvent } from "./types.js";

export type Emit = (event: ModelEvent) => void;

/** Whatever was thrown as a ModelError. */
export function asModelError(e: unknown, doing: string): ModelError {
  if (e instanceof ModelError) return e;
  const message = e instanceof Error ? e.message : String(e);
  if (e instanceof RangeError && /memory|alloc|array length|buffer/i.test(message))
    return new ModelError("out_of_memory", `${doing}: ${message}`, { cause: e });
  return new ModelError("internal", `${doing}: ${message}`, { cause: e });
}

/** A hook that never breaks a run: what a listener throws is reported as any uncaught error. */
export function emitter(listener: Emit | undefined): Emit | undefined {
  if (!listener) return undefined;
  return (event) => {
    try {
      listener(event);
    } catch (e) {
      reportUncaught(e);
    }
  };
}

function reportUncaught(e: unknown): void {
  const { reportError } = globalThis as { reportError?: (e: unknown) => void };
  if (reportError) reportError(e);
  else
    queueMicrotask(() => {
      throw e;
    });
}
