// The driver: walks a list of steps in linear memory and calls their kernels chunk by chunk, so that a run
// is one call from script. V8 never optimises a function while it runs: so the driver is tiny, a module of
// its own (nothing is inlined into it), and kernels stay functions that are called often, through a table,
// where those of modules compiled later are found too.
import { storedModule } from "./imports.js";

/** The error word: kernels store what is not zero there. */
export const errorAddress = 16;

/**
 * Byte of a thread's scratch that holds zero when a step begins: a kernel may leave a word there that says what
 * the scratch holds for its next chunk.
 */
export const markAt = 60;

/** A step: number in the table, argument block, extent, grain, and chunks for threads (0: for one thread). */
export const stepBytes = 20;
export const [argsWord, extentWord, grainWord, chunksWord] = [4, 8, 12, 16] as const;

/** (first, last) → address of the step after which the error word was set, else last. */
export type Driver = (first: number, last: number) => number;

/** What driver_code.ts emits (its test compares), so that a start needs no emission for it. */
export const driverBase64 =
  "AGFzbQEAAAABDQJgA39/fwBgAn9/AX8CLAMDZW52BXRhYmxlAXAAAANlbnYHc2NyYXRjaAN/AQNlbnYGbWVtb3J5AgAAAwIB" +
  "AQcHAQNydW4AAApwAW4BAn8CQCAAIAFPDQADQEEAIQIjAEEANgA8AkADQCACIAAoAAhPDQEgACgABCACIAIgACgADGoiAyAA" +
  "KAAIIAMgACgACEkbIAAoAAARAAAgAyECDAALC0EAKAAQDQEgAEEUaiIAIAFJDQALCyAACw==";

const module = storedModule(driverBase64);

/** The driver for one thread on a memory that is not shared. */
export function driver(imports: WebAssembly.Imports): Driver {
  return new WebAssembly.Instance(module(), imports).exports.run as Driver;
}
