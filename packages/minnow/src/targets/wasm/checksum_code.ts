// The code of the checksum: see checksum.ts.
import { ModuleBuilder } from "./assembler.js";

/** A module that exports (at, end, h) → h over the words between as "sum". */
export function checksumCode(): Uint8Array<ArrayBuffer> {
  const m = new ModuleBuilder();
  m.func(
    ["i32", "i32", "i32"],
    ["i32"],
    (f) => {
      const [at, end, h] = [0, 1, 2];
      f.block().get(at).get(end).op("i32.ge_u").brIf(0).loop();
      f.get(h).get(at).load().i32(0xcc9e2d51).op("i32.mul").i32(15).op("i32.rotl").i32(0x1b873593);
      f.op("i32.mul", "i32.xor")
        .i32(13)
        .op("i32.rotl")
        .i32(5)
        .op("i32.mul")
        .i32(0xe6546b64)
        .op("i32.add")
        .set(h);
      f.inc(at, 4).get(at).get(end).op("i32.lt_u").brIf(0).end().end();
      f.get(h);
    },
    "sum",
  );
  return m.build();
}
