// The driver against a log that kernels of two modules write: order, chunks, and the stop at an error.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ModuleBuilder } from "./assembler.js";
import { moduleImports } from "./imports.js";
import { driver, errorAddress, markAt, stepBytes } from "./driver.js";

const logAt = 4096;
const stepsAt = 1024;

/** A kernel that appends (id, args, begin, end) to the log, and sets the error word where args is 13. */
function logger(id: number): ModuleBuilder {
  const m = new ModuleBuilder();
  m.func(
    ["i32", "i32", "i32"],
    [],
    (f) => {
      const at = f.local();
      f.i32(0).load(logAt).i32(logAt).op("i32.add").set(at);
      f.get(at).i32(id).store(4);
      for (const i of [0, 1, 2])
        f.get(at)
          .get(i)
          .store(8 + 4 * i);
      f.i32(0).i32(0).load(logAt).i32(16).op("i32.add").store(logAt);
      f.get(0).i32(13).op("i32.eq").if().i32(errorAddress).i32(1).store().end();
    },
    "k0",
  );
  return m;
}

function harness() {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const imports = moduleImports(memory);
  const words = new Int32Array(memory.buffer);
  const run = driver(imports);
  const add = (id: number): void => {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(logger(id).build()), imports);
    imports.env.table.set(imports.env.table.grow(1), exports.k0);
  };
  const steps = (...list: number[][]): void => {
    list.forEach((s, i) => {
      words.set(s, (stepsAt + i * stepBytes) / 4);
    });
  };
  const log = (): number[][] => {
    const n = (words[logAt / 4] as number) / 16;
    words[logAt / 4] = 0;
    return Array.from({ length: n }, (_, i) => [
      ...words.slice(logAt / 4 + 1 + 4 * i, logAt / 4 + 5 + 4 * i),
    ]);
  };
  return { run, add, steps, log, words };
}

test("steps run in order, each in chunks of its grain; kernels of later modules are found", () => {
  const h = harness();
  h.add(100);
  h.steps([0, 7, 10, 4], [0, 8, 3, 3], [1, 9, 0, 5], [1, 10, 6, 2_000_000_000]);
  assert.equal(h.run(stepsAt, stepsAt + 2 * stepBytes), stepsAt + 2 * stepBytes);
  const first = [
    [100, 7, 0, 4],
    [100, 7, 4, 8],
    [100, 7, 8, 10],
    [100, 8, 0, 3],
  ];
  assert.deepEqual(h.log(), first);
  h.add(200);
  assert.equal(h.run(stepsAt, stepsAt + 4 * stepBytes), stepsAt + 4 * stepBytes);
  assert.deepEqual(h.log(), [...first, [200, 10, 0, 6]]);
  assert.equal(h.run(stepsAt, stepsAt), stepsAt);
  assert.deepEqual(h.log(), []);
});

test("an error ends the run behind its step", () => {
  const h = harness();
  h.add(100);
  h.steps([0, 1, 1, 1], [0, 13, 2, 1], [0, 2, 1, 1]);
  assert.equal(h.run(stepsAt, stepsAt + 3 * stepBytes), stepsAt + stepBytes);
  assert.deepEqual(
    h.log().map((l) => l[1]),
    [1, 13, 13],
  );
});

test("what a kernel marks in its scratch lasts to the end of the step", () => {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const scratch = 8192;
  const imports = moduleImports(memory, scratch);
  const words = new Int32Array(memory.buffer);
  // Counts in the word at `args` the chunks that find a mark, and marks.
  const m = new ModuleBuilder();
  m.func(
    ["i32", "i32", "i32"],
    [],
    (f) => {
      f.get(0).get(0).load().scratch().load(markAt).op("i32.add").store();
      f.scratch().i32(1).store(markAt);
    },
    "k0",
  );
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.build()), imports);
  imports.env.table.set(imports.env.table.grow(1), exports.k0);
  words[(scratch + markAt) >> 2] = 7;
  words.set([0, logAt, 5, 2, 0], stepsAt >> 2);
  words.set([0, logAt + 4, 4, 1, 0], (stepsAt + stepBytes) >> 2);
  driver(imports)(stepsAt, stepsAt + 2 * stepBytes);
  assert.deepEqual([...words.slice(logAt >> 2, (logAt >> 2) + 2)], [2, 3]);
});
