// What is read ahead lies within memory, wherever the weights are: a load behind its end would trap.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ModuleBuilder } from "../assembler.js";
import { moduleImports } from "../imports.js";
import { aheadOf, streamsOf, type Streams } from "./gemm_ahead.js";

/** (weights, bytes of a panel, lines) of code that reads ahead of one panel, in `pages` of 64 KB. */
function reader(streams: Streams, pages: number): (weights: number, bytes: number, lines: number) => void {
  const m = new ModuleBuilder();
  m.func(
    ["i32", "i32", "i32"],
    [],
    (f) => {
      const ahead = aheadOf(f, streams);
      ahead.start(0, 1, 1);
      f.repeat(2, () => ahead.read());
    },
    "read",
  );
  const memory = new WebAssembly.Memory({ initial: pages });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.build()), moduleImports(memory));
  return exports.read as ReturnType<typeof reader>;
}

test("no read ahead leaves memory", () => {
  const end = 2 * 65536;
  for (const streams of ["pages", "quarters"] as const) {
    const read = reader(streams, 2);
    for (const bytes of [256, 2560, 8192, 16320, 16384, 20480, 32768, 61440]) {
      if (streamsOf(bytes) !== streams) continue;
      for (const weights of [0, 64, 4096, 30000, 65472, 81920, 98304, end - bytes]) {
        if (weights + bytes > end) continue;
        assert.doesNotThrow(() => read(weights, bytes, 3000), `${streams}: ${bytes} bytes at ${weights}`);
      }
    }
  }
});

test("the test sees a read that does leave it", () => {
  assert.throws(() => reader("quarters", 1)(65536, 65536, 3000), WebAssembly.RuntimeError);
});
