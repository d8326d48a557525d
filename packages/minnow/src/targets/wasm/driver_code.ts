// The code of the driver for one thread: see driver.ts.
import { ModuleBuilder } from "./assembler.js";
import { argsWord, errorAddress, extentWord, grainWord, markAt, stepBytes } from "./driver.js";

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

/** A module that exports it as "run". */
export function driverCode(): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder();
  emitDriver(m);
  return m.build({}, true);
}
