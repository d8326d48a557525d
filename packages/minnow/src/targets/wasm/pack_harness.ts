// Packs as the runtime does, for tests that hold a memory of their own.
import { ModuleBuilder } from "./assembler.js";
import { moduleImports } from "./imports.js";
import type { Packed } from "./kernel.js";
import { type PackCode, runPack } from "./packing.js";

/** @param staging address of stagingBytes() free bytes */
export function fillPacked(p: Packed, memory: WebAssembly.Memory, at: number, staging: number): void {
  if (!p.pack) return p.fill(memory.buffer, at);
  const m = new ModuleBuilder();
  m.exports.set("pack", p.pack.emit(m));
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.build()), moduleImports(memory));
  runPack(p.pack, exports.pack as PackCode, memory.buffer, at, staging);
}
