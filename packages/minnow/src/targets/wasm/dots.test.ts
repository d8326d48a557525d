// What is taken for right: products as x86 and Arm make them, by plain arithmetic in their place.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ModuleBuilder } from "./assembler.js";
import { dotTest, emitDots } from "./dots.js";
import { moduleImports } from "./imports.js";
import { fusesMultiplyAdd } from "./probe.js";

const address = 64;
const wrap = (v: number): number => (v << 16) >> 16;
const saturate = (v: number): number => Math.max(-32768, Math.min(32767, v));

/** Fills in what an engine makes of the cases; how it takes x, sums a pair, and whether four are summed by pairs. */
function make(
  memory: ArrayBuffer,
  Bytes: typeof Int8Array | typeof Uint8Array,
  pair: (v: number) => number,
  fourByPairs: boolean,
): void {
  for (const at of [address, address + 80]) {
    const w = new Int8Array(memory, at, 16);
    const x = new Bytes(memory, at + 16, 16);
    const product = (j: number): number => (w[j] as number) * (x[j] as number);
    const start = new Int32Array(memory, at + 32, 4);
    new Int16Array(memory, at + 48, 8).forEach((_, i, a) => {
      a[i] = pair(product(2 * i) + product(2 * i + 1));
    });
    new Int32Array(memory, at + 64, 4).forEach((_, i, a) => {
      const two = (j: number): number => product(j) + product(j + 1);
      const sum = (j: number): number => (fourByPairs ? pair(two(j)) : two(j));
      a[i] = (start[i] as number) + sum(4 * i) + sum(4 * i + 2);
    });
  }
}

type Make = readonly [typeof Int8Array | typeof Uint8Array, (v: number) => number, boolean];
const engines: Record<string, { readonly make: Make; readonly dots: readonly string[] }> = {
  "x86 since 2006": { make: [Uint8Array, saturate, true], dots: ["relaxed"] },
  "x86 with AVX-VNNI": { make: [Uint8Array, saturate, false], dots: ["usdot", "relaxed"] },
  "Arm, or its baseline tier": { make: [Int8Array, wrap, true], dots: ["sdot"] },
  "Arm with dot products": { make: [Int8Array, wrap, false], dots: ["sdot"] },
  "one that wraps unsigned": { make: [Uint8Array, wrap, true], dots: [] },
};

for (const [name, { make: how, dots }] of Object.entries(engines))
  test(`8-bit products of ${name}: ${dots.join(", ") || "none"}`, () => {
    const memory = new ArrayBuffer(4096);
    const right = dotTest(memory, address);
    make(memory, ...how);
    assert.deepEqual(right(), dots);
    assert.deepEqual(right(), [], "nothing was multiplied since");
    make(memory, ...how);
    new Int32Array(memory, address + 80 + 64, 4)[3] = 0;
    new Int16Array(memory, address + 48, 8)[6] = 1;
    assert.deepEqual(right(), [], "one lane is wrong");
  });

test("this engine's are one of them", { skip: !fusesMultiplyAdd() && "no relaxed SIMD" }, () => {
  const m = new ModuleBuilder();
  m.func([], [], (f) => emitDots(f, address), "dots");
  const memory = new WebAssembly.Memory({ initial: 1 });
  const right = dotTest(memory.buffer, address);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.build()), moduleImports(memory));
  (exports.dots as () => void)();
  const found = right();
  const known = Object.values(engines).map((e) => e.dots.join());
  assert.ok(known.includes(found.join()), found.join());
  if (process.arch === "x64") assert.ok(found.includes("relaxed") || found.includes("sdot"));
});
