// The driver: walks a list of steps in linear memory and calls their kernels chunk by chunk, so that a run
// is one call from script. V8 never optimises a function while it runs: so the driver is tiny, a module of
// its own (nothing is inlined into it), and kernels stay functions that are called often, through a table,
// where those of modules compiled later are found too.
import { ModuleBuilder } from "./assembler.js";

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

/** Adds the driver for one thread. */
export function emitDriver(m: ModuleBuilder): number {
  const kernel = m.type(["i32", "i32", "i32"], []);
  return m.func(
    ["i32", "i32"],
    ["i32"],
    (f) => {
      const [at, last, begin, end] = [0, 1, f.local(), f.local()];
      f.block().get(at).get(last).op("i32.ge_u").brIf(0).loop();
      f.i32(0).set(begin).scratch().i32(0).store(markAt);
      f.block().loop().get(begin).get(at).load(extentWord).op("i32.ge_u").brIf(1);
      f.get(at).load(argsWord).get(begin);
      f.get(begin).get(at).load(grainWord).op("i32.add").tee(end).get(at).load(extentWord);
      f.get(end).get(at).load(extentWord).op("i32.lt_u", "select");
      f.get(at).load().callIndirect(kernel);
      f.get(end).set(begin).br(0).end().end();
      f.i32(0).load(errorAddress).brIf(1);
      f.get(at).i32(stepBytes).op("i32.add").tee(at).get(last).op("i32.lt_u").brIf(0).end().end();
      f.get(at);
    },
    "run",
  );
}

let module: WebAssembly.Module | undefined;

/** The driver for one thread on a memory that is not shared. */
export function driver(imports: WebAssembly.Imports): Driver {
  if (!module) {
    const m = new ModuleBuilder();
    emitDriver(m);
    module = new WebAssembly.Module(m.build({}, true));
  }
  return new WebAssembly.Instance(module, imports).exports.run as Driver;
}
